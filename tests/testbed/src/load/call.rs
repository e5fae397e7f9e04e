//! One call of a store: measured, dropped in the middle, or found to hang.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use super::random::Random;

/// A call that takes this long is given up: it hangs.
const HANGS: Duration = Duration::from_secs(15);

pub(super) enum Ended<T> {
    Done(T),
    Dropped,
    Hung,
}

/// When to drop a call.
#[derive(Clone, Copy, Debug)]
pub(super) enum Patience {
    Full,
    /// After so many polls: at whatever await it is at then.
    Polls(usize),
    /// After a time in which an answer may be on its way.
    For(Duration),
}

impl Patience {
    pub(super) fn choose(random: &mut Random, cancel_one_in: u32) -> Self {
        if !random.one_in(cancel_one_in) {
            return Self::Full;
        }
        match random.below(3) {
            0 => Self::Polls(1 + random.below(4)),
            1 => Self::For(Duration::from_millis(random.below(5) as u64)),
            _ => Self::For(Duration::from_millis(random.below(400) as u64)),
        }
    }
}

pub(super) async fn call<T>(patience: Patience, future: impl Future<Output = T>) -> Ended<T> {
    let mut future = pin!(future);
    match patience {
        Patience::Full => match tokio::time::timeout(HANGS, future).await {
            Ok(value) => Ended::Done(value),
            Err(_) => Ended::Hung,
        },
        Patience::For(time) => match tokio::time::timeout(time, future).await {
            Ok(value) => Ended::Done(value),
            Err(_) => Ended::Dropped,
        },
        Patience::Polls(most) => {
            let mut polls = 0;
            poll_fn(|context| {
                polls += 1;
                match future.as_mut().poll(context) {
                    Poll::Ready(value) => Poll::Ready(Ended::Done(value)),
                    Poll::Pending if polls >= most => Poll::Ready(Ended::Dropped),
                    Poll::Pending => Poll::Pending,
                }
            })
            .await
        }
    }
}
