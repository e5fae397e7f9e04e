//! Stamps: the random marks of tags and namespaces, kept in the store beside the entries that hold them.
//!
//! Invalidating a tag or namespace is a confirmed delete of its stamp. An entry is valid while every stamp that it holds is
//! the one in the store; one that is absent makes it invalid, as does one that cannot be read.

use std::{collections::HashMap, sync::Arc};

use futures_util::future::join_all;

use super::{
    inner::Inner,
    marks::{read_mark, stamp_end, stamp_value},
    ops::Operation,
};
use crate::{
    Error, ErrorKind, Expiry, Key, Namespace, Result, Timestamp, Version,
    entry::{Stamp, StampOf},
    flight::Faults,
    observe::Counter,
    quarantine::Doubt,
};

/// How a namespace is cleared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ClearBy {
    /// By the store's own `clear`, which removes the entries. Costs entries nothing. A store without one (Memcached) refuses.
    #[default]
    Store,
    /// By a stamp that every entry holds for each of the namespaces it is in, at most four of them, counted from the cache's own:
    /// clearing takes one round trip whatever is in there, a hit one more read. The entries themselves go when they
    /// expire. Plain integers are then ordinary values, and `increment` is refused: a counter cannot hold a stamp.
    Stamps,
}

/// The most namespaces whose stamps an entry holds.
const MAX_DEPTHS: usize = 4;
/// The most stamps read in one call to the store.
const READ_AT_ONCE: usize = 1024;
/// How often to begin anew where another process made or deleted the stamp at the same time.
const ROUNDS: usize = 8;

/// A stamp that the store has confirmed.
#[derive(Clone, Debug)]
pub(super) struct Confirmed {
    pub(super) stamp: Stamp,
    pub(super) key: Key,
    /// When the store lets it go.
    until: Timestamp,
}

impl Inner {
    /// What an entry under `key` with these tags is to be stamped with.
    pub(super) fn stamps_wanted(&self, key: &Key, tags: &[Box<str>]) -> Vec<StampOf> {
        let namespaces = self.namespace_depths(key).map(StampOf::Namespace);
        namespaces.chain(tags.iter().cloned().map(StampOf::Tag)).collect()
    }

    /// The namespaces of `key` that are cleared by stamps: how many components each has.
    pub(super) fn namespace_depths(&self, key: &Key) -> impl Iterator<Item = u8> + use<> {
        let depths = match self.clear_by {
            ClearBy::Store => 0..0,
            ClearBy::Stamps => {
                let own = self.root.depth();
                own..(key.depth() + 1).min(own + MAX_DEPTHS)
            }
        };
        depths.map(|depth| u8::try_from(depth).expect("a path of 96 bytes has fewer components"))
    }

    /// Where the stamp of an entry under `key` is kept. Tags are those of the cache's own namespace.
    pub(super) fn stamp_key(&self, key: &Key, of: &StampOf) -> Key {
        match of {
            StampOf::Tag(name) => self.tag_key(name),
            // What is no such key was never invalidated, nor made: it is absent.
            StampOf::Elsewhere(kept) => Key::parse_reserved(kept).unwrap_or_else(|| Key::reserved("x")),
            StampOf::Namespace(depth) => Key::reserved(&format!("n{}", key.ancestor(usize::from(*depth)))),
        }
    }

    pub(super) fn tag_key(&self, name: &str) -> Key {
        Key::reserved(&format!("t{}{name}", self.root.key_start()))
    }

