//! Processes that share a store.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use http::Request;
use larder_core::{
    Cache, CacheStore, Capabilities, Clock, Expiry, Key, ManualClock, Operations, Result, StoreHandle, Value,
    Version, async_trait,
};
use larder_simple::SimpleStore;
use larder_tower::{CacheLayer, CacheLayerBuilder, CacheOutcome, Reason};
use tokio::{sync::Semaphore, time::timeout};
use tower::{Layer, ServiceExt, service_fn};

use crate::site::{Body, request, respond_with};

const SOON: Duration = Duration::from_secs(5);

/// A store that each handle over it takes for a server, and itself for a process of its own.
#[derive(Debug)]
struct Server(SimpleStore);

#[async_trait]
impl CacheStore for Server {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new().with_operations(Operations::VERSIONS).with_shared(true)
    }

    fn clock(&self) -> Option<Arc<dyn Clock>> {
        self.0.clock()
    }

    async fn get(&self, key: &Key) -> Result<Option<Value>> {
        self.0.get(key).await
    }

    async fn set(&self, key: &Key, value: Value, expiry: Expiry) -> Result<()> {
        self.0.set(key, value, expiry).await
    }

    async fn delete(&self, key: &Key) -> Result<bool> {
        self.0.delete(key).await
    }

    async fn get_versioned(&self, key: &Key) -> Result<Option<(Value, Version)>> {
        self.0.get_versioned(key).await
    }

    async fn add(&self, key: &Key, value: Value, expiry: Expiry) -> Result<Option<Version>> {
        self.0.add(key, value, expiry).await
    }

    async fn replace(
        &self,
        key: &Key,
        version: &Version,
        value: Value,
        expiry: Expiry,
    ) -> Result<Option<Version>> {
        self.0.replace(key, version, value, expiry).await
    }
}

/// One process: its first answer waits at the gate, where there is one.
#[derive(Clone)]
struct Process {
    layer: CacheLayer,
    calls: Arc<AtomicUsize>,
    gate: Option<Arc<Semaphore>>,
    /// Whether its answers set a cookie.
    is_personal: bool,
}

impl Process {
    async fn get(&self) -> CacheOutcome {
        let Self { calls, gate, is_personal, .. } = self.clone();
        let service = self.layer.layer(service_fn(move |_: Request<Body>| {
            let (call, gate) = (calls.fetch_add(1, Ordering::SeqCst), gate.clone());
            async move {
                if let Some(gate) = gate.filter(|_| call == 0) {
                    gate.acquire().await.unwrap().forget();
                }
                let cookie: &[_] = if is_personal { &[("set-cookie", "session=1")] } else { &[] };
                Ok::<_, Infallible>(respond_with(cookie, "x"))
            }
        }));
        let response = service.oneshot(request("GET", "/", &[])).await.unwrap();
        *response.extensions().get().unwrap()
    }

    /// Starts a request, and returns when its handler runs.
    async fn begin(&self) -> tokio::task::JoinHandle<CacheOutcome> {
        let process = self.clone();
        let running = tokio::spawn(async move { process.get().await });
        while self.calls.load(Ordering::SeqCst) == 0 {
            assert!(!running.is_finished(), "it has an answer without its handler");
            tokio::task::yield_now().await;
        }
        running
    }

    /// Lets the end of its last answer, which nobody waits for, reach the server.
    async fn settle(&self) {
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
    }
}

/// Two processes over one server, of which the first stands at the gate; and the time they live by, which stands still.
fn two(
    options: impl Fn(CacheLayerBuilder) -> CacheLayerBuilder,
    is_personal: bool,
) -> (Process, Process, ManualClock) {
    let clock = ManualClock::default();
    let server = SimpleStore::builder().clock(Arc::new(clock.clone())).build().unwrap();
    let server: Arc<dyn CacheStore> = Arc::new(Server(server));
    let process = |gate| {
        let cache = Cache::builder(StoreHandle::from_arc(Arc::clone(&server)));
        let cache = cache.load_timeout(Duration::from_secs(2)).build().unwrap();
        let layer = options(CacheLayer::builder(cache)).build().unwrap();
        Process { layer, calls: Arc::default(), gate, is_personal }
    };
    (process(Some(Arc::new(Semaphore::new(0)))), process(None), clock)
}

#[tokio::test]
async fn what_one_process_fills_is_a_hit_in_another() {
    let (held, other, _) = two(|layer| layer, false);
    assert_eq!(other.get().await, CacheOutcome::Miss);
    assert!(matches!(held.get().await, CacheOutcome::Hit { .. }));
}

#[tokio::test]
async fn a_page_lately_found_personal_waits_for_no_other_process() {
    let (held, other, _) = two(|layer| layer, true);
    assert_eq!(other.get().await, CacheOutcome::NotStored(Reason::SetCookie));
    other.settle().await;
    let running = held.begin().await;
    let answer = timeout(SOON, other.get()).await.expect("it waits for the other process");
    assert_eq!(answer, CacheOutcome::NotStored(Reason::NotWaiting));
    held.gate.unwrap().add_permits(1);
    assert_eq!(running.await.unwrap(), CacheOutcome::NotStored(Reason::SetCookie));
}

#[tokio::test]
async fn without_coalescing_no_other_process_is_waited_for_and_one_fills() {
    let (held, other, _) = two(|layer| layer.coalesce(false), false);
    let running = held.begin().await;
    let answer = timeout(SOON, other.get()).await.expect("it waits for the other process");
    assert_eq!(answer, CacheOutcome::NotStored(Reason::NotWaiting));
    held.gate.unwrap().add_permits(1);
    assert_eq!(running.await.unwrap(), CacheOutcome::Miss);
    assert!(matches!(other.get().await, CacheOutcome::Hit { .. }));
}

#[tokio::test]
async fn another_process_that_takes_too_long_is_no_failure_of_the_store() {
    let (held, other, clock) = two(|layer| layer, false);
    let running = held.begin().await;
    let waiting = tokio::spawn(async move { other.get().await });
    while !waiting.is_finished() {
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        clock.advance(Duration::from_millis(10));
    }
    assert_eq!(waiting.await.unwrap(), CacheOutcome::NotStored(Reason::LeaderTimedOut));
    running.abort();
}
