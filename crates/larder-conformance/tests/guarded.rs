//! A correct store is one behind a circuit breaker too, and with every read batched.

mod reference_store;

use std::{process::ExitCode, sync::Arc, time::Duration};

use larder_conformance::Suite;
use larder_core::{
    Batching, CacheStore, Capabilities, CircuitBreaker, Clock, Expiry, Guarantees, Key, Namespace, Result,
    StoreEvents, StoreHandle, SystemClock, Timestamp, Value, Version, async_trait,
};

use crate::reference_store::Reference;

fn main() -> ExitCode {
    larder_conformance::run([
        Suite::with_manual_clock(|clock| async { Ok(Guarded::new(Reference::new(clock, Duration::ZERO))) })
            .named("in process"),
        Suite::with_manual_clock(|clock| async {
            Ok(Guarded::new(Network(Reference::new(clock, Duration::ZERO))))
        })
        .named("over a network"),
        Suite::new(|| async {
            Ok(Guarded::new(Network(Reference::new(SystemClock::new(), Duration::from_millis(1)))))
        })
        .named("waiting"),
    ])
}

/// A store as caches use it.
#[derive(Debug)]
struct Guarded(StoreHandle);

impl Guarded {
    fn new(store: impl CacheStore) -> Self {
        let handle = StoreHandle::builder(store)
            .circuit_breaker(CircuitBreaker::new())
            // Small batches, so that there are several.
            .batching(Batching::new().threshold(0).max_keys(16))
            .build();
        Self(handle.expect("the settings are in range"))
    }

    fn store(&self) -> &dyn CacheStore {
        &**self.0.guarded()
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl CacheStore for Guarded {
    fn capabilities(&self) -> Capabilities {
        self.store().capabilities()
    }
    fn peek(&self, key: &Key, now: Timestamp) -> Option<Option<Value>> {
        self.store().peek(key, now)
    }
    fn clock(&self) -> Option<Arc<dyn Clock>> {
        self.store().clock()
    }
    fn subscribe(&self, events: Arc<dyn StoreEvents>) {
        self.store().subscribe(events);
    }
    fn guarantees(&self) -> Guarantees {
        self.store().guarantees()
    }
    fn servers(&self) -> Vec<String> {
        self.store().servers()
    }
    fn server_of(&self, key: &Key) -> usize {
        self.store().server_of(key)
    }
    async fn ping(&self, server: usize) -> Result<()> {
        self.store().ping(server).await
    }
    async fn get(&self, key: &Key) -> Result<Option<Value>> {
        self.store().get(key).await
    }
    async fn set(&self, key: &Key, value: Value, expiry: Expiry) -> Result<()> {
        self.store().set(key, value, expiry).await
    }
    async fn delete(&self, key: &Key) -> Result<bool> {
        self.store().delete(key).await
    }
    async fn has(&self, key: &Key) -> Result<bool> {
        self.store().has(key).await
    }
    async fn get_many(&self, keys: &[Key]) -> Vec<Result<Option<Value>>> {
        self.store().get_many(keys).await
    }
    async fn set_many(&self, entries: Vec<(Key, Value, Expiry)>) -> Vec<Result<()>> {
        self.store().set_many(entries).await
    }
    async fn delete_many(&self, keys: &[Key]) -> Vec<Result<bool>> {
        self.store().delete_many(keys).await
    }
    async fn get_versioned(&self, key: &Key) -> Result<Option<(Value, Version)>> {
        self.store().get_versioned(key).await
    }
    async fn add(&self, key: &Key, value: Value, expiry: Expiry) -> Result<Option<Version>> {
        self.store().add(key, value, expiry).await
    }
    async fn replace(
        &self,
        key: &Key,
        version: &Version,
        value: Value,
        expiry: Expiry,
    ) -> Result<Option<Version>> {
        self.store().replace(key, version, value, expiry).await
    }
    async fn increment(&self, key: &Key, delta: i64, expiry: Expiry) -> Result<i64> {
        self.store().increment(key, delta, expiry).await
    }
    async fn touch(&self, key: &Key, expiry: Expiry) -> Result<bool> {
        self.store().touch(key, expiry).await
    }
    async fn expiry(&self, key: &Key) -> Result<Option<Expiry>> {
        self.store().expiry(key).await
    }
    async fn clear(&self, namespace: &Namespace) -> Result<()> {
        self.store().clear(namespace).await
    }
    async fn keys(&self, namespace: &Namespace) -> Result<Vec<Key>> {
        self.store().keys(namespace).await
    }
    async fn len(&self) -> Result<u64> {
        self.store().len().await
    }
}

/// Three servers, by the length of the key, whose reads and batches take turns of other tasks before and after.
#[derive(Debug)]
struct Network(Reference);

async fn turn() {
    tokio::task::yield_now().await;
}

#[async_trait]
impl CacheStore for Network {
    fn capabilities(&self) -> Capabilities {
        self.0.capabilities().with_remote(true)
    }
    fn clock(&self) -> Option<Arc<dyn Clock>> {
        self.0.clock()
    }
    fn servers(&self) -> Vec<String> {
        (0..3).map(|server| format!("server{server}")).collect()
    }
    fn server_of(&self, key: &Key) -> usize {
        key.as_str().len() % 3
    }
    async fn get(&self, key: &Key) -> Result<Option<Value>> {
        turn().await;
        let found = self.0.get(key).await;
        turn().await;
        found
    }
    async fn get_many(&self, keys: &[Key]) -> Vec<Result<Option<Value>>> {
        turn().await;
        let found = self.0.get_many(keys).await;
        turn().await;
        found
    }
    async fn set(&self, key: &Key, value: Value, expiry: Expiry) -> Result<()> {
        turn().await;
        self.0.set(key, value, expiry).await
    }
    async fn delete(&self, key: &Key) -> Result<bool> {
        turn().await;
        self.0.delete(key).await
    }
    async fn get_versioned(&self, key: &Key) -> Result<Option<(Value, Version)>> {
        turn().await;
        self.0.get_versioned(key).await
    }
    async fn add(&self, key: &Key, value: Value, expiry: Expiry) -> Result<Option<Version>> {
        turn().await;
        self.0.add(key, value, expiry).await
    }
    async fn replace(
        &self,
        key: &Key,
        version: &Version,
        value: Value,
        expiry: Expiry,
    ) -> Result<Option<Version>> {
        turn().await;
        self.0.replace(key, version, value, expiry).await
    }
    async fn increment(&self, key: &Key, delta: i64, expiry: Expiry) -> Result<i64> {
        turn().await;
        self.0.increment(key, delta, expiry).await
    }
    async fn touch(&self, key: &Key, expiry: Expiry) -> Result<bool> {
        turn().await;
        self.0.touch(key, expiry).await
    }
    async fn expiry(&self, key: &Key) -> Result<Option<Expiry>> {
        turn().await;
        self.0.expiry(key).await
    }
    async fn clear(&self, namespace: &Namespace) -> Result<()> {
        self.0.clear(namespace).await
    }
    async fn keys(&self, namespace: &Namespace) -> Result<Vec<Key>> {
        self.0.keys(namespace).await
    }
    async fn len(&self) -> Result<u64> {
        self.0.len().await
    }
}
