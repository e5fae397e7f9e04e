//! A call that was let through.

use std::time::Duration;

use super::{Shared, circuit::Phase, trial::Extent, verdict::Verdict};
use crate::{Error, Timestamp, sync::Arc};

/// A call to one server, which is judged by how it ends. One that is dropped before it ended was given up: a timeout if its
/// time was over, else a caller who went away, which says nothing.
#[derive(Debug)]
pub(super) struct Call<'a> {
    shared: &'a Arc<Shared>,
    server: usize,
    phase: Phase,
    extent: Extent,
    began: Timestamp,
    judged: bool,
}

impl<'a> Call<'a> {
    pub(super) fn new(shared: &'a Arc<Shared>, server: usize, phase: Phase, extent: Extent) -> Self {
        Self { shared, server, phase, extent, began: shared.clock.now(), judged: false }
    }

    /// The call ended with `result`, which it returns.
    pub(super) fn ended<T>(self, result: Result<T, Error>) -> Result<T, Error> {
        self.conclude(Verdict::of(&result));
        result
    }

    /// The call ended.
    pub(super) fn conclude(mut self, verdict: Verdict) {
        self.judge(verdict);
    }

    /// After how long it would have run out of time.
    fn limit(&self) -> Option<Duration> {
        (self.extent == Extent::Point).then(|| self.shared.limits.late())
    }

    fn judge(&mut self, verdict: Verdict) {
        if std::mem::replace(&mut self.judged, true) {
            return;
        }
        let circuit = &self.shared.circuits[self.server];
        let now = || (self.shared.clock.now(), self.limit());
        if circuit.ended(self.phase, self.extent, self.began, verdict, now) {
            // Where no task can be started, the next call looks again.
            self.shared.probe(self.server, circuit.phase());
        }
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        if !self.judged {
            let lasted = self.shared.clock.now().saturating_since(self.began);
            let late = self.limit().is_some_and(|limit| lasted >= limit);
            self.judge(if late { Verdict::TimedOut } else { Verdict::Nothing });
        }
    }
}
