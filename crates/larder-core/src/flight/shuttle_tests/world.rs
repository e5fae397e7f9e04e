//! What the flight table stands between: a row, a store, and tasks that read and write them.

use std::{
    pin::pin,
    sync::{Mutex as Plain, PoisonError},
    time::Duration,
};

use futures_util::future::{Either, select};
use shuttle::{
    future::{JoinHandle, spawn, yield_now},
    rand::{Rng, thread_rng},
};

use super::super::{Caller, Faults, Fence, FlightTable, Landing, LeaderGuard, Place, Settling, Sight};
use crate::{
    Error, ErrorKind, Kept, Key, Namespace, NotKept, Timestamp, Value,
    quarantine::Doubt,
    sync::{Arc, AtomicU64, Mutex, Ordering},
};

/// How often each lets others go on, at most: a writer at once would mostly commit before the first load reads, and what takes
/// a load's time is what it waits for.
const WRITER_STEPS: usize = 40;
const LOAD_STEPS: usize = 80;
const READER_STEPS: usize = 20;

/// How a writer invalidates.
#[derive(Clone, Copy)]
pub(super) enum What {
    Key(usize),
    Namespace,
    Stamp,
}

pub(super) struct World {
    table: Arc<FlightTable>,
    keys: [Key; 2],
    namespace: Namespace,
    stamp: Key,
    /// The version of the row that every load reads.
    row: AtomicU64,
    store: Mutex<Store>,
    ledger: Plain<Ledger>,
}

#[derive(Default)]
struct Store {
    entries: [Option<Entry>; 2],
    stamp: u64,
}

/// A row version, and the stamp it was loaded under.
#[derive(Clone, Copy)]
struct Entry {
    row: u64,
    stamp: u64,
}

/// The test's own book, which gives Shuttle no choices.
#[derive(Default)]
struct Ledger {
    /// The newest row version whose invalidation was acknowledged, for each key.
    acknowledged: [u64; 2],
    violation: Option<String>,
    loads: Vec<JoinHandle<()>>,
    /// Loads that ended with a row older than was acknowledged by then.
    overtaken: usize,
}

impl World {
    pub(super) fn new(faults: Faults) -> Self {
        let namespace = Namespace::root().child("cleared").expect("it is short");
        let table = FlightTable::new();
        table.inject(faults);
        Self {
            table: Arc::new(table),
            keys: ["a", "b"].map(|text| Key::new(&namespace, text).expect("it is short")),
            namespace,
            stamp: Key::new(&Namespace::root().child("stamps").expect("it is short"), "stamp")
                .expect("it is short"),
            row: AtomicU64::new(0),
            store: Mutex::new(Store::default()),
            ledger: Plain::new(Ledger::default()),
        }
    }

