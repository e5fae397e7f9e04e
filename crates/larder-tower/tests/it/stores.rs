//! Stores that keep bytes, are slow, or fail.

use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::join_all;
use http::Request;
use http_body_util::BodyExt;
use larder_core::{
    Cache, CacheStore, Capabilities, Error, ErrorKind, Expiry, Key, Result, StoreHandle, Value, async_trait,
};
use larder_tower::{CacheLayer, CacheOutcome, Reason};
use tower::{Layer, ServiceExt, service_fn};

use crate::site::{Body, request, respond};

/// Keeps bytes, and takes its time, as a server does.
#[derive(Debug, Default)]
struct ByteStore {
    map: Mutex<HashMap<Key, Bytes>>,
    is_down: AtomicBool,
}

impl ByteStore {
    async fn reach(&self) -> Result<()> {
        tokio::task::yield_now().await;
        if self.is_down.load(Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Unavailable, "the store is down"));
        }
        Ok(())
    }
}

#[async_trait]
impl CacheStore for ByteStore {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new().with_shared(true)
    }

    async fn get(&self, key: &Key) -> Result<Option<Value>> {
        self.reach().await?;
        self.map.lock().unwrap().get(key).cloned().map(Value::from_wire).transpose()
    }

    async fn set(&self, key: &Key, value: Value, _: Expiry) -> Result<()> {
        self.reach().await?;
        let wire = value.to_wire()?;
        self.map.lock().unwrap().insert(key.clone(), wire);
        Ok(())
    }

    async fn delete(&self, key: &Key) -> Result<bool> {
        self.reach().await?;
        Ok(self.map.lock().unwrap().remove(key).is_some())
    }
}

struct Rig {
    store: Arc<ByteStore>,
    layer: CacheLayer,
    calls: Arc<AtomicUsize>,
}

impl Rig {
    fn new() -> Self {
        let store = Arc::new(ByteStore::default());
        let cache = Cache::new(StoreHandle::from_arc(Arc::clone(&store) as Arc<dyn CacheStore>));
        let layer = CacheLayer::builder(cache)
            .forced_update(|head| head.headers.contains_key("x-refresh"))
            .build()
            .unwrap();
        Self { store, layer, calls: Arc::default() }
    }

    async fn send(&self, request: Request<Body>) -> (CacheOutcome, String) {
        let calls = Arc::clone(&self.calls);
        let service = self.layer.layer(service_fn(move |_: Request<Body>| {
            let call = calls.fetch_add(1, Ordering::SeqCst) + 1;
            async move {
                tokio::time::sleep(Duration::from_millis(1)).await;
                Ok::<_, Infallible>(respond(call.to_string()))
            }
        }));
        let response = service.oneshot(request).await.unwrap();
        let outcome = *response.extensions().get().unwrap();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (outcome, String::from_utf8(body.to_vec()).unwrap())
    }

    async fn get(&self) -> (CacheOutcome, String) {
        self.send(request("GET", "/", &[])).await
    }
}

#[tokio::test]
async fn a_store_that_keeps_bytes_serves_the_same() {
    let rig = Rig::new();
    assert_eq!(rig.get().await, (CacheOutcome::Miss, "1".into()));
    let (outcome, body) = rig.get().await;
    assert!(matches!(outcome, CacheOutcome::Hit { .. }));
    assert_eq!(body, "1");
    let (outcome, body) = rig.send(request("HEAD", "/", &[])).await;
    assert!(matches!(outcome, CacheOutcome::Hit { .. }));
    assert_eq!(body, "");
    let (outcome, body) = rig.send(request("GET", "/", &[("x-refresh", "1")])).await;
    assert_eq!((outcome, body.as_str()), (CacheOutcome::Miss, "2"));
    assert_eq!(rig.get().await.1, "2");
}

#[tokio::test]
async fn concurrent_misses_run_the_handler_once_there_too() {
    let rig = Rig::new();
    let answers = join_all((0..20).map(|_| rig.get())).await;
    assert!(answers.iter().all(|(_, body)| body == "1"));
    assert_eq!(rig.calls.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_store_that_is_down_is_never_an_error_to_the_client() {
    let rig = Rig::new();
    rig.get().await;
    rig.store.is_down.store(true, Ordering::SeqCst);
    assert_eq!(rig.get().await, (CacheOutcome::NotStored(Reason::StoreError), "2".into()));
    assert_eq!(rig.send(request("HEAD", "/", &[])).await.0.as_str(), "miss");
    let forced = rig.send(request("GET", "/", &[("x-refresh", "1")])).await;
    assert_eq!(forced, (CacheOutcome::NotStored(Reason::StoreError), "4".into()));
    let head = request("GET", "/", &[]).into_parts().0;
    assert!(rig.layer.invalidate(&head).await.is_err(), "a failed invalidation is said");
    rig.store.is_down.store(false, Ordering::SeqCst);
    assert_eq!(rig.get().await.1, "5", "what could not be invalidated is not served");
}

#[tokio::test]
async fn an_entry_that_does_not_decode_is_a_miss() {
    let rig = Rig::new();
    rig.get().await;
    for wire in rig.store.map.lock().unwrap().values_mut() {
        let mut damaged = wire.to_vec();
        damaged.push(b'x');
        *wire = damaged.into();
    }
    assert_eq!(rig.get().await, (CacheOutcome::Miss, "2".into()));
    assert!(matches!(rig.get().await.0, CacheOutcome::Hit { .. }));
}
