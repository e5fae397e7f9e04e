//! What stands between a cache and a store that crosses a network: circuit breakers, and batching.

mod batching;
mod batching_property;
mod breaker;
mod breaker_batches;
mod breaker_row;
mod recovery;
mod servers;
mod settings;

use std::sync::Arc;

use larder_core::{
    Batching, Cache, CacheStore, CircuitBreaker, CircuitState, Key, ManualClock, Observer, StoreHandle,
};

use self::servers::Servers;
use crate::support::{self, Events};

/// A store of several servers behind circuit breakers, and a cache over it.
pub(crate) struct Rig {
    pub(crate) store: Arc<Servers>,
    pub(crate) handle: StoreHandle,
    pub(crate) cache: Cache,
    pub(crate) clock: ManualClock,
    pub(crate) events: Arc<Events>,
}

impl Rig {
    pub(crate) fn new(servers: usize) -> Self {
        Self::with(servers, CircuitBreaker::new())
    }

    pub(crate) fn with(servers: usize, breaker: CircuitBreaker) -> Self {
        let store = Arc::new(Servers::new(servers));
        let clock = store.map.clock.clone();
        let handle = StoreHandle::builder_from_arc(Arc::clone(&store) as Arc<dyn CacheStore>)
            .circuit_breaker(breaker)
            .batching(None)
            .build()
            .unwrap();
        let events = Arc::new(Events::default());
        let observer = Arc::clone(&events) as Arc<dyn Observer>;
        let cache = Cache::builder(handle.clone()).observer(observer).build().unwrap();
        Self { store, handle, cache, clock, events }
    }

    /// The store as a cache uses it.
    pub(crate) fn guarded(&self) -> &dyn CacheStore {
        &**self.handle.guarded()
    }

    pub(crate) fn states(&self) -> Vec<CircuitState> {
        self.handle.circuits().iter().map(|circuit| circuit.state).collect()
    }

    pub(crate) fn state(&self) -> CircuitState {
        self.states()[0]
    }

    /// What observers heard of circuits since the last call.
    pub(crate) fn changes(&self) -> Vec<String> {
        self.events.take().into_iter().filter(|event| event.starts_with("CircuitChanged")).collect()
    }

    /// So many reads, one after the other.
    pub(crate) async fn reads(&self, count: usize) {
        for _ in 0..count {
            // How it ends is the script's business.
            let _ = self.guarded().get(&key("a0")).await;
        }
    }

    /// Opens the circuit to a server by failures.
    pub(crate) async fn open(&self, server: usize) {
        self.store.be(server, servers::Mood::Fails(larder_core::ErrorKind::Unavailable));
        for _ in 0..20 {
            assert!(self.guarded().get(&key(&format!("a{server}"))).await.is_err());
        }
        assert_eq!(self.states()[server], CircuitState::Open);
    }

    /// The server is well, which a probe and three calls find.
    #[cfg(any(feature = "metrics", feature = "tracing"))]
    pub(crate) async fn recover(&self, server: usize) {
        self.store.be(server, servers::Mood::Well);
        support::settle().await;
        self.clock.advance(std::time::Duration::from_millis(300));
        support::settle().await;
        for _ in 0..3 {
            assert!(self.guarded().get(&key(&format!("a{server}"))).await.is_ok());
        }
        assert_eq!(self.states()[server], CircuitState::Closed);
    }
}

/// A key on the server that the last digit of `text` names.
pub(crate) fn key(text: &str) -> Key {
    support::key(&[], text)
}

fn batched(store: Arc<dyn CacheStore>, batching: Batching) -> StoreHandle {
    StoreHandle::builder_from_arc(store).circuit_breaker(None).batching(batching).build().unwrap()
}
