//! Deadlines of I/O.

use std::{
    sync::Arc,
    task::{Context, Poll, ready},
};

use larder_core::{BoxFuture, Clock, Timestamp};

/// Wakes at a point in time, and again at a later one, without a new timer for each: deadlines move on with every trip,
/// and few of them are ever reached.
pub(crate) struct Alarm {
    clock: Arc<dyn Clock>,
    /// At or before the time that is waited for.
    set: Option<(Timestamp, BoxFuture<'static, ()>)>,
}

impl Alarm {
    pub(crate) fn new(clock: &Arc<dyn Clock>) -> Self {
        Self { clock: Arc::clone(clock), set: None }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Ready once it is `at`, or later.
    pub(crate) fn poll_at(&mut self, at: Timestamp, context: &mut Context<'_>) -> Poll<()> {
        loop {
            match &mut self.set {
                Some((set, sleep)) if *set <= at => {
                    ready!(sleep.as_mut().poll(context));
                    self.set = None;
                }
                _ => {
                    let now = self.now();
                    if now >= at {
                        return Poll::Ready(());
                    }
                    self.set = Some((at, self.clock.sleep(at.saturating_since(now))));
                }
            }
        }
    }
}
