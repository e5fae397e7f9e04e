//! One store, with the state that every cache over it must share.

mod builder;
mod limits;
mod observers;

use std::fmt;

pub use self::builder::StoreHandleBuilder;
pub(crate) use self::{
    limits::Limits,
    observers::{Evictions, Observers},
};
use crate::{CacheStore, Capabilities, CircuitState, breaker::Breaker, flight::FlightTable, sync::Arc};

/// A store, the table of loads and invalidations under way on it, and what stands between the store and its callers: a
/// [circuit breaker](crate::CircuitBreaker) and [batching](crate::Batching), where the store crosses a network. Clones
/// share all of it.
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
    /// As caches use it: decorated.
    pub(crate) store: Arc<dyn CacheStore>,
    plain: Arc<dyn CacheStore>,
    breaker: Option<Arc<Breaker>>,
    pub(crate) capabilities: Capabilities,
    pub(crate) flights: Arc<FlightTable>,
    pub(crate) evictions: Arc<Evictions>,
    pub(crate) observers: Arc<Observers>,
    pub(crate) limits: Arc<Limits>,
}

/// A server of a store, and the state of the circuit to it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Circuit {
    /// Its name, as [`CacheStore::servers`] has it.
    pub server: String,
    /// Whether calls to it are let through.
    pub state: CircuitState,
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
        Self::builder_from_arc(store).build().expect("the defaults are valid")
    }

    /// A handle with other settings than the defaults.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() {
    /// use larder_core::{CircuitBreaker, StoreHandle};
    /// let breaker = CircuitBreaker::new().consecutive_timeouts(3);
    /// let store = StoreHandle::builder(MapStore::default()).circuit_breaker(breaker).build().unwrap();
    /// # }
    /// ```
    pub fn builder(store: impl CacheStore) -> StoreHandleBuilder {
        Self::builder_from_arc(Arc::new(store))
    }

    /// As [`builder`](StoreHandle::builder), for a store that is behind a pointer already.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() {
    /// use std::sync::Arc;
    /// use larder_core::{CacheStore, StoreHandle};
    /// let store: Arc<dyn CacheStore> = Arc::new(MapStore::default());
    /// let handle = StoreHandle::builder_from_arc(store).batching(None).build().unwrap();
    /// # }
    /// ```
    pub fn builder_from_arc(store: Arc<dyn CacheStore>) -> StoreHandleBuilder {
        StoreHandleBuilder::new(store)
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

    /// The store itself, for what only it can do. Writes through it are not fenced from running loads, and no circuit breaker
    /// guards it.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() {
    /// let handle = larder_core::StoreHandle::new(MapStore::default());
    /// assert!(handle.store().capabilities().retains());
    /// # }
    /// ```
    #[expect(clippy::misnamed_getters, reason = "the field is what the core itself is to call")]
    pub fn store(&self) -> &Arc<dyn CacheStore> {
        &self.plain
    }

    /// The store as caches use it: behind its circuit breaker, reads batched. Writes through it are not fenced from running
    /// loads either.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() {
    /// use larder_core::{CircuitBreaker, StoreHandle};
    /// let handle = StoreHandle::builder(MapStore::default()).circuit_breaker(CircuitBreaker::new()).build().unwrap();
    /// assert_eq!(handle.guarded().capabilities(), handle.store().capabilities());
    /// # }
    /// ```
    pub fn guarded(&self) -> &Arc<dyn CacheStore> {
        &self.store
    }

    /// The store's servers with the state of each circuit; empty where there is no circuit breaker. No I/O.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() {
    /// use larder_core::{CircuitBreaker, CircuitState, StoreHandle};
    /// let handle = StoreHandle::builder(MapStore::default()).circuit_breaker(CircuitBreaker::new()).build().unwrap();
    /// assert!(handle.circuits().iter().all(|circuit| circuit.state == CircuitState::Closed));
    /// # }
    /// ```
    pub fn circuits(&self) -> Vec<Circuit> {
        let states = self.breaker.iter().flat_map(|breaker| breaker.states());
        states.map(|(server, state)| Circuit { server: server.to_owned(), state }).collect()
    }
}

impl StoreHandle {
    /// Has the store report here what it lets go. When a cache is built, not with the handle: a store listens to one, and who
    /// sets it up may build a handle only to take the store out again and put other guards around it.
    pub(crate) fn listen(&self) {
        self.evictions.listen_to(&*self.plain);
    }
}

impl fmt::Debug for StoreHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreHandle")
            .field("store", &self.plain)
            .field("circuits", &self.circuits())
            .field("busy_keys", &self.flights.len())
            .finish_non_exhaustive()
    }
}

impl<S: CacheStore> From<S> for StoreHandle {
    fn from(store: S) -> Self {
        Self::new(store)
    }
}
