//! Deadlines of I/O, by the machine's own clock: a server knows nothing of a clock that is moved by hand.

use std::task::{Context, Poll, ready};

use larder_core::{BoxFuture, Clock as _, SystemClock, Timestamp};

/// Wakes at a point in time, and again at a later one, without a new timer for each: deadlines move on with every trip,
/// and few of them are ever reached.
#[derive(Default)]
pub(crate) struct Alarm {
    clock: SystemClock,
    /// At or before the time that is waited for.
    set: Option<(Timestamp, BoxFuture<'static, ()>)>,
}

impl Alarm {
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
