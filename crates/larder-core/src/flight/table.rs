//! The flight table: which keys are being loaded, written or invalidated in this process.

use std::{collections::HashMap, hash::BuildHasher};

use tokio::sync::oneshot;

use super::{Abandoned, Failures, Flight, Follow, Landing, clears::Clears, faults::Faults};
use crate::{
    Error, Key, Namespace,
    quarantine::Quarantine,
    sync::{Arc, AtomicU64, AtomicUsize, Mutex, MutexGuard, Ordering},
};

/// Enough that two busy keys seldom share a lock; the locks are held for a few instructions. A model checker has a choice
/// to make at each, and spends its choices better elsewhere.
const SHARDS: usize = if cfg!(shuttle) { 2 } else { 64 };

/// Other keys share a lock in each process, so that nobody outside can choose which.
#[cfg(not(feature = "faults"))]
type Hasher = foldhash::fast::RandomState;
/// Exams that repeat a run by its seed need the same ones to share it.
#[cfg(feature = "faults")]
type Hasher = foldhash::fast::FixedState;

/// The state of every key that has a flight, or an invalidation under way. Belongs to the store handle, so that every
/// cache over it sees the same.
pub(crate) struct FlightTable {
    pub(super) shards: Box<[Shard]>,
    hasher: Hasher,
    pub(super) clears: Clears,
    pub(crate) failures: Failures,
    pub(crate) abandoned: Abandoned,
    /// Counts the loads that ever began.
    pub(super) begun: AtomicU64,
    /// Loads whose loaders run now, so that a hit outside of any need not ask whose part it is.
    pub(crate) loading: AtomicUsize,
    /// Nonzero once a loader named a tag that was not known before.
    pub(crate) late_tags: AtomicUsize,
    pub(crate) quarantine: Arc<Quarantine>,
    #[cfg(feature = "faults")]
    faults: AtomicUsize,
}

#[derive(Default)]
pub(super) struct Shard {
    pub(super) slots: Mutex<Slots>,
    /// Counts what changed the store: a caller who read a miss before a change reads again before it loads.
    pub(super) changes: AtomicU64,
}

#[derive(Default)]
pub(super) struct Slot {
    /// The flight that callers may join.
    pub(super) current: Option<Arc<Flight>>,
    /// The one before it, whose result may still be kept.
    pub(super) former: Option<Arc<Flight>>,
    /// A result is being written, or a doubt settled.
    writing: bool,
    /// Dropped, and so woken, when that is over.
    waiting: Vec<oneshot::Sender<()>>,
    /// Invalidations under way.
    invalidations: u32,
}

impl Slot {
    fn flights(&self) -> impl Iterator<Item = &Arc<Flight>> {
        self.current.iter().chain(&self.former)
    }

