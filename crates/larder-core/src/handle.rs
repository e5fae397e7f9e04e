//! One store, with the state that every cache over it must share.

use std::{
    fmt,
    sync::{Arc, RwLock, Weak},
};

use crate::{
    CacheStore, Capabilities, Event, EvictionCause, Observer, StoreEvents,
    flight::FlightTable,
    sync::{AtomicU64, Ordering},
};

/// A store, and the table of loads and invalidations under way on it. Clones share both.
///
/// Caches over one store must share one handle, or they would not see each other's invalidations while they load:
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
/// # fn main() { example(|_| async move {
/// use larder_core::{Cache, StoreHandle};
///
/// let store = StoreHandle::new(MapStore::default());
/// let pages = Cache::builder(store.clone()).namespace("pages").build()?;
/// let users = Cache::builder(store).namespace("users").build()?;
/// pages.set("home", "hello".to_owned()).await?;
/// assert!(!users.has("home").await?);
/// # Ok(()) }) }
/// ```
#[derive(Clone)]
pub struct StoreHandle {
    pub(crate) store: Arc<dyn CacheStore>,
    pub(crate) capabilities: Capabilities,
    pub(crate) flights: Arc<FlightTable>,
    pub(crate) evictions: Arc<Evictions>,
}

impl StoreHandle {
    /// A handle on a store of its own.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() {
    /// let store = larder_core::StoreHandle::new(MapStore::default());
    /// # }
    /// ```
    pub fn new(store: impl CacheStore) -> Self {
        Self::from_arc(Arc::new(store))
    }

    /// A handle on a store that is behind a pointer already. Make one handle per store, and clone that.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() {
    /// use std::sync::Arc;
    /// use larder_core::{CacheStore, StoreHandle};
    /// let store: Arc<dyn CacheStore> = Arc::new(MapStore::default());
    /// let handle = StoreHandle::from_arc(store);
    /// # }
    /// ```
    pub fn from_arc(store: Arc<dyn CacheStore>) -> Self {
        let evictions = Arc::new(Evictions::default());
        store.subscribe(Arc::clone(&evictions) as Arc<dyn StoreEvents>);
        Self { capabilities: store.capabilities(), store, flights: Arc::new(FlightTable::new()), evictions }
    }

    /// Switches rules of the fence off, so that an exam can prove that it would notice.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() {
    /// use larder_core::{Faults, StoreHandle};
    /// StoreHandle::new(MapStore::default()).inject_faults(Faults::NO_FENCE);
    /// # }
    /// ```
    #[cfg(feature = "faults")]
    pub fn inject_faults(&self, faults: crate::Faults) {
        self.flights.inject(faults);
    }

    /// How many keys are being loaded, written or invalidated right now: nothing, when the application is at rest.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() {
    /// assert_eq!(larder_core::StoreHandle::new(MapStore::default()).busy_keys(), 0);
    /// # }
    /// ```
    pub fn busy_keys(&self) -> usize {
        self.flights.len()
    }

    /// The store itself, for what only it can do. Writes through it are not fenced from running loads.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() {
    /// let handle = larder_core::StoreHandle::new(MapStore::default());
    /// assert!(handle.store().capabilities().retains());
    /// # }
    /// ```
    pub fn store(&self) -> &Arc<dyn CacheStore> {
        &self.store
    }
}

impl fmt::Debug for StoreHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreHandle")
            .field("store", &self.store)
            .field("busy_keys", &self.flights.len())
            .finish_non_exhaustive()
    }
}

impl<S: CacheStore> From<S> for StoreHandle {
    fn from(store: S) -> Self {
        Self::new(store)
    }
}

/// Counts what the store lets go, and tells the observers of every cache over it.
#[derive(Debug, Default)]
pub(crate) struct Evictions {
    pub(crate) capacity: AtomicU64,
    observers: RwLock<Vec<Weak<dyn Observer>>>,
}

impl Evictions {
    pub(crate) fn watch(&self, observer: &Arc<dyn Observer>) {
        let mut observers = self.observers.write().expect("no code panics while it holds the observers");
        observers.retain(|known| known.strong_count() > 0);
        observers.push(Arc::downgrade(observer));
    }
}

impl StoreEvents for Evictions {
    fn evicted(&self, cause: EvictionCause) {
        if cause == EvictionCause::Capacity {
            self.capacity.fetch_add(1, Ordering::Relaxed);
        }
        let observers = self.observers.read().expect("no code panics while it holds the observers");
        for observer in observers.iter().filter_map(Weak::upgrade) {
            observer.event(&Event::Evicted { cause });
        }
    }
}
