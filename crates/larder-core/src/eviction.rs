//! What a store lets go by itself, and who is told.

use std::fmt;

/// Why a store let an entry go by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EvictionCause {
    /// The store was full.
    Capacity,
    /// The entry had expired and its space was reclaimed.
    Expired,
}

/// Where a store reports what it lets go. Called on the store's own paths: be quick, and do not call the store.
///
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering};
/// use larder_core::{EvictionCause, StoreEvents};
///
/// #[derive(Debug, Default)]
/// struct Count(AtomicU64);
///
/// impl StoreEvents for Count {
///     fn evicted(&self, _cause: EvictionCause) {
///         self.0.fetch_add(1, Ordering::Relaxed);
///     }
/// }
/// ```
pub trait StoreEvents: fmt::Debug + Send + Sync + 'static {
    /// An entry was let go.
    ///
    /// ```
    /// # use larder_core::{EvictionCause, StoreEvents};
    /// fn report(events: &dyn StoreEvents) {
    ///     events.evicted(EvictionCause::Capacity);
    /// }
    /// ```
    fn evicted(&self, cause: EvictionCause);
}
