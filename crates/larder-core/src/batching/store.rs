//! The batcher as a store.

use super::Batcher;
use crate::{
    CacheStore, Capabilities, Clock, Expiry, Guarantees, Key, Namespace, Result, StoreEvents, Timestamp,
    Value, Version, async_trait, sync::Arc,
};

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl CacheStore for Batcher {
    fn capabilities(&self) -> Capabilities {
        self.shared.store.capabilities()
    }

    fn peek(&self, key: &Key, now: Timestamp) -> Option<Option<Value>> {
        self.shared.store.peek(key, now)
    }

    fn clock(&self) -> Option<Arc<dyn Clock>> {
        self.shared.store.clock()
    }

    fn subscribe(&self, events: Arc<dyn StoreEvents>) {
        self.shared.store.subscribe(events);
    }

    fn guarantees(&self) -> Guarantees {
        self.shared.store.guarantees()
    }

    fn servers(&self) -> Vec<String> {
        self.shared.store.servers()
    }

    fn server_of(&self, key: &Key) -> usize {
        self.shared.store.server_of(key)
    }

    async fn ping(&self, server: usize) -> Result<()> {
        self.shared.store.ping(server).await
    }

    async fn get(&self, key: &Key) -> Result<Option<Value>> {
        self.shared.get(key).await
    }

    async fn set(&self, key: &Key, value: Value, expiry: Expiry) -> Result<()> {
        self.shared.store.set(key, value, expiry).await
    }

    async fn delete(&self, key: &Key) -> Result<bool> {
        self.shared.store.delete(key).await
    }

    async fn has(&self, key: &Key) -> Result<bool> {
        self.shared.store.has(key).await
    }

    async fn get_many(&self, keys: &[Key]) -> Vec<Result<Option<Value>>> {
        self.shared.store.get_many(keys).await
    }

    async fn set_many(&self, entries: Vec<(Key, Value, Expiry)>) -> Vec<Result<()>> {
        self.shared.store.set_many(entries).await
    }

    async fn delete_many(&self, keys: &[Key]) -> Vec<Result<bool>> {
        self.shared.store.delete_many(keys).await
    }

    async fn get_versioned(&self, key: &Key) -> Result<Option<(Value, Version)>> {
        self.shared.store.get_versioned(key).await
    }

    async fn add(&self, key: &Key, value: Value, expiry: Expiry) -> Result<Option<Version>> {
        self.shared.store.add(key, value, expiry).await
    }

    async fn replace(
        &self,
        key: &Key,
        version: &Version,
        value: Value,
        expiry: Expiry,
    ) -> Result<Option<Version>> {
        self.shared.store.replace(key, version, value, expiry).await
    }

    async fn increment(&self, key: &Key, delta: i64, expiry: Expiry) -> Result<i64> {
        self.shared.store.increment(key, delta, expiry).await
    }

    async fn touch(&self, key: &Key, expiry: Expiry) -> Result<bool> {
        self.shared.store.touch(key, expiry).await
    }

    async fn expiry(&self, key: &Key) -> Result<Option<Expiry>> {
        self.shared.store.expiry(key).await
    }

    async fn clear(&self, namespace: &Namespace) -> Result<()> {
        self.shared.store.clear(namespace).await
    }

    async fn keys(&self, namespace: &Namespace) -> Result<Vec<Key>> {
        self.shared.store.keys(namespace).await
    }

    async fn len(&self) -> Result<u64> {
        self.shared.store.len().await
    }
}
