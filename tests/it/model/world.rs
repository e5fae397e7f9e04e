//! What everyone shares: time, the server, the database, and what is known of them, against which every answer is checked.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use larder_core::{Clock, Kept, Source, Timestamp, Value};
use serde::{Deserialize, Serialize};

use super::{
    dice::Dice,
    executor::{Executor, Owner},
    server::Server,
    setup::{ROWS, Setup},
    time::{Offset, Time},
};

/// How many of the last events are told with a violation.
const TRACE: usize = 400;

/// What the cache holds of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Seen {
    pub(super) row: usize,
    pub(super) version: u64,
    /// Which load read it.
    pub(super) load: u64,
}

#[derive(Clone, Debug)]
pub(super) struct Violation {
    pub(super) invariant: &'static str,
    pub(super) detail: String,
}

/// A row of the model database.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) version: u64,
    /// The newest version whose invalidation was acknowledged.
    pub(super) floor: u64,
    /// Who committed the newest version.
    pub(super) writer: Owner,
}

#[derive(Debug)]
struct Load {
    row: usize,
    began: Duration,
    ended: Option<Duration>,
    kept: bool,
    /// By the clock of who sent it to the server.
    expires: Option<Duration>,
}

pub(super) struct World {
    pub(super) setup: Setup,
    pub(super) seed: u64,
    pub(super) executor: Arc<Executor>,
    server: Mutex<Server>,
    pub(super) rows: Mutex<[Row; ROWS]>,
    loads: Mutex<BTreeMap<u64, Load>>,
    /// Percent of the messages that something happens to.
    weather: AtomicU64,
    pub(super) database_is_away: AtomicBool,
    /// The troubles are over.
    pub(super) healed: AtomicBool,
    /// The sum of all increments that were ever sent.
    pub(super) counted: AtomicI64,
    pub(super) winners: Mutex<BTreeMap<u64, u64>>,
    /// How often what happened.
    tally: Mutex<BTreeMap<String, u64>>,
    trace: Mutex<VecDeque<String>>,
    violation: Mutex<Option<Violation>>,
}

/// A value that was read, and what was known when the read began.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) node: usize,
    pub(super) began: Duration,
    pub(super) floor: u64,
    pub(super) seen: Seen,
    pub(super) source: Source,
}

impl World {
    pub(super) fn new(setup: Setup, seed: u64) -> Arc<Self> {
        Arc::new(Self {
            setup,
            seed,
            executor: Executor::new(seed),
            server: Mutex::default(),
            rows: Mutex::new([Row { version: 1, floor: 1, writer: Owner::World }; ROWS]),
            loads: Mutex::default(),
            weather: AtomicU64::new(0),
            database_is_away: AtomicBool::new(false),
            healed: AtomicBool::new(false),
            counted: AtomicI64::new(0),
            winners: Mutex::default(),
            tally: Mutex::default(),
            trace: Mutex::default(),
            violation: Mutex::default(),
        })
    }

    pub(super) fn time(&self) -> &Arc<Time> {
        &self.executor.time
    }

    pub(super) fn dice(&self) -> &Dice {
        &self.executor.dice
    }

    pub(super) fn weather(&self) -> u64 {
        self.weather.load(Ordering::Relaxed)
    }

    pub(super) fn set_weather(&self, percent: u64) {
        self.note(format_args!("weather: {percent} % of the messages"));
        self.weather.store(percent, Ordering::Relaxed);
    }

    pub(super) fn execute(&self, operation: impl FnOnce(&mut Server)) {
        let mut server = self.server.lock().unwrap();
        server.now = self.time().now();
        operation(&mut server);
    }

    /// How far a node's clock is ahead: the last one's as far as can be.
    pub(super) fn ahead(&self, node: usize) -> Duration {
        let of = u32::try_from(self.setup.nodes.max(2) - 1).expect("few nodes");
        self.setup.skew * u32::try_from(node).expect("few nodes") / of
    }

    pub(super) fn clock(&self, node: usize) -> Arc<dyn Clock> {
        Arc::new(Offset { time: Arc::clone(self.time()), by: self.ahead(node) })
    }

    pub(super) fn row(&self, row: usize) -> Row {
        self.rows.lock().unwrap()[row]
    }

    /// Commits a new version of a row.
    pub(super) fn commit(&self, row: usize, writer: Owner) -> u64 {
        let row_now = &mut self.rows.lock().unwrap()[row];
        row_now.version += 1;
        row_now.writer = writer;
        self.note(format_args!("database: row {row} is at {} by {writer:?}", row_now.version));
        row_now.version
    }

