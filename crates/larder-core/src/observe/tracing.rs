//! Events as `tracing` events.

use super::{Event, Observer};

/// Writes what goes wrong to `tracing`: failed loads and store errors as warnings, undecodable entries as debug events,
/// loads as trace events. Hits and misses are not written.
///
/// Keys are redacted to a short hash unless [`with_keys`](TracingObserver::with_keys) allows them.
///
/// ```
/// use std::sync::Arc;
/// use larder_core::TracingObserver;
/// let observer = Arc::new(TracingObserver::new());
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct TracingObserver {
    keys: bool,
}

impl TracingObserver {
    /// Redacts keys.
    ///
    /// ```
    /// let observer = larder_core::TracingObserver::new();
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes keys as they are: where they hold nothing private.
    ///
    /// ```
    /// let observer = larder_core::TracingObserver::new().with_keys(true);
    /// ```
    #[must_use]
    pub fn with_keys(mut self, keys: bool) -> Self {
        self.keys = keys;
        self
    }

    fn show(self, key: &crate::Key) -> String {
        if self.keys {
            key.as_str().to_owned()
        } else {
            blake3::hash(key.as_str().as_bytes()).to_hex()[..12].to_owned()
        }
    }
}

impl Observer for TracingObserver {
    fn event(&self, event: &Event<'_>) {
        match event {
            Event::LoadFailed { key, took, error } => {
                tracing::warn!(target: "larder", key = self.show(key), ?took, error = *error as &dyn std::error::Error, "load failed");
            }
            Event::StoreError { operation, error } => {
                tracing::warn!(target: "larder", operation, kind = error.kind().as_str(), error = *error as &dyn std::error::Error, "store error");
            }
            Event::Undecodable { key, error } => {
                tracing::debug!(target: "larder", key = self.show(key), error = *error as &dyn std::error::Error, "undecodable entry");
            }
            Event::Loaded { key, took, kept } => {
                tracing::trace!(target: "larder", key = self.show(key), ?took, ?kept, "loaded");
            }
            Event::Hit { .. } | Event::Miss { .. } | Event::Joined { .. } | Event::Evicted { .. } => {}
        }
    }
}