    fn ledger<T>(&self, with: impl FnOnce(&mut Ledger) -> T) -> T {
        with(&mut self.ledger.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Commits a new row, then invalidates what was loaded from the one before. One in four operations has an unknown outcome.
    pub(super) async fn writer(&self, what: What) {
        pause(WRITER_STEPS).await;
        let row = self.row.fetch_add(1, Ordering::SeqCst) + 1;
        let fence = match what {
            What::Key(at) => Fence::around_key(&self.table, &self.keys[at]).await,
            What::Namespace => Fence::around_namespace(&self.table, &self.namespace).await,
            What::Stamp => Fence::around_stamps(&self.table, std::slice::from_ref(&self.stamp)),
        };
        let (is_known, happens) = outcome();
        if happens {
            let mut store = self.store.lock().expect("no code panics while it holds the store");
            match what {
                What::Key(at) => store.entries[at] = None,
                What::Namespace => store.entries = [None; 2],
                What::Stamp => store.stamp += 1,
            }
        }
        if is_known {
            fence.confirmed();
        } else {
            fence.failed();
        }
        // Also where it is not known to have happened: what it was to remove is not served.
        self.ledger(|ledger| {
            for (at, acknowledged) in ledger.acknowledged.iter_mut().enumerate() {
                if !matches!(what, What::Key(one) if one != at) {
                    *acknowledged = row.max(*acknowledged);
                }
            }
        });
    }

    /// Reads three times.
    pub(super) async fn reader(self: &Arc<Self>, at: usize) {
        for _ in 0..3 {
            pause(READER_STEPS).await;
            let least = self.ledger(|ledger| ledger.acknowledged[at]);
            if let Some((row, how)) = self.read(at).await
                && row < least
            {
                self.violated(format!("a reader was given row {row} by {how}, after {least}"));
            }
        }
    }

    /// What a cache does: what is served, or the load that runs, or one of its own. `None` where the reader goes away.
    async fn read(self: &Arc<Self>, at: usize) -> Option<(u64, &'static str)> {
        let key = &self.keys[at];
        loop {
            let caller =
                Caller { changes: self.table.changes(key), begun: self.table.begun(), sight: Sight::Local };
            if let Some(row) = self.look(at).await {
                return Some((row, "the store"));
            }
            let mut follow =
                match self.table.join(key, caller, Timestamp::from_nanos(0), Duration::from_secs(1)) {
                    Place::Follower(follow) => follow,
                    Place::ReadAgain => continue,
                    Place::Leader { guard, recheck, after } => {
                        if let Some(after) = after {
                            after.ended().await;
                        }
                        if recheck && let Some(row) = self.look(at).await {
                            return Some((row, "the store, read again"));
                        }
                        let follow = FlightTable::follow(guard.flight());
                        let world = Arc::clone(self);
                        let load = spawn(async move { world.load(guard, at).await });
                        self.ledger(|ledger| ledger.loads.push(load));
                        follow
                    }
                };
            match thread_rng().gen_range(0..8) {
                // Goes away: a load that nobody waits for ends.
                0 => return None,
                // Its time is over.
                1 => {
                    self.table.expire(&follow.flight, &Error::new(ErrorKind::Timeout, "too late"));
                }
                _ => {}
            }
            match follow.landing().await {
                Landing::Value(Value::Int(row), _) => {
                    return Some((u64::try_from(row).expect("rows are few"), "a flight"));
                }
                Landing::Failed(_) => return None,
                _ => {}
            }
        }
    }

    /// The entry that the store has, if it may be served.
    async fn look(&self, at: usize) -> Option<u64> {
        if !self.is_served(at).await {
            return None;
        }
        let store = self.store.lock().expect("no code panics while it holds the store");
        store.entries[at].filter(|entry| entry.stamp == store.stamp).map(|entry| entry.row)
    }

    /// Deletes what is in doubt.
    async fn is_served(&self, at: usize) -> bool {
        let key = &self.keys[at];
        if self.table.quarantine.of(&self.stamp) != Doubt::None {
            return false;
        }
        match self.table.quarantine.of(key) {
            Doubt::None => return true,
            Doubt::Namespace => return false,
            Doubt::Key => {}
        }
        let Some(settling) = Settling::of(&self.table, key).await else { return false };
        if settling.is_needed() {
            let (is_known, happens) = outcome();
            if happens {
                self.store.lock().expect("no code panics while it holds the store").entries[at] = None;
            }
            if is_known {
                settling.confirmed();
            }
        }
        self.table.quarantine.of(key) == Doubt::None
    }

    /// A load in a task of its own, for as long as anybody waits for it.
    async fn load(&self, guard: LeaderGuard, at: usize) {
        let stamp = (self.table.quarantine.of(&self.stamp) == Doubt::None)
            .then(|| self.store.lock().expect("no code panics while it holds the store").stamp);
        self.table.begin(guard.flight(), None, vec![self.stamp.clone()]);
        let row = {
            let mut load = pin!(async {
                let row = self.row.load(Ordering::SeqCst);
                pause(LOAD_STEPS).await;
                row
            });
            loop {
                match select(load.as_mut(), pin!(guard.flight().unwatched())).await {
                    Either::Left((row, _)) => break row,
                    Either::Right(_) if self.table.release_unwatched(guard.flight()) => return,
                    Either::Right(_) => {}
                }
            }
        };
        let kept = self.keep(&guard, at, row, stamp);
        let overtaken = self.ledger(|ledger| row < ledger.acknowledged[at]);
        self.ledger(|ledger| ledger.overtaken += usize::from(overtaken));
        guard.land(Landing::Value(Value::Int(i64::try_from(row).expect("rows are few")), kept));
    }

    fn keep(&self, guard: &LeaderGuard, at: usize, row: u64, stamp: Option<u64>) -> Kept {
        let Some(stamp) = stamp else { return Kept::No(NotKept::StampsUnreadable) };
        if self.table.quarantine.of(guard.key()) != Doubt::None {
            return Kept::No(NotKept::InDoubt);
        }
        let Some(commit) = guard.begin_commit() else { return Kept::No(NotKept::Invalidated) };
        let (is_known, happens) = outcome();
        if happens {
            self.store.lock().expect("no code panics while it holds the store").entries[at] =
                Some(Entry { row, stamp });
        }
        if !is_known {
            return Kept::No(NotKept::StoreFailed);
        }
        commit.known();
        Kept::Yes
    }

    /// Waits for the loads that were left alone, too.
    pub(super) async fn all_loads_ended(&self) {
        while let Some(load) = self.ledger(|ledger| ledger.loads.pop()) {
            load.await.expect("nobody aborts it");
        }
    }

    fn violated(&self, what: String) {
        self.ledger(|ledger| {
            ledger.violation.get_or_insert(what);
        });
    }

    /// Once everyone is done: nobody was served too old a row, nobody would be, and the table is empty. Returns how many
    /// loads an invalidation has overtaken.
    pub(super) fn examine(&self) -> usize {
        let acknowledged = self.ledger(|ledger| ledger.acknowledged);
        let store = self.store.lock().expect("no code panics while it holds the store");
        for (at, key) in self.keys.iter().enumerate() {
            let is_served = [key, &self.stamp].iter().all(|key| self.table.quarantine.of(key) == Doubt::None);
            if let Some(entry) = store.entries[at]
                && is_served
                && entry.stamp == store.stamp
                && entry.row < acknowledged[at]
            {
                self.violated(format!("row {} was kept, after {}", entry.row, acknowledged[at]));
            }
        }
        drop(store);
        if let Some(what) = self.ledger(|ledger| ledger.violation.take()) {
            panic!("older than an acknowledged invalidation: {what}");
        }
        assert_eq!(self.table.len(), 0, "every key is forgotten in the end");
        self.ledger(|ledger| ledger.overtaken)
    }
}

/// Lets others go on, a few times.
async fn pause(most: usize) {
    for _ in 0..thread_rng().gen_range(0..=most) {
        yield_now().await;
    }
}

/// Whether an operation's outcome is known, and whether it happens.
fn outcome() -> (bool, bool) {
    match thread_rng().gen_range(0..8) {
        0 => (false, false),
        1 => (false, true),
        _ => (true, true),
    }
}
