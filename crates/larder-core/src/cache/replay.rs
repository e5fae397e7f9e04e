//! Replaying what is in doubt: failed invalidations, and writes of unknown outcome, are deleted once the store is back.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    pin::pin,
    time::Duration,
};

use futures_util::future::{Either, select};
use tokio_util::sync::CancellationToken;

use super::{ClearBy, inner::Inner, ops::Operation};
use crate::{
    Event, Key, Namespace, Operations, Result, Timestamp,
    flight::Settling,
    quarantine::{Quarantine, Turn, Watcher},
    sync::Arc,
};

/// The pauses between attempts: they double from the first to the last, less up to half of each by chance.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LAST_PAUSE: Duration = Duration::from_secs(1);

/// How many keys are looked at, and at most deleted, in one go.
const CHUNK: usize = 128;

impl Watcher for Inner {
    fn tell(&self, event: &Event<'_>) {
        self.tell(|| event.clone());
    }

    fn cleared_by_stamps(&self) -> Option<&Namespace> {
        (self.clear_by == ClearBy::Stamps).then_some(&self.root)
    }

    fn replay(self: Arc<Self>, quarantine: &Arc<Quarantine>) -> bool {
        if self.tasks.is_closed() {
            return false;
        }
        let Some(turn) = Turn::take(quarantine, self.can_clear()) else { return quarantine.is_replayed() };
        let replay = replay(Arc::downgrade(&self), self.stop.clone(), turn);
        // Not in the caller's span: it outlives the caller. Without a runtime the doubts wait for a read, or for a caller
        // that has one.
        self.spawn.spawn(Box::pin(self.tasks.track_future(replay))).is_ok()
    }
}

/// Runs until nothing is in doubt, or the cache ends. Holds the cache only while it works.
async fn replay(inner: std::sync::Weak<Inner>, stop: CancellationToken, mut turn: Turn) {
    let mut pace = Pace { fruitless: 0, batch: CHUNK };
    'rounds: loop {
        let Some(pause) = inner.upgrade().map(|inner| inner.clock.sleep(pace.pause(inner.clock.now())))
        else {
            break;
        };
        if let Either::Left(_) = select(pin!(stop.cancelled()), pause).await {
            break;
        }
        let mut round = Round::default();
        loop {
            let Some(inner) = inner.upgrade() else { break 'rounds };
            if !inner.replay_some(&mut round, &mut pace).await {
                break;
            }
            if stop.is_cancelled() {
                break 'rounds;
            }
        }
        let Some(inner) = inner.upgrade() else { break };
        if round.silent() == 0
            && let Either::Left(_) =
                select(pin!(stop.cancelled()), pin!(inner.replay_clears(&mut round))).await
        {
            break;
        }
        if turn.is_over(inner.can_clear()) {
            return;
        }
        pace.fruitless = if round.settled { 0 } else { pace.fruitless.saturating_add(1) };
    }
    turn.pass_on();
}

/// How fast to try.
struct Pace {
    /// Rounds that settled nothing, one after the other.
    fruitless: u32,
    /// Halved where a batch fails although its server answers: it may have been too much for the operation timeout.
    batch: usize,
}

impl Pace {
    fn pause(&self, now: Timestamp) -> Duration {
        let full = FIRST_PAUSE.saturating_mul(1 << self.fruitless.min(5)).min(LAST_PAUSE);
        // Processes that lost the same store together do not come back to it in one moment.
        let mut hasher = DefaultHasher::new();
        (now, self.fruitless).hash(&mut hasher);
        let half = u64::try_from((full / 2).as_nanos()).expect("half a second at most");
        full.saturating_sub(Duration::from_nanos(hasher.finish() % (half + 1)))
    }
}

/// One pass over everything in doubt.
#[derive(Default)]
struct Round {
    /// The last key looked at.
    after: Option<Key>,
    /// Of the servers that were asked: whether they answered.
    servers: BTreeMap<usize, bool>,
    /// Something is in doubt no longer.
    settled: bool,
}

impl Round {
    /// How many servers did not answer.
    fn silent(&self) -> usize {
        self.servers.values().filter(|answers| !**answers).count()
    }
}

