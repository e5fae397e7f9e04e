//! Settings of a store handle.

use crate::{
    Batching, CacheStore, CircuitBreaker, Clock, Result, Spawn, StoreHandle, SystemClock, TokioSpawn,
    batching::Batcher,
    breaker::Breaker,
    flight::FlightTable,
    handle::{Evictions, Limits, Observers},
    sync::Arc,
};

/// What a [`StoreHandle`] puts between caches and their store.
///
/// A store that crosses a network ([`Capabilities::remote`](crate::Capabilities::remote)) has a [`CircuitBreaker`] and
/// [`Batching`] with their defaults, the latter unless the store
/// [merges reads](crate::Capabilities::with_merges_reads) itself; one in process has neither, and keeps its
/// [`peek`](CacheStore::peek).
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
/// # fn main() {
/// use larder_core::{CircuitBreaker, StoreHandle};
///
/// let store = StoreHandle::builder(MapStore::default())
///     .circuit_breaker(CircuitBreaker::new().minimum_calls(50))
///     .batching(None)
///     .build()
///     .unwrap();
/// # }
/// ```
#[derive(Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct StoreHandleBuilder {
    store: Arc<dyn CacheStore>,
    breaker: Option<CircuitBreaker>,
    batching: Option<Batching>,
    clock: Option<Arc<dyn Clock>>,
    spawn: Arc<dyn Spawn>,
}

impl StoreHandleBuilder {
    pub(super) fn new(store: Arc<dyn CacheStore>) -> Self {
        let capabilities = store.capabilities();
        let (remote, merges) = (capabilities.remote(), capabilities.merges_reads());
        Self {
            store,
            breaker: remote.then(CircuitBreaker::new),
            batching: (remote && !merges).then(Batching::new),
            clock: None,
            spawn: Arc::new(TokioSpawn),
        }
    }

    /// The circuit breaker of each server; `None` for none. Default: on for a store that crosses a network.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() {
    /// # use larder_core::{CircuitBreaker, CircuitState, StoreHandle};
    /// let store = StoreHandle::builder(MapStore::default()).circuit_breaker(CircuitBreaker::new()).build().unwrap();
    /// assert_eq!(store.circuits()[0].state, CircuitState::Closed);
    /// # }
    /// ```
    pub fn circuit_breaker(mut self, breaker: impl Into<Option<CircuitBreaker>>) -> Self {
        self.breaker = breaker.into();
        self
    }

    /// How reads that wait at the same time become batches; `None` for never. Default: on for a store that crosses a
    /// network, unless it [merges reads](crate::Capabilities::with_merges_reads) itself.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() {
    /// # use larder_core::{Batching, StoreHandle};
    /// let store = StoreHandle::builder(MapStore::default()).batching(Batching::new().threshold(64)).build().unwrap();
    /// # }
    /// ```
    pub fn batching(mut self, batching: impl Into<Option<Batching>>) -> Self {
        self.batching = batching.into();
        self
    }

    /// The clock that breaker and batching go by. Default: the store's own, where it has one, else the machine's.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() {
    /// # use std::sync::Arc;
    /// # use larder_core::{ManualClock, StoreHandle};
    /// let clock = Arc::new(ManualClock::default());
    /// let store = StoreHandle::builder(MapStore::default()).clock(clock).build().unwrap();
    /// # }
    /// ```
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Where probes and batches run. Default: [`TokioSpawn`].
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() {
    /// # use std::sync::Arc;
    /// # use larder_core::{StoreHandle, TokioSpawn};
    /// let store = StoreHandle::builder(MapStore::default()).spawn(Arc::new(TokioSpawn)).build().unwrap();
    /// # }
    /// ```
    pub fn spawn(mut self, spawn: Arc<dyn Spawn>) -> Self {
        self.spawn = spawn;
        self
    }

    /// The handle. A setting out of range is an error of kind [`Config`](crate::ErrorKind::Config) that names it.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() {
    /// # use larder_core::{CircuitBreaker, StoreHandle};
    /// let never = CircuitBreaker::new().error_rate(1.5);
    /// let refused = StoreHandle::builder(MapStore::default()).circuit_breaker(never).build();
    /// assert!(refused.unwrap_err().to_string().contains("`circuit_breaker.error_rate` is 1.5"));
    /// # }
    /// ```
    pub fn build(self) -> Result<StoreHandle> {
        let breaker = self.breaker.map(CircuitBreaker::checked).transpose()?;
        let batching = self.batching.map(Batching::checked).transpose()?;
        let plain = self.store;
        let clock = self.clock.or_else(|| plain.clock()).unwrap_or_else(|| Arc::new(SystemClock::new()));
        let (observers, limits) = (Arc::new(Observers::default()), Arc::new(Limits::default()));
        let evictions = Arc::new(Evictions::new(Arc::clone(&observers)));
        let mut store = Arc::clone(&plain);
        if let Some(config) = batching {
            let (clock, spawn) = (Arc::clone(&clock), Arc::clone(&self.spawn));
            store = Arc::new(Batcher::new(store, config, clock, spawn, Arc::clone(&limits)));
        }
        // Outside: an open circuit refuses a read before it waits for a batch.
        let breaker = breaker.map(|config| {
            let inside = Arc::clone(&store);
            Arc::new(Breaker::new(inside, config, clock, self.spawn, Arc::clone(&limits), &observers))
        });
        if let Some(breaker) = &breaker {
            store = Arc::clone(breaker) as Arc<dyn CacheStore>;
        }
        Ok(StoreHandle {
            capabilities: plain.capabilities(),
            store,
            plain,
            breaker,
            flights: Arc::new(FlightTable::new()),
            evictions,
            observers,
            limits,
        })
    }
}
