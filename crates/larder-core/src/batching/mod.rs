//! Batching: while many reads are under way, those that wait become one `get_many`.
//!
//! One lane per server of the store. While fewer reads than a threshold are under way in a lane, each goes straight to the
//! store. Above it a read queues, and a task sends what waits: at once, as long as fewer batches are on their way than may be,
//! else when one of them returns. A read joins a batch only before it is sent: one that begins after an invalidation was
//! acknowledged is never answered with what was read before it.

mod config;
mod lane;
mod send;
mod store;

use tokio::sync::oneshot;

pub use self::config::Batching;
use self::lane::Lane;
use crate::{CacheStore, Clock, Key, Result, Spawn, Value, handle::Limits, sync::Arc};

/// A store whose single reads are batched while there are many.
#[derive(Debug)]
pub(crate) struct Batcher {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    store: Arc<dyn CacheStore>,
    config: Batching,
    /// At least one.
    lanes: Box<[Lane]>,
    clock: Arc<dyn Clock>,
    spawn: Arc<dyn Spawn>,
    limits: Arc<Limits>,
}

/// What a read comes back with.
type Found = Result<Option<Value>>;

/// A read that waits to be sent.
struct Waiter {
    key: Key,
    answer: oneshot::Sender<Found>,
}

impl Batcher {
    pub(crate) fn new(
        store: Arc<dyn CacheStore>,
        config: Batching,
        clock: Arc<dyn Clock>,
        spawn: Arc<dyn Spawn>,
        limits: Arc<Limits>,
    ) -> Self {
        let lanes = (0..store.servers().len().max(1)).map(|_| Lane::default()).collect();
        Self { shared: Arc::new(Shared { store, config, lanes, clock, spawn, limits }) }
    }
}

impl Shared {
    async fn get(self: &Arc<Self>, key: &Key) -> Found {
        let lane = self.lane_of(key);
        let under_way = self.lanes[lane].enter();
        if under_way.before() >= self.config.threshold
            && let Ok(found) = self.queue(lane, key).await
        {
            return found;
        }
        // Also where the task that should have answered is gone with its runtime.
        self.store.get(key).await
    }

    /// Waits for an answer from a batch that has not been sent yet.
    fn queue(self: &Arc<Self>, lane: usize, key: &Key) -> oneshot::Receiver<Found> {
        let (answer, answered) = oneshot::channel();
        if self.lanes[lane].push(Waiter { key: key.clone(), answer }, self.config.batches) {
            self.start(lane);
        }
        answered
    }

    fn lane_of(&self, key: &Key) -> usize {
        // A store of one server is not asked; one that names a server it does not have is not believed.
        let last = self.lanes.len() - 1;
        if last == 0 { 0 } else { self.store.server_of(key).min(last) }
    }
}

/// Counts a read as under way while it lives.
struct UnderWay<'a> {
    lane: &'a Lane,
    before: usize,
}

impl UnderWay<'_> {
    /// How many were under way when it began.
    fn before(&self) -> usize {
        self.before
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.lane.leave();
    }
}
