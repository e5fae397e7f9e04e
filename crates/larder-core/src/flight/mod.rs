//! Flights: the one running load of a key, shared by everyone who asks for it, and fenced from invalidations.
//!
//! The rules, for one key in one process:
//!
//! - There is at most one *current* flight. Whoever misses joins it, or becomes its leader. Who may not join it leads the next
//!   one, after it; if that is given up before, the *former* one is current again.
//! - An invalidation first *detaches* the current flight: nobody joins it any more, and its result is not kept. While the
//!   invalidation is under way no result is kept at all; when it ends, flights that began meanwhile are detached too.
//! - Keeping a result and invalidating exclude each other: an invalidation waits for a result that is being written, so
//!   that its own write comes second.
//!
//! So what a load began before an acknowledged invalidation read is neither kept nor given to a caller who came after it.
//!
//! Where other processes write to the store, this process does not see their invalidations: they void the lease that a load
//! holds in the store. There a caller joins a load that has begun only if its own read, made after its call, saw that lease.

mod abandoned;
mod clears;
mod failures;
mod faults;
mod fence;
mod follow;
mod joining;
mod leader;
mod settling;
#[cfg(all(shuttle, feature = "faults"))]
#[cfg(test)]
mod shuttle_tests;
mod table;

use std::{future::pending, pin::pin, time::Duration};

use futures_util::future::select;
use tokio::sync::Notify;

#[cfg(feature = "faults")]
pub use self::faults::Faults;
#[cfg(not(feature = "faults"))]
pub(crate) use self::faults::Faults;
pub(crate) use self::{
    abandoned::Abandoned,
    failures::Failures,
    fence::Fence,
    follow::Follow,
    joining::{Caller, Place, Sight},
    leader::{CommitGuard, LeaderGuard},
    settling::Settling,
    table::FlightTable,
};
use crate::{
    Error, Kept, Key, NotKept, Timestamp, Value,
    sync::{AtomicUsize, Mutex, MutexGuard, Ordering},
};

/// How a flight ended, as its followers see it.
#[derive(Clone)]
pub(crate) enum Landing {
    /// A value, and whether the store has it.
    Value(Value, Kept),
    /// The loader's error.
    Failed(Error),
    /// The result is for the leader alone; everyone else runs their own load.
    GaveUp,
    /// The leader went away; the next caller may lead.
    Abandoned,
    /// The loader of a batch had nothing under this key.
    Nothing,
    /// A value for the one who led, and for who joined before the load began; for nobody who joined it later: what became known
    /// only at its end was invalidated meanwhile, or may have been.
    Late(Value, NotKept),
}

impl Landing {
    /// Whether the value holds no stamps by which what is made of it would go.
    pub(crate) const fn is_untied(&self) -> bool {
        matches!(
            self,
            Self::Late(..) | Self::Value(_, Kept::No(NotKept::StampsUnreadable | NotKept::LateTags))
        )
    }
}

/// The random mark of one lease.
pub(crate) type Nonce = [u8; 16];

/// That a load has begun, and under which lease.
#[derive(Clone, Copy)]
struct Begun {
    /// When, by the table's count: a read that began later saw the lease, or the lease is void.
    at: u64,
    nonce: Option<Nonce>,
}

/// One load of one key, running or about to.
pub(crate) struct Flight {
    /// The number of the shard that has its slot.
    shard: usize,
    pub(crate) key: Key,
    /// When the key is freed, whatever the load does.
    pub(crate) deadline: Timestamp,
    /// How long that is from its start.
    pub(crate) limit: Duration,
    /// Until when it waits for other loads: half as long.
    pub(crate) patience: Timestamp,
    /// Written once.
    landing: Mutex<Option<Landing>>,
    landed: Notify,
    /// The callers still waiting. Grows only under the lock of the key's shard.
    followers: AtomicUsize,
    left: Notify,
    /// Nonzero once an invalidation has detached it.
    detached: AtomicUsize,
    /// A load that has its turn waits for this one.
    hurry: Notify,
    begun: Mutex<Option<Begun>>,
    /// The stamps that the load began under.
    stamps: Mutex<Vec<Key>>,
    /// Nonzero once nobody may join any more, though the result may still be kept.
    closed: AtomicUsize,
    /// Nonzero where the load goes on though nobody waits.
    behind: AtomicUsize,
}

impl Flight {
    fn new(key: Key, shard: usize, now: Timestamp, limit: Duration) -> Self {
        Self {
            key,
            shard,
            deadline: now.saturating_add(limit),
            limit,
            patience: now.saturating_add(limit / 2),
            landing: Mutex::new(None),
            landed: Notify::new(),
            followers: AtomicUsize::new(0),
            left: Notify::new(),
            detached: AtomicUsize::new(0),
            hurry: Notify::new(),
            begun: Mutex::new(None),
            stamps: Mutex::new(Vec::new()),
            closed: AtomicUsize::new(0),
            behind: AtomicUsize::new(0),
        }
    }

    /// Whether an invalidation in this process has overtaken the load.
    pub(crate) fn is_detached(&self) -> bool {
        self.detached.load(Ordering::SeqCst) != 0
    }

    /// Whether the load began under one of these stamps.
    pub(crate) fn is_under(&self, stamps: &[Key]) -> bool {
        self.stamps().iter().any(|stamp| stamps.contains(stamp))
    }

    /// The stamps that the load began under.
    pub(crate) fn under(&self) -> Box<[Key]> {
        self.stamps().as_slice().into()
    }

    fn stamps(&self) -> MutexGuard<'_, Vec<Key>> {
        self.stamps.lock().expect("no code panics while it holds these")
    }

    /// From now on the load goes on though nobody waits for it.
    pub(crate) fn stay(&self) {
        self.behind.store(1, Ordering::SeqCst);
    }

    /// Resolves when the flight has landed, without being one of those it flies for.
    pub(crate) async fn ended(&self) {
        loop {
            let mut landed = pin!(self.landed.notified());
            landed.as_mut().enable();
            if self.landing().is_some() {
                return;
            }
            landed.await;
        }
    }

    /// Publishes how it ended unless that was published before, which `false` says.
    fn publish(&self, landing: Landing) -> bool {
        let mut published = self.landing();
        if published.is_some() {
            return false;
        }
        *published = Some(landing);
        drop(published);
        self.landed.notify_waiters();
        true
    }

    fn landing(&self) -> MutexGuard<'_, Option<Landing>> {
        self.landing.lock().expect("no code panics while it holds a landing")
    }

    /// Lets the load begin before its turn.
    pub(crate) fn hurry(&self) {
        self.hurry.notify_one();
    }

    /// Resolves when the load is not to wait for its turn any more, however often it is asked.
    pub(crate) async fn hurried(&self) {
        self.hurry.notified().await;
        self.hurry.notify_one();
    }

    /// As [`ended`](Self::ended), for the leader of `next`, which begins after it: who hurries that waits for this one, too.
    pub(crate) async fn ended_before(&self, next: &Self) {
        let hurry = async {
            next.hurried().await;
            self.hurry();
            pending::<()>().await;
        };
        select(pin!(self.ended()), pin!(hurry)).await;
    }

    fn is_unwatched(&self) -> bool {
        self.followers.load(Ordering::SeqCst) == 0 && self.behind.load(Ordering::SeqCst) == 0
    }

    /// Resolves when nobody waits for the landing (any more).
    pub(crate) async fn unwatched(&self) {
        loop {
            let mut left = pin!(self.left.notified());
            // Registered before looking: a follower that leaves in between is not missed.
            left.as_mut().enable();
            if self.is_unwatched() {
                return;
            }
            left.await;
        }
    }
}