impl Inner {
    /// Deletes the next keys in doubt; `false` when the pass is over, or no server answers.
    async fn replay_some(self: &Arc<Self>, round: &mut Round, pace: &mut Pace) -> bool {
        let keys = self.handle.flights.quarantine.keys_after(round.after.as_ref(), CHUNK);
        let Some(last) = keys.last() else { return false };
        round.after = Some(last.clone());
        let mut of_server = BTreeMap::<usize, Vec<Key>>::new();
        for key in keys {
            of_server.entry(self.handle.store.server_of(&key)).or_default().push(key);
        }
        for (server, keys) in of_server {
            self.replay_keys(server, keys, round, pace).await;
        }
        round.silent() < self.handle.store.servers().len()
    }

    /// Deletes keys of one server: one to see whether it is back, then the others.
    async fn replay_keys(
        self: &Arc<Self>,
        server: usize,
        keys: Vec<Key>,
        round: &mut Round,
        pace: &mut Pace,
    ) {
        let mut keys = keys.as_slice();
        while !keys.is_empty() {
            let size = match round.servers.get(&server) {
                None => 1,
                Some(true) => pace.batch.min(keys.len()),
                Some(false) => return,
            };
            let (some, rest) = keys.split_at(size);
            keys = rest;
            let Some((confirmed, asked)) = self.replay_batch(some).await else { continue };
            round.settled |= confirmed > 0;
            // A batch that fails in part is tried again in the next round.
            round.servers.insert(server, confirmed > 0);
            if size > 1 {
                pace.batch = if confirmed == asked { (pace.batch * 2).min(CHUNK) } else { size / 2 };
            }
        }
    }

    /// Deletes what is not being written or invalidated right now: that settles it, or leaves it for the next round. Says how
    /// many were deleted of how many; `None` if there was nothing to do.
    async fn replay_batch(self: &Arc<Self>, keys: &[Key]) -> Option<(usize, usize)> {
        let flights = &self.handle.flights;
        let settlings: Vec<Settling> =
            keys.iter().filter_map(|key| Settling::at_once(flights, key)).collect();
        let keys: Vec<Key> = settlings.iter().map(|settling| settling.key().clone()).collect();
        if keys.is_empty() {
            return None;
        }
        let deleted = if let [key] = keys.as_slice() {
            vec![self.point(Operation::idempotent("delete"), self.handle.store.delete(key)).await]
        } else {
            let delete = self.handle.store.delete_many(&keys);
            self.batched(Operation::idempotent("delete_many"), keys.len(), delete).await
        };
        let mut confirmed = 0;
        for (settling, _) in settlings.into_iter().zip(&deleted).filter(|(_, deleted)| deleted.is_ok()) {
            settling.confirmed();
            confirmed += 1;
        }
        Some((confirmed, keys.len()))
    }

    /// Clears the namespaces in doubt, if every server answers.
    async fn replay_clears(self: &Arc<Self>, round: &mut Round) {
        let namespaces = self.handle.flights.quarantine.namespaces();
        if namespaces.is_empty() || !self.can_clear() {
            return;
        }
        for server in
            (0..self.handle.store.servers().len()).filter(|server| !round.servers.contains_key(server))
        {
            if self.point(Operation::idempotent("ping"), self.handle.store.ping(server)).await.is_err() {
                return;
            }
        }
        for namespace in namespaces {
            // One that fails is likely to have taken long: what is left waits for the next round.
            if self.replay_clear(&namespace).await.is_err() {
                return;
            }
            round.settled = true;
        }
    }

    /// By the store's own clear, which takes the entries of every cache, where it has one.
    async fn replay_clear(&self, namespace: &Namespace) -> Result<()> {
        if self.handle.capabilities.supports(Operations::CLEAR) {
            return self.clear_in_store(namespace).await;
        }
        let quarantine = &self.handle.flights.quarantine;
        let sent = quarantine.epoch();
        // Larder's own keys are in no namespace that has a stamp, and others may be too deep: what they are for is an entry of this
        // cache.
        let has_stamp =
            namespace.as_str().starts_with(self.root.as_str()) && self.namespace_stamp(namespace).is_ok();
        self.clear_by_stamp(if has_stamp && !namespace.is_reserved() { namespace } else { &self.root })
            .await?;
        quarantine.release_namespace(namespace, sent);
        Ok(())
    }

    /// Whether this cache can clear namespaces that are in doubt for all caches over the store: without the store's help that takes
    /// stamps which the entries of each of them hold.
    pub(super) fn can_clear(&self) -> bool {
        self.handle.capabilities.supports(Operations::CLEAR)
            || self.clear_by == ClearBy::Stamps
                && self.handle.flights.quarantine.are_all_cleared_by_stamps_of(&self.root)
    }
}