    /// The stamp that clears `namespace`; an error where it is too deep to have one.
    pub(super) fn namespace_stamp(&self, namespace: &Namespace) -> Result<Key> {
        if namespace.depth() >= self.root.depth() + MAX_DEPTHS {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("a namespace cleared by stamps may be {MAX_DEPTHS} levels deep, this one is deeper"),
            ));
        }
        Ok(Key::reserved(&format!("n{}", namespace.as_str())))
    }

    /// Whether an entry under `key` that holds `stamps` may be served: all that it must hold are there, and each is the one in
    /// the store. `None` where that cannot be told without I/O.
    pub(super) fn stamps_hold_now(&self, key: &Key, stamps: &[Stamp], now: Timestamp) -> Option<bool> {
        if !self.has_its_namespaces(key, stamps) {
            return Some(false);
        }
        for stamp in stamps {
            let at = self.stamp_key(key, &stamp.of);
            let current = match self.remembered(&at, now) {
                Some(mark) => Some(mark),
                None => self
                    .handle
                    .store
                    .peek(&at, now)?
                    .and_then(|value| read_mark(&value))
                    .map(|(mark, _)| mark),
            };
            if current != Some(stamp.mark) {
                return Some(false);
            }
        }
        Some(true)
    }

    /// As [`stamps_hold_now`](Self::stamps_hold_now), asking the store.
    pub(super) async fn stamps_hold(self: &Arc<Self>, key: &Key, stamps: &[Stamp]) -> Result<bool> {
        if stamps.is_empty() && self.has_its_namespaces(key, stamps) {
            return Ok(true);
        }
        self.all_stamps_hold(&[(key, stamps)]).await.remove(0)
    }

    /// The same for many entries, whose stamps are read in one call, each once.
    pub(super) async fn all_stamps_hold(self: &Arc<Self>, entries: &[(&Key, &[Stamp])]) -> Vec<Result<bool>> {
        if self.handle.flights.has(Faults::STAMPS_UNCHECKED) {
            return entries.iter().map(|_| Ok(true)).collect();
        }
        let complete: Vec<bool> =
            entries.iter().map(|(key, stamps)| self.has_its_namespaces(key, stamps)).collect();
        // Of what is invalid as it is, no stamp is read.
        let asked = entries.iter().zip(&complete);
        let asked = asked.map(|((key, stamps), complete)| (*key, if *complete { *stamps } else { &[] }));
        let valid = self.marks_hold(asked).await;
        valid.into_iter().zip(complete).map(|(valid, complete)| Ok(valid? && complete)).collect()
    }

    /// For each of these lists of stamps: whether each is the one in the store.
    pub(super) async fn marks_hold<'a>(
        self: &Arc<Self>,
        entries: impl Iterator<Item = (&'a Key, &'a [Stamp])>,
    ) -> Vec<Result<bool>> {
        let now = self.clock.now();
        let (mut keys, mut places) = (Vec::new(), HashMap::new());
        let mut asked: Vec<Vec<(usize, [u8; 16])>> = Vec::new();
        for (key, stamps) in entries {
            let mut of_entry = Vec::with_capacity(stamps.len());
            for stamp in stamps {
                let at = self.stamp_key(key, &stamp.of);
                if self.remembered(&at, now) != Some(stamp.mark) {
                    let place = *places.entry(at).or_insert_with_key(|at| {
                        keys.push(at.clone());
                        keys.len() - 1
                    });
                    of_entry.push((place, stamp.mark));
                }
            }
            asked.push(of_entry);
        }
        let reads = join_all(keys.chunks(READ_AT_ONCE).map(|some| self.read_marks(some))).await;
        let current: Vec<_> = reads.into_iter().flatten().collect();
        asked
            .into_iter()
            .map(|of_entry| {
                let mut all = true;
                for (place, held) in of_entry {
                    if let Some((mark, _)) = current[place].as_ref().map_err(Error::clone)? {
                        all &= *mark == held;
                    } else {
                        self.counters.add(Counter::StampsMissing, 1);
                        all = false;
                    }
                }
                Ok(all)
            })
            .collect()
    }

    pub(super) fn has_its_namespaces(&self, key: &Key, stamps: &[Stamp]) -> bool {
        self.namespace_depths(key).all(|depth| {
            stamps.iter().any(|stamp| matches!(stamp.of, StampOf::Namespace(held) if held == depth))
        })
    }

    fn remembered(&self, key: &Key, now: Timestamp) -> Option<[u8; 16]> {
        // What could not be invalidated is not believed, whatever was read before.
        if self.stamp_staleness.is_zero() || self.handle.flights.quarantine.of(key) != Doubt::None {
            return None;
        }
        self.remembered.get(key, now.saturating_sub(self.stamp_staleness))
    }

    /// The marks under these keys in the store, and until when it keeps each.
    async fn read_marks(self: &Arc<Self>, keys: &[Key]) -> Vec<Result<Option<([u8; 16], Timestamp)>>> {
        let (now, forgotten) = (self.clock.now(), self.remembered.forgotten());
        // A stamp whose delete failed is not to be believed until it succeeds.
        let served = join_all(keys.iter().map(|key| self.is_served(key))).await;
        let found = match keys {
            [] => Vec::new(),
            [key] => vec![self.point(Operation::idempotent("get"), self.handle.store.get(key)).await],
            _ => {
                self.batched(Operation::idempotent("get_many"), keys.len(), self.handle.store.get_many(keys))
                    .await
            }
        };
        let marks = keys.iter().zip(found).zip(served).map(|((key, value), served)| {
            if !served {
                return Err(super::write::in_doubt());
            }
            let mark = value?.and_then(|value| read_mark(&value));
            if let Some((mark, _)) = mark
                && !self.stamp_staleness.is_zero()
            {
                self.remembered.put(key, mark, now, now.saturating_sub(self.stamp_staleness), forgotten);
            }
            Ok(mark)
        });
        marks.collect()
    }

    /// The stamps of an entry that is about to be loaded or written and lives until `expires`: read in one batch, made where there
    /// are none, renewed where they would end before the entry does.
    pub(super) async fn confirm_stamps(
        self: &Arc<Self>,
        key: &Key,
        wanted: Vec<StampOf>,
        expires: Timestamp,
    ) -> Result<Vec<Confirmed>> {
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let keys: Vec<Key> = wanted.iter().map(|of| self.stamp_key(key, of)).collect();
        let marks = self.read_marks(&keys).await;
        let mut confirmed = Vec::with_capacity(wanted.len());
        for ((of, key), mark) in wanted.into_iter().zip(keys).zip(marks) {
            let (mark, until) = match mark? {
                Some((mark, until)) if until >= expires => (mark, until),
                _ => self.make_stamp(&key, expires).await?,
            };
            confirmed.push(Confirmed { stamp: Stamp { of, mark }, key, until });
        }
        Ok(confirmed)
    }

    /// Lets the stamps that an entry holds live until `expires`; `false` if one was invalidated.
    pub(super) async fn prolong_held(
        self: &Arc<Self>,
        key: &Key,
        stamps: Vec<Stamp>,
        expires: Timestamp,
    ) -> Result<bool> {
        let (wanted, marks): (Vec<_>, Vec<_>) =
            stamps.into_iter().map(|stamp| (stamp.of, stamp.mark)).unzip();
        let confirmed = self.confirm_stamps(key, wanted, expires).await?;
        Ok(confirmed.iter().zip(marks).all(|(confirmed, mark)| confirmed.stamp.mark == mark))
    }

    /// Lets stamps that were confirmed before live until `expires`; `false` if one was invalidated since.
    pub(super) async fn prolong_stamps(
        self: &Arc<Self>,
        stamps: &[Confirmed],
        expires: Timestamp,
    ) -> Result<bool> {
        for confirmed in stamps.iter().filter(|confirmed| confirmed.until < expires) {
            let (mark, _) = self.make_stamp(&confirmed.key, expires).await?;
            if mark != confirmed.stamp.mark {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Makes a stamp, or lets the one that is there live longer. Never by a plain write: that could undo an invalidation.
    async fn make_stamp(self: &Arc<Self>, key: &Key, expires: Timestamp) -> Result<([u8; 16], Timestamp)> {
        for _ in 0..ROUNDS {
            let now = self.clock.now();
            let until = stamp_end(now, expires);
            let call = self.handle.store.get_versioned(key);
            let found = self.point(Operation::idempotent("get_versioned"), call).await?;
            let (mark, written) =
                match found.as_ref().and_then(|(value, version)| Some((read_mark(value)?, version))) {
                    Some(((mark, has), _)) if has >= expires => return Ok((mark, has)),
                    Some(((mark, _), version)) => {
                        (mark, self.replace_stamp(key, version, mark, until, now).await?)
                    }
                    None => {
                        let mark = self.random.nonce();
                        let written = if let Some((_, version)) = &found {
                            // Not a stamp: whatever it is stands in the way.
                            self.replace_stamp(key, version, mark, until, now).await?
                        } else {
                            let (value, ends) = (stamp_value(mark, until), Expiry::until(until, now));
                            self.point(Operation::once("add"), self.handle.store.add(key, value, ends))
                                .await?
                                .is_some()
                        };
                        (mark, written)
                    }
                };
            if written {
                return Ok((mark, until));
            }
        }
        Err(Error::new(
            ErrorKind::Overloaded,
            "a tag or namespace is invalidated without pause: its stamp did not hold still",
        ))
    }

    async fn replace_stamp(
        self: &Arc<Self>,
        key: &Key,
        version: &Version,
        mark: [u8; 16],
        until: Timestamp,
        now: Timestamp,
    ) -> Result<bool> {
        let call =
            self.handle.store.replace(key, version, stamp_value(mark, until), Expiry::until(until, now));
        Ok(self.point(Operation::once("replace"), call).await?.is_some())
    }

    /// Where the epoch of this cache's tags is kept.
    pub(super) fn epoch_key(&self) -> Key {
        Key::reserved(&format!("e{}", self.root.key_start()))
    }

    /// The tag epoch, which every invalidation of a tag renews before the tag's own stamp.
    pub(super) async fn read_epoch(self: &Arc<Self>) -> Result<[u8; 16]> {
        let key = self.epoch_key();
        if !self.is_served(&key).await {
            return Err(super::write::in_doubt());
        }
        let value = self.point(Operation::idempotent("get"), self.handle.store.get(&key)).await?;
        match value.and_then(|value| read_mark(&value)) {
            Some((mark, _)) => Ok(mark),
            // Absent is no state of it: it might have been another one, and evicted, twice.
            None => Ok(self.make_stamp(&key, Timestamp::MAX).await?.0),
        }
    }

    /// Renews the tag epoch.
    pub(super) async fn renew_epoch(self: &Arc<Self>) -> Result<()> {
        let key = self.epoch_key();
        let value = stamp_value(self.random.nonce(), Timestamp::MAX);
        self.store_value(&key, value, Expiry::Never).await
    }
}
