//! Events as `tracing` events.

use super::{Event, Observer};
use crate::{CircuitState, breaker};

/// Writes what goes wrong to `tracing`: failed loads, store errors, doubts and circuits that open as warnings, circuits that close as
/// information, undecodable entries as debug events, loads as trace events. Hits and misses are not written; nor, above
/// trace, is what an open circuit refuses, because that is every call.
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
            Event::StoreError { operation, error } if breaker::is_refusal(error) => {
                tracing::trace!(target: "larder", operation, error = *error as &dyn std::error::Error, "not asked");
            }
            Event::StoreError { operation, error } => {
                tracing::warn!(target: "larder", operation, kind = error.kind().as_str(), error = *error as &dyn std::error::Error, "store error");
            }
            Event::Stale { key, since, why } => {
                tracing::debug!(target: "larder", key = self.show(key), ?since, ?why, "stale");
            }
            Event::Undecodable { key, error } => {
                tracing::debug!(target: "larder", key = self.show(key), error = *error as &dyn std::error::Error, "undecodable entry");
            }
            Event::Loaded { key, took, kept } => {
                tracing::trace!(target: "larder", key = self.show(key), ?took, ?kept, "loaded");
            }
            Event::KeyInDoubt { key } => {
                tracing::warn!(target: "larder", key = self.show(key), "not served from the store until a delete succeeds");
            }
            Event::NamespaceInDoubt { namespace } => {
                tracing::warn!(target: "larder", namespace = namespace.as_str(), "not served from the store until a clear succeeds");
            }
            Event::DoubtsSettled {} => {
                tracing::info!(target: "larder", "everything is served from the store again");
            }
            Event::CircuitChanged { server, state: CircuitState::Open } => {
                tracing::warn!(target: "larder", server, state = CircuitState::Open.as_str(), "circuit opened");
            }
            Event::CircuitChanged { server, state } => {
                tracing::info!(target: "larder", server, state = state.as_str(), "circuit changed");
            }
            Event::Hit { .. } | Event::Miss { .. } | Event::Joined { .. } | Event::Evicted { .. } => {}
        }
    }
}
