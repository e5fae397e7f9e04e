//! Virtual time: it moves only when the executor says so. Each node reads it with an offset of its own.

use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
    time::Duration,
};

use larder_core::{BoxFuture, Clock, Timestamp};

#[derive(Debug, Default)]
pub(super) struct Time(Mutex<Times>);

#[derive(Debug, Default)]
struct Times {
    now: Duration,
    /// By deadline, then in the order they were made.
    timers: BTreeMap<(Duration, u64), Waker>,
    next: u64,
}

/// So that clocks print times that look like times, and subtracting never reaches zero.
const START: u64 = 1_704_067_200_000_000_000;

impl Time {
    /// Since the start.
    pub(super) fn now(&self) -> Duration {
        self.0.lock().unwrap().now
    }

    pub(super) fn sleep(self: &Arc<Self>, duration: Duration) -> Sleep {
        let mut times = self.0.lock().unwrap();
        times.next += 1;
        Sleep { time: Arc::clone(self), at: (times.now.saturating_add(duration), times.next) }
    }

    /// Goes to the next deadline, if it is no further away than that; `false` if there is none.
    pub(super) fn advance(&self, at_most: Duration) -> bool {
        let mut times = self.0.lock().unwrap();
        let next = times.timers.first_key_value().map(|((deadline, _), _)| *deadline);
        if next.is_none_or(|next| next > times.now.saturating_add(at_most)) {
            return false;
        }
        let Some(((deadline, _), waker)) = times.timers.pop_first() else { return false };
        times.now = times.now.max(deadline);
        drop(times);
        waker.wake();
        true
    }
}

pub(super) struct Sleep {
    time: Arc<Time>,
    at: (Duration, u64),
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut times = self.time.0.lock().unwrap();
        if times.now >= self.at.0 {
            return Poll::Ready(());
        }
        times.timers.insert(self.at, context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.time.0.lock().unwrap().timers.remove(&self.at);
    }
}

/// The clock of a node or of the server.
#[derive(Debug)]
pub(super) struct Offset {
    pub(super) time: Arc<Time>,
    /// How far it is ahead.
    pub(super) by: Duration,
}

impl Clock for Offset {
    fn now(&self) -> Timestamp {
        Timestamp::from_nanos(START).saturating_add(self.time.now()).saturating_add(self.by)
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(self.time.sleep(duration))
    }
}
