//! Joining: which callers are given the result of a load that runs already.

use std::{collections::hash_map::Entry, time::Duration};

use super::{
    Begun, Flight, FlightTable, Follow, LeaderGuard, Nonce,
    faults::Faults,
    table::{Slot, lock},
};
use crate::{
    Key, Timestamp,
    sync::{Arc, Ordering},
};

/// Where a caller who missed finds itself.
pub(crate) enum Place {
    /// It leads: it must load, or drop the guard. The store may have changed since it read its miss where `recheck` says so.
    /// Where a load runs already whose result it may not be given, its own begins after that.
    Leader { guard: LeaderGuard, recheck: bool, after: Option<Arc<Flight>> },
    /// Someone loads already.
    Follower(Follow),
    /// A load began after the caller's read did: only another read can tell whether to join it.
    ReadAgain,
}

/// What a caller who missed knows.
#[derive(Clone, Copy)]
pub(crate) struct Caller {
    /// [`FlightTable::changes`], before its read.
    pub(crate) changes: u64,
    /// [`FlightTable::begun`], before its read.
    pub(crate) begun: u64,
    pub(crate) sight: Sight,
}

/// What a caller's own read says of a load that has begun.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sight {
    /// Nothing needs saying: every invalidation is seen in this process.
    Local,
    /// The live lease that it saw, if there was one.
    Lease(Option<Nonce>),
    /// It could not read.
    Blind,
    /// It wants what is loaded from now on.
    Later,
}

/// Whether a caller may be given the result of the current flight.
enum Joining {
    /// `early` where it has not begun.
    Yes {
        early: bool,
    },
    /// Its lease is void.
    Void,
    /// Nobody can tell.
    Unknown,
    ReadAgain,
}

impl FlightTable {
    /// How many loads have begun: read it before reading the store, and give it to [`join`](Self::join).
    pub(crate) fn begun(&self) -> u64 {
        self.begun.load(Ordering::SeqCst)
    }

    /// Joins the current flight of `key`, or starts one.
    pub(crate) fn join(
        self: &Arc<Self>,
        key: &Key,
        caller: Caller,
        now: Timestamp,
        limit: Duration,
    ) -> Place {
        let number = self.shard_of(key);
        let shard = &self.shards[number];
        let mut slots = lock(&shard.slots);
        let slot = match slots.entry(key.clone()) {
            Entry::Occupied(slot) => slot.into_mut(),
            Entry::Vacant(slot) => slot.insert(Slot::default()),
        };
        let mut after = None;
        if let Some(flight) = &slot.current {
            match self.joining(flight, caller) {
                Joining::Yes { early } => return Place::Follower(Follow::new(flight, early)),
                Joining::ReadAgain => return Place::ReadAgain,
                Joining::Void => self.detach(slot),
                // Its result may well be kept: whoever comes later leads another one after it.
                Joining::Unknown => {
                    after = slot.current.take();
                    slot.former.clone_from(&after);
                }
            }
        }
        let flight = Arc::new(Flight::new(key.clone(), number, now, limit));
        slot.current = Some(Arc::clone(&flight));
        let recheck = after.is_some() || shard.changes.load(Ordering::Acquire) != caller.changes;
        Place::Leader { guard: LeaderGuard::new(Arc::clone(self), flight), recheck, after }
    }

    fn joining(&self, flight: &Flight, caller: Caller) -> Joining {
        if flight.closed.load(Ordering::SeqCst) != 0 {
            return Joining::Unknown;
        }
        let begun = *flight.begun.lock().expect("no code panics while it holds this");
        match (begun, caller.sight) {
            (None, _) => Joining::Yes { early: true },
            (Some(_), Sight::Local) => Joining::Yes { early: false },
            (Some(_), _) if self.has(Faults::NAIVE_JOIN) => Joining::Yes { early: false },
            (Some(Begun { nonce: Some(nonce), at }), Sight::Lease(saw)) => {
                if saw == Some(nonce) {
                    Joining::Yes { early: false }
                } else if at > caller.begun {
                    Joining::ReadAgain
                } else {
                    Joining::Void
                }
            }
            (Some(_), _) => Joining::Unknown,
        }
    }

    /// The load begins: from now on a caller joins it only by what its own read saw.
    pub(crate) fn begin(&self, flight: &Flight, nonce: Option<Nonce>, stamps: Vec<Key>) {
        *flight.stamps() = stamps;
        let _slots = lock(&self.shards[flight.shard].slots);
        let at = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
        *flight.begun.lock().expect("no code panics while it holds this") = Some(Begun { at, nonce });
    }

    /// From now on nobody joins the flight, though its result may still be kept.
    pub(crate) fn close(&self, flight: &Flight) {
        let _slots = lock(&self.shards[flight.shard].slots);
        flight.closed.store(1, Ordering::SeqCst);
    }
}
