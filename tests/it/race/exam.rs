//! The exam at random: many keys at once, delays at every step.

use std::{
    convert::Infallible,
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use larder_core::{Cache, Kept, NotKept, Source, StoreHandle};

use serde::{Deserialize, Serialize};

use super::{
    random::Random,
    row::{Row, Violation},
};

/// How many tasks read each key.
const READERS: u64 = 3;

/// How long an operation may take: a busy machine is no failure of what is examined.
const PATIENCE: Duration = Duration::from_mins(1);

pub(super) struct Exam {
    pub(super) keys: u64,
    /// Invalidations in all, over all keys.
    pub(super) rounds: u64,
    pub(super) seed: u64,
}

#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) rounds: u64,
    pub(super) reads: u64,
    pub(super) hits: u64,
    pub(super) loads: u64,
    pub(super) joined: u64,
    /// Loads whose result was not kept, because an invalidation overtook them.
    pub(super) overtaken: u64,
    pub(super) violations: Vec<Violation>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} rounds, {} reads ({} hits, {} loads, {} joined, {} overtaken), {} violations",
            self.rounds,
            self.reads,
            self.hits,
            self.loads,
            self.joined,
            self.overtaken,
            self.violations.len()
        )
    }
}

/// One key: its row, its cache, and what happened to it.
struct Track {
    name: String,
    cache: Cache,
    row: Row,
    random: Random,
    done: AtomicBool,
    reads: AtomicU64,
    hits: AtomicU64,
    loads: AtomicU64,
    joined: AtomicU64,
    overtaken: AtomicU64,
    violations: Mutex<Vec<Violation>>,
}

impl Exam {
    pub(super) fn run(&self, store: &StoreHandle) -> Report {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_time().build().unwrap();
        let cache =
            Cache::builder(store.clone()).namespace("race").operation_timeout(PATIENCE).build().unwrap();
        let rounds = self.rounds.div_ceil(self.keys);
        let mut report = runtime.block_on(async {
            let mut tracks = Vec::new();
            let mut tasks = tokio::task::JoinSet::new();
            for number in 0..self.keys {
                let track = Arc::new(Track {
                    name: format!("row {number}"),
                    // A namespace of its own, so that `clear` is a fair round too.
                    cache: cache.namespace(&number.to_string()).unwrap(),
                    row: Row::default(),
                    random: Random::new(self.seed ^ (number << 32)),
                    done: AtomicBool::new(false),
                    reads: AtomicU64::new(0),
                    hits: AtomicU64::new(0),
                    loads: AtomicU64::new(0),
                    joined: AtomicU64::new(0),
                    overtaken: AtomicU64::new(0),
                    violations: Mutex::new(Vec::new()),
                });
                tasks.spawn(Arc::clone(&track).write(rounds));
                for _ in 0..READERS {
                    tasks.spawn(Arc::clone(&track).read());
                }
                tracks.push(track);
            }
            while let Some(ended) = tasks.join_next().await {
                ended.expect("no task panics");
            }
            let mut report = Report { rounds: rounds * self.keys, ..Report::default() };
            for track in tracks {
                report.reads += track.reads.load(Ordering::Relaxed);
                report.hits += track.hits.load(Ordering::Relaxed);
                report.loads += track.loads.load(Ordering::Relaxed);
                report.joined += track.joined.load(Ordering::Relaxed);
                report.overtaken += track.overtaken.load(Ordering::Relaxed);
                report.violations.append(&mut track.violations.lock().unwrap());
            }
            report
        });
        assert_eq!(store.busy_keys(), 0, "nothing is left in the flight table");
        report.violations.truncate(10);
        report
    }
}

impl Track {
    async fn write(self: Arc<Self>, rounds: u64) {
        for round in 0..rounds {
            self.random.delay().await;
            let version = self.row.write();
            self.random.delay().await;
            if round % 2 == 0 {
                self.cache.delete("row").await.unwrap();
            } else {
                self.cache.clear().await.unwrap();
            }
            self.row.acknowledge(version);
        }
        self.done.store(true, Ordering::Relaxed);
    }

    async fn read(self: Arc<Self>) {
        while !self.done.load(Ordering::Relaxed) {
            self.random.delay().await;
            let floor = self.row.floor();
            let track = Arc::clone(&self);
            let load = move || async move {
                track.random.delay().await;
                let version = track.row.read();
                track.random.delay().await;
                Ok::<_, Infallible>(Seen { version })
            };
            // Both entry points: a task of its own, and the caller's.
            let seen = if self.random.below(2) == 0 {
                self.cache.get_or_load("row", load).await.unwrap()
            } else {
                self.cache.get_or_load_scoped("row", load).await.unwrap()
            };
            self.count(seen.source());
            if let Err(violation) = Row::check(&self.name, floor, seen.version) {
                self.violations.lock().unwrap().push(violation);
            }
        }
    }

    fn count(&self, source: Source) {
        self.reads.fetch_add(1, Ordering::Relaxed);
        let counter = match source {
            Source::Hit => &self.hits,
            Source::Joined(_) => &self.joined,
            _ => &self.loads,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        if source == Source::Loaded(Kept::No(NotKept::Invalidated)) {
            self.overtaken.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// What the cache holds: not a bare integer, which would be a counter.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Seen {
    pub(super) version: u64,
}
