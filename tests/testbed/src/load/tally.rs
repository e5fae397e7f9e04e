//! What the load has seen so far.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use larder_core::ErrorKind;

use super::ledger::{Lie, Wrong};
use super::options::StaleAnswers;

/// Wrong answers that are kept word by word; all are counted.
const KEPT: usize = 20;

/// After a fault: when the store served again, counted from when the server could.
#[derive(Clone, Debug)]
pub struct Recovery {
    pub(super) fault: String,
    pub(super) able: Instant,
    pub(super) ended: Option<Instant>,
    pub(super) first_success: Option<Duration>,
    pub(super) last_failure: Option<Duration>,
}

impl Recovery {
    /// What the fault was.
    pub fn fault(&self) -> &str {
        &self.fault
    }

    /// How long after the server was able to serve the first call succeeded that began after that.
    pub fn first_success(&self) -> Option<Duration> {
        self.first_success
    }

    /// How long after the server was able to serve the last call failed; `None` if none did.
    pub fn last_failure(&self) -> Option<Duration> {
        self.last_failure
    }

    /// For how long the load went on after the server was able to serve.
    pub fn watched(&self) -> Duration {
        self.ended.unwrap_or(self.able).duration_since(self.able)
    }
}

enum Phase {
    Calm,
    Fault(String),
    Able,
}

pub(super) struct Tally {
    phase: Phase,
    stale_answers: StaleAnswers,
    pub(super) durations: Histogram<u64>,
    pub(super) worst: Duration,
    pub(super) hits: u64,
    pub(super) misses: u64,
    pub(super) failures: BTreeMap<(&'static str, &'static str), u64>,
    pub(super) calm_failures: u64,
    pub(super) cancelled: u64,
    pub(super) hung: u64,
    pub(super) stale: u64,
    pub(super) lies: BTreeMap<Lie, u64>,
    pub(super) wrong: Vec<Wrong>,
    pub(super) recoveries: Vec<Recovery>,
}

impl Tally {
    pub(super) fn new(stale_answers: StaleAnswers) -> Self {
        // To a minute, three digits: more than any call may take.
        let durations = Histogram::new_with_max(60_000_000, 3).expect("these bounds are valid");
        Self {
            phase: Phase::Calm,
            stale_answers,
            durations,
            worst: Duration::ZERO,
            hits: 0,
            misses: 0,
            failures: BTreeMap::new(),
            calm_failures: 0,
            cancelled: 0,
            hung: 0,
            stale: 0,
            lies: BTreeMap::new(),
            wrong: Vec::new(),
            recoveries: Vec::new(),
        }
    }

    pub(super) fn fault(&mut self, what: &str, now: Instant) {
        self.close(now);
        self.phase = Phase::Fault(what.to_owned());
    }

    pub(super) fn able(&mut self, now: Instant) {
        self.close(now);
        let fault = match std::mem::replace(&mut self.phase, Phase::Able) {
            Phase::Fault(what) => what,
            Phase::Calm | Phase::Able => "no fault".to_owned(),
        };
        let recovery = Recovery { fault, able: now, ended: None, first_success: None, last_failure: None };
        self.recoveries.push(recovery);
    }

    /// Ends the window in which a recovery is watched.
    pub(super) fn close(&mut self, now: Instant) {
        if matches!(self.phase, Phase::Able)
            && let Some(recovery) = self.recoveries.last_mut()
        {
            recovery.ended.get_or_insert(now);
        }
    }

    /// A call that came to its end.
    pub(super) fn call(&mut self, operation: &'static str, began: Instant, failure: Option<ErrorKind>) {
        let now = Instant::now();
        let took = now - began;
        self.worst = self.worst.max(took);
        self.durations.saturating_record(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
        if let Some(kind) = failure {
            *self.failures.entry((operation, kind.as_str())).or_default() += 1;
        }
        match (&self.phase, failure) {
            (Phase::Calm, Some(_)) => self.calm_failures += 1,
            (Phase::Able, _) => self.recover(began, now, failure.is_some()),
            _ => {}
        }
    }

    fn recover(&mut self, began: Instant, now: Instant, failed: bool) {
        let Some(recovery) = self.recoveries.last_mut() else { return };
        let since = now - recovery.able;
        if failed {
            recovery.last_failure = Some(since);
        } else if began >= recovery.able {
            recovery.first_success.get_or_insert(since);
        }
    }

    pub(super) fn answer(&mut self, judged: Result<(), Wrong>) {
        self.hits += 1;
        match judged {
            Err(wrong) if wrong.lie() == Lie::Stale && self.stale_answers == StaleAnswers::Counted => {
                self.stale += 1;
            }
            Err(wrong) => self.wrong(wrong),
            Ok(()) => {}
        }
    }

    pub(super) fn wrong(&mut self, wrong: Wrong) {
        *self.lies.entry(wrong.lie()).or_default() += 1;
        if self.wrong.len() < KEPT {
            self.wrong.push(wrong);
        }
    }
}
