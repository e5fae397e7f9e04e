//! What a connection needs to know of its store.

use std::{sync::Arc, time::Duration};

use larder_core::{Clock, Timestamp};

use crate::item;

/// The same for every connection to one server.
pub(crate) struct Settings {
    /// Of the server, for people.
    pub(crate) name: String,
    pub(crate) connect_timeout: Duration,
    pub(crate) operation_timeout: Duration,
    /// What operations are timed by.
    pub(crate) timer: Arc<dyn Clock>,
    /// What decides that an entry has ended.
    pub(crate) clock: Arc<dyn Clock>,
    /// Most operations that wait for one store at once.
    pub(crate) max_in_flight: usize,
}

impl Settings {
    /// A server keeps real time: under any other clock it must not end entries.
    pub(crate) fn exptime(&self, ends: Timestamp, now: Timestamp) -> u32 {
        if self.clock.is_real() { item::exptime(ends, now) } else { 0 }
    }
}
