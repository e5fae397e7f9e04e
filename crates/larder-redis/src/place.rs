//! Where a lane is found. One whose client does not get on is replaced by one with a new client.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use fred::interfaces::ClientLike as _;
use futures_util::future::{self, Either};
use larder_core::{Clock as _, SystemClock};
use tokio::{sync::watch, task::AbortHandle};

use crate::lane::Lane;

/// How long a client that gave up by itself is left alone before there is another one.
const REST: Duration = Duration::from_millis(500);
/// How often a client is looked at.
const LOOK: Duration = Duration::from_millis(250);

#[derive(Debug)]
pub(crate) struct Place(RwLock<Arc<Lane>>);

impl Place {
    pub(crate) fn new(lane: Lane) -> Self {
        Self(RwLock::new(Arc::new(lane)))
    }

    #[inline]
    pub(crate) fn lane(&self) -> Arc<Lane> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn put(&self, lane: Lane) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(lane);
    }
}

/// When a client that still tries is given up, where another server may have taken over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Care {
    /// When it does not do what it was told: its task waits for ever until a server that hangs takes what it has written, and looks
    /// for no other one meanwhile.
    pub(crate) when_deaf: bool,
    /// When it has had no connection for so long. Having found the primary once, it asks only those sentinels that it was told of
    /// then, whatever has become of them, and always in the same order, though the first may hang.
    pub(crate) when_down: Option<Duration>,
}

impl Care {
    pub(crate) const NONE: Self = Self { when_deaf: false, when_down: None };

    /// Ends when the lane's client is to be given up.
    async fn watch(self, lane: &Lane, clock: &SystemClock) {
        if !self.when_deaf && self.when_down.is_none() {
            return future::pending().await;
        }
        let mut connected = clock.now();
        loop {
            clock.sleep(LOOK).await;
            let now = clock.now();
            if lane.reader().is_some() {
                connected = now;
                if self.when_deaf && lane.is_deaf(now) {
                    return;
                }
            } else if self.when_down.is_some_and(|longest| now.saturating_since(connected) >= longest) {
                return;
            }
        }
    }
}

/// A task of the client, ended with whoever waits for it.
struct Running(AbortHandle);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Keeps a client connecting until the store is gone. The client's own task ends at an answer that it takes for the last word (and at
/// some inner errors); the server may say something else the next time. A client whose task has ended is not started again: it still
/// counts the commands that were queued then, and, waiting for them, sends nothing at once any more.
pub(crate) async fn keep_running(
    place: Arc<Place>,
    care: Care,
    another: impl Fn() -> Lane,
    clock: Arc<SystemClock>,
    mut ended: watch::Receiver<()>,
) {
    let connecting = async {
        loop {
            let lane = place.lane();
            let task = lane.client().connect();
            let running = Running(task.abort_handle());
            let given_up = std::pin::pin!(care.watch(&lane, &clock));
            // How it ended is in the client's errors, where operations look for it.
            let has_ended = matches!(future::select(task, given_up).await, Either::Left(_));
            drop(running);
            if has_ended {
                clock.sleep(REST).await;
            }
            place.put(another().remembering(&lane));
        }
    };
    // Fails when the sender is dropped: with the store.
    let closed = std::pin::pin!(ended.changed());
    future::select(std::pin::pin!(connecting), closed).await;
}
