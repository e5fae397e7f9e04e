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

use tokio::sync::{Notify, watch};

#[cfg(feature = "faults")]
pub use self::faults::Faults;
pub(crate) use self::{
    fence::Fence,
    leader::{CommitGuard, LeaderGuard},
    settling::Settling,
    table::{FlightTable, Place},
};
use crate::{Error, Kept, Key, Timestamp, Value, sync::AtomicUsize};

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
    /// Written once. Its receivers are the callers still waiting: when there are none, it reports itself closed.
    landing: watch::Sender<Option<Landing>>,
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
            landing: watch::Sender::new(None),
            detached: AtomicUsize::new(0),
            hurry: Notify::new(),
        }
    }

    /// Lets the load begin before its turn.
    pub(crate) fn hurry(&self) {
        self.hurry.notify_one();
    }

    /// Resolves when the load is not to wait for its turn any more.
    pub(crate) async fn hurried(&self) {
        self.hurry.notified().await;
    }

    /// Resolves when nobody waits for the landing (any more).
    pub(crate) async fn unwatched(&self) {
        self.landing.closed().await;
    }
}

/// A caller's hold on a flight; dropping it is leaving.
pub(crate) struct Follow {
    landing: watch::Receiver<Option<Landing>>,
    pub(crate) flight: crate::sync::Arc<Flight>,
}

impl Follow {
    /// Waits for the flight to land.
    pub(crate) async fn landing(&mut self) -> Landing {
        match self.landing.wait_for(Option::is_some).await {
            Ok(landing) => landing.clone().expect("waited for until it is there"),
            // The sender lives in the flight, which this holds; should that change, a lost leader is what it means.
            Err(_) => Landing::Abandoned,
        }
    }
}