    /// The invalidation that followed `version` returned `Ok`.
    pub(super) fn acknowledge(&self, row: usize, version: u64) {
        let row_now = &mut self.rows.lock().unwrap()[row];
        row_now.floor = row_now.floor.max(version);
        self.note(format_args!("acknowledged: row {row} at {version}"));
    }

    pub(super) fn begin_load(&self, node: usize, row: usize) -> u64 {
        let mut loads = self.loads.lock().unwrap();
        let load = loads.len() as u64 + 1;
        let began = self.time().now();
        loads.insert(load, Load { row, began, ended: None, kept: false, expires: None });
        self.note(format_args!("node {node}: load {load} of row {row} begins"));
        load
    }

    pub(super) fn end_load(&self, node: usize, seen: Seen) {
        let now = self.time().now();
        self.loads.lock().unwrap().get_mut(&seen.load).expect("it began").ended = Some(now);
        self.note(format_args!("node {node}: load {} read row {} at {}", seen.load, seen.row, seen.version));
    }

    /// A value is on its way to the server.
    pub(super) fn sent(&self, node: usize, value: &Value) {
        let Value::Object(object) = value else { return };
        let Ok(seen) = object.read::<Seen>() else { return };
        let start = Offset { time: Arc::default(), by: self.ahead(node) }.now();
        let expires = object.meta().expires_at();
        let expires = (expires != Timestamp::MAX).then(|| expires.saturating_since(start));
        if let Some(load) = self.loads.lock().unwrap().get_mut(&seen.load) {
            load.expires = expires;
        }
    }

    /// Holds what a read returned against what it may.
    pub(super) fn check(&self, read: &Read) {
        let Seen { row, version, load } = read.seen;
        self.note(format_args!(
            "node {}: a read from {:?} of row {row} gives version {version} of load {load}, {:?}",
            read.node, read.began, read.source
        ));
        self.count(match read.source {
            Source::Stale { why, .. } => format!("Stale({why:?})"),
            source => format!("{source:?}"),
        });
        if version < read.floor {
            let invariant = if self.healed.load(Ordering::Relaxed) {
                "convergence after healing"
            } else if self.database_is_away.load(Ordering::Relaxed) {
                "delete beats every fallback"
            } else {
                "nothing older than an acknowledged invalidation"
            };
            self.violated(invariant, format!("{read:?}"));
        }
        let mut loads = self.loads.lock().unwrap();
        if let Source::Loaded(Kept::Yes) | Source::Joined(Kept::Yes) = read.source {
            loads.get_mut(&load).expect("it began").kept = true;
            let this = &loads[&load];
            let rival = loads.iter().find(|(id, other)| {
                **id != load
                    && other.kept
                    && other.row == row
                    && this.ended.is_some_and(|ended| other.began < ended)
                    && other.ended.is_some_and(|ended| this.began < ended)
            });
            if let Some(rival) = rival {
                let detail =
                    format!("{read:?} and, at the same time, load {} was kept: {:?}", rival.0, rival.1);
                self.violated("at most one load holding a live lease per key", detail);
            }
        }
        let expires = loads.get(&load).and_then(|load| load.expires);
        if let (Some(expires), Source::Hit | Source::Stale { .. }) = (expires, read.source)
            && read.began > expires + self.setup.skew_bound
        {
            let detail = format!("{read:?} of an entry that expired at {expires:?}");
            self.violated("nothing past its expiry by more than the skew bound", detail);
        }
    }

    pub(super) fn violated(&self, invariant: &'static str, detail: String) {
        self.note(format_args!("VIOLATED: {invariant}: {detail}"));
        if self.setup.only.is_none_or(|only| only == invariant) {
            self.violation.lock().unwrap().get_or_insert(Violation { invariant, detail });
        }
    }

    pub(super) fn violation(&self) -> Option<Violation> {
        self.violation.lock().unwrap().clone()
    }

    pub(super) fn count(&self, what: String) {
        *self.tally.lock().unwrap().entry(what).or_default() += 1;
    }

    pub(super) fn tally(&self) -> BTreeMap<String, u64> {
        self.tally.lock().unwrap().clone()
    }

    pub(super) fn note(&self, what: fmt::Arguments<'_>) {
        if !self.setup.traced {
            return;
        }
        let mut trace = self.trace.lock().unwrap();
        if trace.len() == TRACE {
            trace.pop_front();
        }
        trace.push_back(format!("{:>12.3?} {what}", self.time().now()));
    }

    pub(super) fn trace(&self) -> String {
        self.trace.lock().unwrap().iter().flat_map(|line| ["  ", line, "\n"]).collect()
    }
}
