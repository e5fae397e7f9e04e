//! A store that takes time: the same store, with delays around every step.

use std::sync::Arc;

use larder_core::{
    CacheStore, Capabilities, Clock, Expiry, Guarantees, Key, Namespace, Operations, Result, StoreEvents,
    Timestamp, Value, Version, async_trait,
};

use super::random::Random;

/// Delays every operation before and after it reaches the inner store, and answers nothing at once.
#[derive(Debug)]
pub(super) struct Delayed<S> {
    inner: S,
    random: Random,
    capabilities: Capabilities,
}

impl<S: CacheStore> Delayed<S> {
    pub(super) fn new(inner: S, seed: u64) -> Self {
        Self { capabilities: inner.capabilities(), inner, random: Random::new(seed) }
    }

    pub(super) fn without_versions(mut self) -> Self {
        let operations = self.capabilities.operations().without(Operations::VERSIONS);
        self.capabilities = self.capabilities.with_operations(operations);
        self
    }

    /// As one that other processes write to: loads are fenced by leases.
    pub(super) fn shared(mut self) -> Self {
        self.capabilities = self.capabilities.with_shared(true);
        self
    }

    async fn around<T>(&self, operation: impl Future<Output = T>) -> T {
        self.random.delay().await;
        let result = operation.await;
        self.random.delay().await;
        result
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: CacheStore> CacheStore for Delayed<S> {
    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    fn peek(&self, _key: &Key, _now: Timestamp) -> Option<Option<Value>> {
        None
    }

    fn clock(&self) -> Option<Arc<dyn Clock>> {
        self.inner.clock()
    }

    fn subscribe(&self, events: Arc<dyn StoreEvents>) {
        self.inner.subscribe(events);
    }

    fn guarantees(&self) -> Guarantees {
        self.inner.guarantees()
    }

    fn servers(&self) -> Vec<String> {
        self.inner.servers()
    }

    fn server_of(&self, key: &Key) -> usize {
        self.inner.server_of(key)
    }

    async fn ping(&self, server: usize) -> Result<()> {
        self.inner.ping(server).await
    }

    async fn get(&self, key: &Key) -> Result<Option<Value>> {
        self.around(self.inner.get(key)).await
    }

    async fn set(&self, key: &Key, value: Value, expiry: Expiry) -> Result<()> {
        self.around(self.inner.set(key, value, expiry)).await
    }

    async fn delete(&self, key: &Key) -> Result<bool> {
        self.around(self.inner.delete(key)).await
    }

    async fn has(&self, key: &Key) -> Result<bool> {
        self.around(self.inner.has(key)).await
    }

    async fn get_many(&self, keys: &[Key]) -> Vec<Result<Option<Value>>> {
        self.around(self.inner.get_many(keys)).await
    }

    async fn set_many(&self, entries: Vec<(Key, Value, Expiry)>) -> Vec<Result<()>> {
        self.around(self.inner.set_many(entries)).await
    }

    async fn delete_many(&self, keys: &[Key]) -> Vec<Result<bool>> {
        self.around(self.inner.delete_many(keys)).await
    }

    async fn get_versioned(&self, key: &Key) -> Result<Option<(Value, Version)>> {
        self.around(self.inner.get_versioned(key)).await
    }

    async fn add(&self, key: &Key, value: Value, expiry: Expiry) -> Result<Option<Version>> {
        self.around(self.inner.add(key, value, expiry)).await
    }

    async fn replace(
        &self,
        key: &Key,
        version: &Version,
        value: Value,
        expiry: Expiry,
    ) -> Result<Option<Version>> {
        self.around(self.inner.replace(key, version, value, expiry)).await
    }

    async fn increment(&self, key: &Key, delta: i64, expiry: Expiry) -> Result<i64> {
        self.around(self.inner.increment(key, delta, expiry)).await
    }

    async fn touch(&self, key: &Key, expiry: Expiry) -> Result<bool> {
        self.around(self.inner.touch(key, expiry)).await
    }

    async fn expiry(&self, key: &Key) -> Result<Option<Expiry>> {
        self.around(self.inner.expiry(key)).await
    }

    async fn clear(&self, namespace: &Namespace) -> Result<()> {
        self.around(self.inner.clear(namespace)).await
    }

    async fn keys(&self, namespace: &Namespace) -> Result<Vec<Key>> {
        self.around(self.inner.keys(namespace)).await
    }

    async fn len(&self) -> Result<u64> {
        self.around(self.inner.len()).await
    }
}
