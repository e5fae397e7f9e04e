//! Flights: the one running load of a key, shared by everyone who asks for it, and fenced from invalidations.
//!
//! The rules, for one key in one process:
//!
//! - There is at most one *current* flight. Whoever misses joins it, or becomes its leader.
//! - An invalidation first *detaches* the current flight: nobody joins it any more, and its result is not kept. While the
//!   invalidation is under way no result is kept at all; when it ends, flights that began meanwhile are detached too.
//! - Keeping a result and invalidating exclude each other: an invalidation waits for a result that is being written, so
//!   that its own write comes second.
//!
//! So what a load began before an acknowledged invalidation read is neither kept nor given to a caller who came after it.

mod clears;
mod faults;
mod fence;
mod leader;
mod settling;
mod table;

use std::pin::pin;

use tokio::sync::Notify;

#[cfg(feature = "faults")]
pub use self::faults::Faults;
pub(crate) use self::{
    fence::Fence,
    leader::{CommitGuard, LeaderGuard},
    settling::Settling,
    table::{FlightTable, Place},
};
use crate::{
    Error, Kept, Key, Timestamp, Value,
    sync::{Arc, AtomicUsize, Mutex, MutexGuard, Ordering},
};

/// How a flight ended, as its followers see it.
#[derive(Clone)]
pub(crate) enum Landing {
    /// A value, and whether the store has it.
    Value(Value, Kept),
    /// The loader's error.
    Failed(Error),
    /// The result is for the leader alone; everyone else runs their own load.
    GaveUp,
    /// The leader went away; the next caller may lead.
    Abandoned,
    /// The loader of a batch had nothing under this key.
    Nothing,
}

/// One load of one key, running or about to.
pub(crate) struct Flight {
    pub(crate) key: Key,
    /// When the key is freed, whatever the load does.
    pub(crate) deadline: Timestamp,
    /// Written once.
    landing: Mutex<Option<Landing>>,
    landed: Notify,
    /// The callers still waiting. Grows only under the lock of the key's shard.
    followers: AtomicUsize,
    left: Notify,
    /// Nonzero once an invalidation has detached it.
    detached: AtomicUsize,
    /// A load that has its turn waits for this one.
    hurry: Notify,
}

impl Flight {
    fn new(key: Key, deadline: Timestamp) -> Self {
        Self {
            key,
            deadline,
            landing: Mutex::new(None),
            landed: Notify::new(),
            followers: AtomicUsize::new(0),
            left: Notify::new(),
            detached: AtomicUsize::new(0),
            hurry: Notify::new(),
        }
    }

    /// Publishes how it ended unless that was published before, which `false` says.
    fn publish(&self, landing: Landing) -> bool {
        let mut published = self.landing();
        if published.is_some() {
            return false;
        }
        *published = Some(landing);
        drop(published);
        self.landed.notify_waiters();
        true
    }

    fn landing(&self) -> MutexGuard<'_, Option<Landing>> {
        self.landing.lock().expect("no code panics while it holds a landing")
    }

    /// Lets the load begin before its turn.
    pub(crate) fn hurry(&self) {
        self.hurry.notify_one();
    }

    /// Resolves when the load is not to wait for its turn any more.
    pub(crate) async fn hurried(&self) {
        self.hurry.notified().await;
    }

    fn is_unwatched(&self) -> bool {
        self.followers.load(Ordering::SeqCst) == 0
    }

    /// Resolves when nobody waits for the landing (any more).
    pub(crate) async fn unwatched(&self) {
        loop {
            let mut left = pin!(self.left.notified());
            // Registered before looking: a follower that leaves in between is not missed.
            left.as_mut().enable();
            if self.is_unwatched() {
                return;
            }
            left.await;
        }
    }
}

/// A caller's hold on a flight; dropping it is leaving.
pub(crate) struct Follow {
    pub(crate) flight: Arc<Flight>,
}

impl Follow {
    /// Taken under the lock of the key's shard, where a leader that finds itself unwatched decides.
    fn new(flight: &Arc<Flight>) -> Self {
        flight.followers.fetch_add(1, Ordering::SeqCst);
        Self { flight: Arc::clone(flight) }
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
