//! A follower's side of a flight.

use std::pin::pin;

use super::{Flight, Landing};
use crate::sync::{Arc, Ordering};

/// A caller's hold on a flight; dropping it is leaving.
pub(crate) struct Follow {
    pub(crate) flight: Arc<Flight>,
    /// It was joined before its load began, which then saw whatever its caller knew to be new.
    pub(crate) early: bool,
}

impl Follow {
    /// Taken under the lock of the key's shard, where a leader that finds itself unwatched decides.
    pub(super) fn new(flight: &Arc<Flight>, early: bool) -> Self {
        flight.followers.fetch_add(1, Ordering::SeqCst);
        Self { flight: Arc::clone(flight), early }
    }

    /// How the flight landed, if it has.
    pub(crate) fn landed(&self) -> Option<Landing> {
        self.flight.landing().clone()
    }

    /// Waits for the flight to land.
    pub(crate) async fn landing(&mut self) -> Landing {
        loop {
            let mut landed = pin!(self.flight.landed.notified());
            // Registered before looking: a landing in between is not missed.
            landed.as_mut().enable();
            if let Some(landing) = self.landed() {
                return landing;
            }
            landed.await;
        }
    }
}

impl Drop for Follow {
    fn drop(&mut self) {
        if self.flight.followers.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.flight.left.notify_waiters();
        }
    }
}