    fn is_idle(&self) -> bool {
        self.current.is_none() && self.former.is_none() && !self.writing && self.invalidations == 0
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
    shard: usize,
}

impl FlightTable {
    pub(crate) fn new() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Shard::default()).collect(),
            hasher: Hasher::default(),
            clears: Clears::default(),
            failures: Failures::default(),
            abandoned: Abandoned::default(),
            begun: AtomicU64::new(0),
            loading: AtomicUsize::new(0),
            late_tags: AtomicUsize::new(0),
            quarantine: Arc::new(Quarantine::default()),
            #[cfg(feature = "faults")]
            faults: AtomicUsize::new(0),
        }
    }

    pub(super) fn shard(&self, key: &Key) -> &Shard {
        &self.shards[self.shard_of(key)]
    }

    /// The number of a key's shard. A flight remembers its own.
    pub(super) fn shard_of(&self, key: &Key) -> usize {
        let hash = self.hasher.hash_one(key.as_str());
        usize::try_from(hash % SHARDS as u64).expect("less than the number of shards")
    }

    /// How often the store changed under keys like this one: read it before reading the store, and give it to
    /// [`join`](Self::join).
    pub(crate) fn changes(&self, key: &Key) -> u64 {
        self.shard(key).changes.load(Ordering::Acquire)
    }

    /// Detaches every flight that began under one of these stamps.
    pub(super) fn detach_stamped(&self, stamps: &[Key]) {
        for shard in &self.shards {
            let mut slots = lock(&shard.slots);
            for slot in slots.values_mut() {
                let under = slot.flights().any(|flight| flight.is_under(stamps));
                if under {
                    self.detach(slot);
                }
            }
            slots.retain(|_, slot| !slot.is_idle());
            shard.changes.fetch_add(1, Ordering::Release);
        }
        self.failures.forget_stamped(stamps);
    }

    /// A hold on a flight for its own leader.
    pub(crate) fn follow(flight: &Arc<Flight>) -> Follow {
        Follow::new(flight, false)
    }

    /// Publishes how the flight ended, and frees the key.
    pub(super) fn land(&self, flight: &Arc<Flight>, landing: Landing) {
        self.release(flight);
        // After the deadline everyone has been told so already.
        flight.publish(landing);
    }

    /// Frees the key of a flight that ended or is past its deadline: the next caller starts a new one.
    fn release(&self, flight: &Arc<Flight>) {
        let mut slots = lock(&self.shards[flight.shard].slots);
        forget(&mut slots, flight);
    }

    /// Ends a flight that is past its deadline, whatever its load does. `true` for the first to say so.
    pub(crate) fn expire(&self, flight: &Arc<Flight>, error: &Error) -> bool {
        self.release(flight);
        flight.publish(Landing::Failed(error.clone()))
    }

    /// Frees the key if nobody waits for the flight. A caller who joins at the same time is seen here, or sees none.
    pub(crate) fn release_unwatched(&self, flight: &Arc<Flight>) -> bool {
        let mut slots = lock(&self.shards[flight.shard].slots);
        if !flight.is_unwatched() {
            return false;
        }
        forget(&mut slots, flight);
        true
    }

    /// Claims the right to write the flight's result: `None` if an invalidation came between. Until
    /// [`end_write`](Self::end_write), invalidations of the key wait.
    pub(super) fn begin_write(&self, flight: &Arc<Flight>) -> Option<Writing> {
        let mut slots = lock(&self.shards[flight.shard].slots);
        if self.has(Faults::NO_FENCE) || self.has(Faults::COMMIT_BY_SET) && !is_detached(flight) {
            return Some(Writing { is_fenced: false, shard: flight.shard });
        }
        let slot = slots.get_mut(&flight.key)?;
        if !slot.flights().any(|known| Arc::ptr_eq(known, flight))
            || is_detached(flight)
            || slot.invalidations > 0
            || slot.writing
            || self.clears.cover(&flight.key)
        {
            return None;
        }
        slot.writing = true;
        Some(Writing { is_fenced: true, shard: flight.shard })
    }

    /// Claims the right to delete a key in doubt, without detaching its flight: a doubt keeps results from being written
    /// anyway. It excludes writes of the key, in both directions, lest the delete removes what was written after it
    /// was sent.
    pub(super) fn begin_settling(&self, key: &Key) -> Result<Writing, Option<oneshot::Receiver<()>>> {
        let shard = self.shard_of(key);
        let mut slots = lock(&self.shards[shard].slots);
        let slot = slots.entry(key.clone()).or_default();
        if slot.writing || slot.invalidations > 0 {
            return Err(slot.write_to_wait_for());
        }
        slot.writing = true;
        Ok(Writing { is_fenced: true, shard })
    }

    /// The write is over, whatever became of it.
    #[expect(clippy::needless_pass_by_value, reason = "the right to write is given back")]
    pub(super) fn end_write(&self, key: &Key, writing: Writing) {
        let shard = &self.shards[writing.shard];
        let mut slots = lock(&shard.slots);
        let mut woken = Vec::new();
        let mut is_idle = false;
        if let Some(slot) = slots.get_mut(key) {
            if writing.is_fenced {
                slot.writing = false;
                woken = std::mem::take(&mut slot.waiting);
            }
            is_idle = slot.is_idle();
        }
        shard.changes.fetch_add(1, Ordering::Release);
        if is_idle {
            slots.remove(key);
        }
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
        let writing = slot.write_to_wait_for();
        drop(slots);
        self.failures.forget(key);
        writing
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
        self.failures.forget_namespace(namespace);
        writes
    }

    pub(super) fn detach(&self, slot: &mut Slot) {
        if self.has(Faults::NO_FENCE) {
            return;
        }
        for flight in slot.flights() {
            flight.detached.store(1, Ordering::SeqCst);
        }
        slot.former = None;
        if !self.has(Faults::NAIVE_JOIN) {
            slot.current = None;
        }
    }

    #[cfg(feature = "faults")]
    pub(crate) fn has(&self, fault: Faults) -> bool {
        Faults::from_bits(self.faults.load(Ordering::Relaxed)).contains(fault)
    }

    /// Outside of exams every rule is in force, and this is nothing.
    #[cfg(not(feature = "faults"))]
    #[expect(clippy::unused_self, reason = "the same call as with the feature")]
    pub(crate) const fn has(&self, _fault: Faults) -> bool {
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

pub(super) type Slots = HashMap<Key, Slot, Hasher>;

pub(super) fn lock(slots: &Mutex<Slots>) -> MutexGuard<'_, Slots> {
    slots.lock().expect("no code panics while it holds a shard")
}

fn is_detached(flight: &Flight) -> bool {
    flight.is_detached()
}

fn forget(slots: &mut Slots, flight: &Arc<Flight>) {
    let Some(slot) = slots.get_mut(&flight.key) else { return };
    slot.current.take_if(|current| Arc::ptr_eq(current, flight));
    slot.former.take_if(|former| Arc::ptr_eq(former, flight));
    if slot.current.is_none() {
        // One that gave up waiting for it leaves it as the one to join: another load beside it would be kept as well.
        slot.current = slot.former.take();
    }
    if slot.is_idle() {
        slots.remove(&flight.key);
    }
}

fn remove_if_idle(slots: &mut Slots, key: &Key) {
    if slots.get(key).is_some_and(Slot::is_idle) {
        slots.remove(key);
    }
}
