//! The flight table: which keys are being loaded, written or invalidated in this process.

use std::{
    collections::{HashMap, hash_map::Entry},
    hash::BuildHasher,
};

use tokio::sync::oneshot;

use super::{Flight, Follow, Landing, LeaderGuard, clears::Clears, faults::Faults};
use crate::{
    Error, Key, Namespace, Timestamp,
    quarantine::Quarantine,
    sync::{Arc, AtomicU64, Mutex, MutexGuard, Ordering},
};

/// Enough that two busy keys seldom share a lock; the locks are held for a few instructions.
const SHARDS: usize = 64;

/// The state of every key that has a flight, or an invalidation under way. Belongs to the store handle, so that every
/// cache over it sees the same.
pub(crate) struct FlightTable {
    shards: Box<[Shard]>,
    hasher: foldhash::fast::RandomState,
    pub(super) clears: Clears,
    pub(crate) quarantine: Quarantine,
    #[cfg(feature = "faults")]
    faults: crate::sync::AtomicUsize,
}

#[derive(Default)]
struct Shard {
    slots: Mutex<HashMap<Key, Slot, foldhash::fast::RandomState>>,
    /// Counts what changed the store: a caller who read a miss before a change reads again before it loads.
    changes: AtomicU64,
}

#[derive(Default)]
pub(super) struct Slot {
    /// The flight that callers may join.
    current: Option<Arc<Flight>>,
    /// A result is being written, or a doubt settled.
    writing: bool,
    /// Dropped, and so woken, when that is over.
    waiting: Vec<oneshot::Sender<()>>,
    /// Invalidations under way.
    invalidations: u32,
}

impl Slot {
    fn is_idle(&self) -> bool {
        self.current.is_none() && !self.writing && self.invalidations == 0
    }

    /// Resolves when the write under way is over.
    fn write_to_wait_for(&mut self) -> Option<oneshot::Receiver<()>> {
        if !self.writing {
            return None;
        }
        let (waiting, over) = oneshot::channel();
        self.waiting.push(waiting);
        Some(over)
    }
}

/// The right to write under a key, or to settle it. One at a time, except where an exam has switched the fence off.
#[must_use = "until `end_write` every invalidation of the key waits"]
pub(super) struct Writing {
    is_fenced: bool,
}

/// Where a caller who missed finds itself.
pub(crate) enum Place {
    /// It leads: it must load, or drop the guard. The store may have changed since it read its miss where `recheck` says so.
    Leader { guard: LeaderGuard, recheck: bool },
    /// Someone loads already.
    Follower(Follow),
}

