//! A load on a store while its server fails: many tasks, every answer checked, every call measured.
//!
//! Each key is written by one task, which numbers what it writes, and read by all. So every answer can be judged: whether
//! it is whole, is of that key, is no older than what was acknowledged before the question, and was not written by a call
//! that the store said had no effect. A miss is never wrong. Writes whose outcome is unknown, because the error says so or
//! because their caller was dropped, may appear at any later time.

mod call;
mod content;
mod ledger;
mod options;
mod random;
mod report;
mod tally;
mod worker;

pub use self::ledger::{Lie, Wrong};
pub use self::options::{LoadOptions, StaleAnswers};
pub use self::report::LoadReport;
pub use self::tally::Recovery;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use larder_core::{CacheStore, Key, Namespace};
use tokio::task::JoinSet;

use self::ledger::Ledger;
use self::tally::Tally;
use self::worker::{Shared, Worker};

/// Counters that all tasks increment.
const COUNTERS: usize = 8;

/// A load at work. Dropping it ends it.
pub struct Load {
    shared: Arc<Shared>,
    workers: JoinSet<()>,
    canary: JoinSet<Duration>,
    began: Instant,
}

impl Load {
    /// Starts the tasks. Needs a Tokio runtime with several threads and time.
    pub fn start(store: Arc<dyn CacheStore>, options: LoadOptions) -> Self {
        // Of this load alone: what an earlier one left would look like wrong answers.
        let word = crate::secret::random_word().expect("the system gives random bytes");
        let namespace =
            Namespace::root().child(&format!("load-{word}")).expect("a plain word is a namespace");
        let key = |text: String| Key::new(&namespace, &text).expect("a short text is a key");
        let keys: Vec<Key> = (0..options.keys).map(|number| key(format!("value {number}"))).collect();
        let counters: Vec<Key> = (0..COUNTERS).map(|number| key(format!("counter {number}"))).collect();
        let shared = Arc::new(Shared {
            ledger: Ledger::new(keys.len()),
            counts: Ledger::new(counters.len()),
            tally: Mutex::new(Tally::new(options.stale_answers)),
            stop: AtomicBool::new(false),
            store,
            keys,
            counters,
            options,
        });
        let mut workers = JoinSet::new();
        for index in 0..shared.options.tasks {
            workers.spawn(Worker::new(Arc::clone(&shared), index).work());
        }
        let mut canary = JoinSet::new();
        canary.spawn(worst_lag(Arc::clone(&shared)));
        Self { shared, workers, canary, began: Instant::now() }
    }

    /// Lets it work.
    pub async fn run_for(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    /// From here on calls may fail, because of `what`.
    pub fn fault(&self, what: &str) {
        self.shared.tally().fault(what, Instant::now());
    }

    /// The server is now able to serve: the recovery is measured from here to the next fault or the end.
    pub fn able_to_serve(&self) {
        self.shared.tally().able(Instant::now());
    }

    /// Ends it, and says what it found. Panics if a task did.
    pub async fn stop(mut self) -> LoadReport {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.shared.tally().close(Instant::now());
        while let Some(ended) = self.workers.join_next().await {
            ended.expect("a task of the load panicked");
        }
        let lag = self.canary.join_next().await.expect("there is one canary");
        let worked = self.began.elapsed();
        let options = self.shared.options.clone();
        let tally = std::mem::replace(&mut *self.shared.tally(), Tally::new(options.stale_answers));
        LoadReport { tally, options, worst_lag: lag.expect("the canary does not panic"), worked }
    }
}

impl fmt::Debug for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Load").field("options", &self.shared.options).finish_non_exhaustive()
    }
}

/// Sleeps for a millisecond again and again; what comes on top is the machine's doing, not the store's.
async fn worst_lag(shared: Arc<Shared>) -> Duration {
    let nap = Duration::from_millis(1);
    let mut worst = Duration::ZERO;
    while !shared.stop.load(Ordering::Relaxed) {
        let began = Instant::now();
        tokio::time::sleep(nap).await;
        worst = worst.max(began.elapsed().saturating_sub(nap));
    }
    worst
}
