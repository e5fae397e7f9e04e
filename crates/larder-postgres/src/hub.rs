//! All connections of a store, and which of them to use.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use arc_swap::ArcSwapOption;
use larder_core::{Error, Result};
use tokio::sync::{Notify, watch};

use crate::{
    conn::Conn,
    session::{Connector, Role},
};

/// Where an operation goes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Route {
    /// The connection with the fewest callers, the first of several: reads. So a lone caller finds one that is warm.
    Any,
    /// The connection of a key, so that writes of one key happen in the order in which they were sent, even those whose
    /// callers went away.
    Of(u64),
    /// The connection for walks.
    Walk,
}

/// The places of connections, each looked after by a task.
pub(crate) struct Hub {
    pub(crate) connector: Connector,
    /// The last one is for walks.
    lanes: Box<[ArcSwapOption<Conn>]>,
    /// Why the last attempt to connect failed; none while the first one is under way, and after one that did not.
    trouble: Mutex<Option<Error>>,
    /// What the background met last.
    upkeep: Mutex<Option<Error>>,
    /// Changes when a connection comes or goes, or an attempt fails.
    changes: watch::Sender<u64>,
    /// Changes when the reasons of earlier failures may be gone.
    epoch: AtomicU64,
    pub(crate) retry: Notify,
}

impl Hub {
    pub(crate) fn new(connector: Connector) -> Self {
        let lanes = (0..=connector.settings.connections).map(|_| ArcSwapOption::empty()).collect();
        Self {
            connector,
            lanes,
            trouble: Mutex::new(None),
            upkeep: Mutex::new(None),
            changes: watch::Sender::new(0),
            epoch: AtomicU64::new(0),
            retry: Notify::new(),
        }
    }

    pub(crate) fn lanes(&self) -> usize {
        self.lanes.len()
    }

    pub(crate) fn role(&self, lane: usize) -> Role {
        if lane == self.lanes.len() - 1 { Role::Walk } else { Role::Point }
    }

    /// A connection that is there.
    #[inline]
    pub(crate) fn pick(&self, route: Route) -> Option<Arc<Conn>> {
        let points = self.lanes.len() - 1;
        let first = match route {
            Route::Walk => return self.lane(points),
            Route::Any => return self.least(points),
            Route::Of(hash) => self.lane_of(hash),
        };
        self.lane(first).or_else(|| (1..points).find_map(|step| self.lane((first + step) % points)))
    }

    /// The lane of a key's writes.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "any bits of a hash will do")]
    pub(crate) fn lane_of(&self, hash: u64) -> usize {
        hash as usize % (self.lanes.len() - 1)
    }

    /// The connections of point operations, also those that are of no use any more.
    pub(crate) fn points(&self) -> impl Iterator<Item = Arc<Conn>> {
        self.lanes[..self.lanes.len() - 1].iter().filter_map(ArcSwapOption::load_full)
    }

    #[inline]
    fn least(&self, points: usize) -> Option<Arc<Conn>> {
        let mut least = None;
        for (at, lane) in self.lanes[..points].iter().enumerate() {
            let lane = lane.load();
            let Some(conn) = lane.as_ref().filter(|conn| conn.is_usable()) else { continue };
            let waiting = conn.waiting();
            if waiting == 0 {
                return Some(Arc::clone(conn));
            }
            if least.is_none_or(|(fewest, _)| waiting < fewest) {
                least = Some((waiting, at));
            }
        }
        self.lane(least?.1)
    }

    fn lane(&self, lane: usize) -> Option<Arc<Conn>> {
        self.lanes[lane].load_full().filter(|conn| conn.is_usable())
    }

    pub(crate) fn is_live(&self, lane: usize) -> bool {
        self.lane(lane).is_some()
    }

    /// Waits for a connection, unless the last attempt to make one failed.
    pub(crate) async fn wait(&self, route: Route) -> Result<Arc<Conn>> {
        let mut changes = self.changes.subscribe();
        loop {
            changes.mark_unchanged();
            if let Some(conn) = self.pick(route) {
                return Ok(conn);
            }
            if let Some(trouble) = self.trouble() {
                return Err(trouble);
            }
            // The sender lives as long as this hub.
            let _ = changes.changed().await;
        }
    }

    /// Waits until others than the first lane may try: where no connection is to be had, one tries for all.
    pub(crate) async fn after_first(&self) {
        let mut changes = self.changes.subscribe();
        // The sender lives as long as this hub.
        let _ = changes.wait_for(|_| self.is_live(0) || self.trouble().is_none()).await;
    }

    pub(crate) fn publish(&self, lane: usize, conn: Option<Arc<Conn>>) {
        if conn.is_some() {
            *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        if let Some(old) = self.lanes[lane].swap(conn) {
            old.retire();
        }
        self.changes.send_modify(|count| *count += 1);
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Notes why an attempt failed that began in this epoch.
    pub(crate) fn failed(&self, epoch: u64, error: Error) {
        {
            let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
            if self.epoch() != epoch {
                return;
            }
            *trouble = Some(error);
        }
        self.changes.send_modify(|count| *count += 1);
    }

    /// Something was repaired: earlier failures say nothing any more, and everyone tries at once.
    pub(crate) fn start_over(&self) {
        {
            let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
            self.epoch.fetch_add(1, Ordering::AcqRel);
            *trouble = None;
        }
        self.changes.send_modify(|count| *count += 1);
        self.retry.notify_waiters();
    }

    pub(crate) fn trouble(&self) -> Option<Error> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Keeps what the background met, or forgets it.
    pub(crate) fn note(&self, done: Result<()>) {
        *self.upkeep.lock().unwrap_or_else(PoisonError::into_inner) = done.err();
    }

    pub(crate) fn upkeep(&self) -> Option<Error> {
        self.upkeep.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