impl FlightTable {
    pub(crate) fn new() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Shard::default()).collect(),
            hasher: foldhash::fast::RandomState::default(),
            clears: Clears::default(),
            quarantine: Quarantine::default(),
            #[cfg(feature = "faults")]
            faults: crate::sync::AtomicUsize::new(0),
        }
    }

    fn shard(&self, key: &Key) -> &Shard {
        let hash = self.hasher.hash_one(key.as_str());
        &self.shards[usize::try_from(hash % SHARDS as u64).expect("less than the number of shards")]
    }

    /// How often the store changed under keys like this one: read it before reading the store, and give it to
    /// [`join`](Self::join).
    pub(crate) fn changes(&self, key: &Key) -> u64 {
        self.shard(key).changes.load(Ordering::Acquire)
    }

    /// Joins the current flight of `key`, or starts one.
    pub(crate) fn join(self: &Arc<Self>, key: &Key, seen: u64, deadline: Timestamp) -> Place {
        let shard = self.shard(key);
        let mut slots = lock(&shard.slots);
        let slot = match slots.entry(key.clone()) {
            Entry::Occupied(slot) => slot.into_mut(),
            Entry::Vacant(slot) => slot.insert(Slot::default()),
        };
        if let Some(flight) = &slot.current {
            return Place::Follower(Follow::new(flight));
        }
        let flight = Arc::new(Flight::new(key.clone(), deadline));
        slot.current = Some(Arc::clone(&flight));
        let recheck = shard.changes.load(Ordering::Acquire) != seen;
        Place::Leader { guard: LeaderGuard::new(Arc::clone(self), flight), recheck }
    }

    /// A hold on a flight for its own leader.
    pub(crate) fn follow(flight: &Arc<Flight>) -> Follow {
        Follow::new(flight)
    }

    /// Publishes how the flight ended, and frees the key.
    pub(super) fn land(&self, flight: &Arc<Flight>, landing: Landing) {
        self.release(flight);
        // After the deadline everyone has been told so already.
        flight.publish(landing);
    }

    /// Frees the key of a flight that ended or is past its deadline: the next caller starts a new one.
    fn release(&self, flight: &Arc<Flight>) {
        let mut slots = lock(&self.shard(&flight.key).slots);
        forget(&mut slots, flight);
    }

    /// Ends a flight that is past its deadline, whatever its load does. `true` for the first to say so.
    pub(crate) fn expire(&self, flight: &Arc<Flight>, error: &Error) -> bool {
        self.release(flight);
        flight.publish(Landing::Failed(error.clone()))
    }

    /// Frees the key if nobody waits for the flight. A caller who joins at the same time is seen here, or sees none.
    pub(crate) fn release_unwatched(&self, flight: &Arc<Flight>) -> bool {
        let mut slots = lock(&self.shard(&flight.key).slots);
        if !flight.is_unwatched() {
            return false;
        }
        forget(&mut slots, flight);
        true
    }

    /// Claims the right to write the flight's result: `None` if an invalidation came between. Until
    /// [`end_write`](Self::end_write), invalidations of the key wait.
    pub(super) fn begin_write(&self, flight: &Arc<Flight>) -> Option<Writing> {
        let mut slots = lock(&self.shard(&flight.key).slots);
        if self.has(Faults::NO_FENCE) || self.has(Faults::COMMIT_BY_SET) && !is_detached(flight) {
            return Some(Writing { is_fenced: false });
        }
        let slot = slots.get_mut(&flight.key)?;
        let current = slot.current.as_ref().is_some_and(|current| Arc::ptr_eq(current, flight));
        if !current
            || is_detached(flight)
            || slot.invalidations > 0
            || slot.writing
            || self.clears.cover(&flight.key)
        {
            return None;
        }
        slot.writing = true;
        Some(Writing { is_fenced: true })
    }

    /// Claims the right to delete a key in doubt, without detaching its flight: a doubt keeps results from being written
    /// anyway. It excludes writes of the key, in both directions, lest the delete removes what was written after it
    /// was sent.
    pub(super) fn begin_settling(&self, key: &Key) -> Result<Writing, Option<oneshot::Receiver<()>>> {
        let mut slots = lock(&self.shard(key).slots);
        let slot = slots.entry(key.clone()).or_default();
        if slot.writing || slot.invalidations > 0 {
            return Err(slot.write_to_wait_for());
        }
        slot.writing = true;
        Ok(Writing { is_fenced: true })
    }

    /// The write is over, whatever became of it.
    #[expect(clippy::needless_pass_by_value, reason = "the right to write is given back")]
    pub(super) fn end_write(&self, key: &Key, writing: Writing) {
        let shard = self.shard(key);
        let mut slots = lock(&shard.slots);
        let mut woken = Vec::new();
        if let Some(slot) = slots.get_mut(key)
            && writing.is_fenced
        {
            slot.writing = false;
            woken = std::mem::take(&mut slot.waiting);
        }
        shard.changes.fetch_add(1, Ordering::Release);
        remove_if_idle(&mut slots, key);
        drop(slots);
        // Whoever waits is woken outside the lock.
        drop(woken);
    }

    /// An invalidation of `key` begins: detaches its flight and returns the write to wait for, if there is one.
    pub(super) fn begin_invalidation(&self, key: &Key) -> Option<oneshot::Receiver<()>> {
        let mut slots = lock(&self.shard(key).slots);
        let slot = slots.entry(key.clone()).or_default();
        slot.invalidations += 1;
        self.detach(slot);
        slot.write_to_wait_for()
    }

    /// It is over: detaches what began meanwhile.
    pub(super) fn end_invalidation(&self, key: &Key) {
        let shard = self.shard(key);
        let mut slots = lock(&shard.slots);
        if let Some(slot) = slots.get_mut(key) {
            slot.invalidations = slot.invalidations.saturating_sub(1);
            self.detach(slot);
        }
        shard.changes.fetch_add(1, Ordering::Release);
        remove_if_idle(&mut slots, key);
    }

    /// Detaches every flight in `namespace`, and returns the writes to wait for.
    pub(super) fn detach_all(&self, namespace: &Namespace) -> Vec<oneshot::Receiver<()>> {
        let mut writes = Vec::new();
        for shard in &self.shards {
            let mut slots = lock(&shard.slots);
            for (_, slot) in slots.iter_mut().filter(|(key, _)| namespace.contains(key)) {
                self.detach(slot);
                writes.extend(slot.write_to_wait_for());
            }
            slots.retain(|_, slot| !slot.is_idle());
            shard.changes.fetch_add(1, Ordering::Release);
        }
        writes
    }

    fn detach(&self, slot: &mut Slot) {
        if self.has(Faults::NO_FENCE) {
            return;
        }
        if let Some(flight) = &slot.current {
            flight.detached.store(1, Ordering::SeqCst);
        }
        if !self.has(Faults::NAIVE_JOIN) {
            slot.current = None;
        }
    }

    #[cfg(feature = "faults")]
    fn has(&self, fault: Faults) -> bool {
        Faults::from_bits(self.faults.load(Ordering::Relaxed)).contains(fault)
    }

    /// Outside of exams every rule is in force, and this is nothing.
    #[cfg(not(feature = "faults"))]
    #[expect(clippy::unused_self, reason = "the same call as with the feature")]
    const fn has(&self, _fault: Faults) -> bool {
        false
    }

    #[cfg(feature = "faults")]
    pub(crate) fn inject(&self, faults: Faults) {
        self.faults.store(faults.bits(), Ordering::Relaxed);
    }

    /// How many keys have any state here: for tests that look for leaks.
    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock(&shard.slots).len()).sum()
    }
}

type Slots = HashMap<Key, Slot, foldhash::fast::RandomState>;

fn lock(slots: &Mutex<Slots>) -> MutexGuard<'_, Slots> {
    slots.lock().expect("no code panics while it holds a shard")
}

fn is_detached(flight: &Flight) -> bool {
    flight.detached.load(Ordering::SeqCst) != 0
}

fn forget(slots: &mut Slots, flight: &Arc<Flight>) {
    if let Some(slot) = slots.get_mut(&flight.key)
        && slot.current.as_ref().is_some_and(|current| Arc::ptr_eq(current, flight))
    {
        slot.current = None;
    }
    remove_if_idle(slots, &flight.key);
}

fn remove_if_idle(slots: &mut Slots, key: &Key) {
    if slots.get(key).is_some_and(Slot::is_idle) {
        slots.remove(key);
    }
}
