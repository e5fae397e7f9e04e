//! How hard the load works, and what it asks of the answers.

use std::ops::RangeInclusive;
use std::time::Duration;

/// What to think of an answer that is older than an acknowledged write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StaleAnswers {
    /// It is wrong: the store's guarantees exclude it here.
    Wrong,
    /// It is counted: the guarantees say that this fault may do it.
    Counted,
}

/// The load's settings.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    pub(super) tasks: usize,
    pub(super) keys: usize,
    pub(super) seed: u64,
    pub(super) operation_timeout: Duration,
    pub(super) pause: Duration,
    pub(super) value_bytes: RangeInclusive<usize>,
    pub(super) cancel_one_in: u32,
    pub(super) stale_answers: StaleAnswers,
}

impl LoadOptions {
    /// 64 tasks on 512 keys, an operation timeout of 500 ms, 4 ms between two calls of a task, values of up to 20 KB, every
    /// 20th call dropped, stale answers wrong. `LARDER_LOAD_SEED` is the seed, else 1.
    pub fn new() -> Self {
        let seed = std::env::var("LARDER_LOAD_SEED").ok().and_then(|seed| seed.parse().ok());
        Self {
            tasks: 64,
            keys: 512,
            seed: seed.unwrap_or(1),
            operation_timeout: Duration::from_millis(500),
            pause: Duration::from_millis(4),
            value_bytes: 16..=20_000,
            cancel_one_in: 20,
            stale_answers: StaleAnswers::Wrong,
        }
    }

    /// How many tasks call the store.
    pub fn with_tasks(mut self, tasks: usize) -> Self {
        self.tasks = tasks.max(1);
        self
    }

    /// How many keys they use.
    pub fn with_keys(mut self, keys: usize) -> Self {
        self.keys = keys.max(1);
        self
    }

    /// Repeats the choices of an earlier load, though not the order in which tasks run.
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// The store's own, which the verdict measures calls by.
    pub fn with_operation_timeout(mut self, timeout: Duration) -> Self {
        self.operation_timeout = timeout;
        self
    }

    /// How long a task waits between two calls.
    pub fn with_pause(mut self, pause: Duration) -> Self {
        self.pause = pause;
        self
    }

    /// How large values are; most are in the lower sixteenth.
    pub fn with_value_bytes(mut self, bytes: RangeInclusive<usize>) -> Self {
        self.value_bytes = bytes;
        self
    }

    /// One call in so many is dropped before it is done; none if zero.
    pub fn with_cancel_one_in(mut self, calls: u32) -> Self {
        self.cancel_one_in = calls;
        self
    }

    /// What to think of answers older than an acknowledged write.
    pub fn with_stale_answers(mut self, answers: StaleAnswers) -> Self {
        self.stale_answers = answers;
        self
    }
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self::new()
    }
}
