//! How long an operation may still take.

use std::{fmt, time::Duration};

use larder_core::{Clock, Timestamp};

/// The end of an operation's time.
#[derive(Clone, Copy)]
pub(crate) struct Deadline<'a> {
    pub(crate) clock: &'a dyn Clock,
    end: Timestamp,
}

impl<'a> Deadline<'a> {
    pub(crate) fn after(clock: &'a dyn Clock, time: Duration) -> Self {
        Self { clock, end: clock.now().saturating_add(time) }
    }

    /// Whether as good as all of `time` is left.
    pub(crate) fn is_young(&self, time: Duration) -> bool {
        self.end.saturating_since(self.clock.now()) >= time.saturating_sub(time / 20)
    }

    /// What is left, if anything is.
    pub(crate) fn left(&self) -> Option<Duration> {
        let left = self.end.saturating_since(self.clock.now());
        (!left.is_zero()).then_some(left)
    }
}

impl fmt::Debug for Deadline<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deadline").field("left", &self.left()).finish()
    }
}
