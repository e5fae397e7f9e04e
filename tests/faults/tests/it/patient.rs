//! A store whose callers go away after their operation timeout, as those of a cache do, and that counts its calls. It
//! has what the load and a cache's load call; the rest is left at what the trait provides.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use larder_core::{
    CacheStore, Capabilities, Error, ErrorKind, Expiry, Guarantees, Key, Result, Value, Version, async_trait,
};

#[derive(Debug)]
pub(crate) struct Patient {
    store: Arc<dyn CacheStore>,
    limit: Duration,
    calls: Arc<AtomicU64>,
}

impl Patient {
    pub(crate) fn new(store: Arc<dyn CacheStore>, limit: Duration) -> Self {
        Self { store, limit, calls: Arc::default() }
    }

    /// How many calls it has had, probes aside.
    pub(crate) fn calls(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.calls)
    }

    async fn wait<T>(&self, late: ErrorKind, call: impl Future<Output = Result<T>>) -> Result<T> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let late = |_| Err(Error::new(late, "its caller has gone away"));
        tokio::time::timeout(self.limit, call).await.unwrap_or_else(late)
    }

    async fn read<T>(&self, call: impl Future<Output = Result<T>>) -> Result<T> {
        self.wait(ErrorKind::Timeout, call).await
    }

    async fn write<T>(&self, call: impl Future<Output = Result<T>>) -> Result<T> {
        self.wait(ErrorKind::Ambiguous, call).await
    }
}

#[async_trait]
impl CacheStore for Patient {
    fn capabilities(&self) -> Capabilities {
        self.store.capabilities()
    }

    fn guarantees(&self) -> Guarantees {
        self.store.guarantees()
    }

    fn servers(&self) -> Vec<String> {
        self.store.servers()
    }

    fn server_of(&self, key: &Key) -> usize {
        self.store.server_of(key)
    }

    async fn ping(&self, server: usize) -> Result<()> {
        self.store.ping(server).await
    }

    async fn get(&self, key: &Key) -> Result<Option<Value>> {
        self.read(self.store.get(key)).await
    }

    async fn has(&self, key: &Key) -> Result<bool> {
        self.read(self.store.has(key)).await
    }

    async fn get_many(&self, keys: &[Key]) -> Vec<Result<Option<Value>>> {
        let many = self.read(async { Ok(self.store.get_many(keys).await) }).await;
        many.unwrap_or_else(|error| vec![Err(error); keys.len()])
    }

    async fn get_versioned(&self, key: &Key) -> Result<Option<(Value, Version)>> {
        self.read(self.store.get_versioned(key)).await
    }

    async fn set(&self, key: &Key, value: Value, expiry: Expiry) -> Result<()> {
        self.write(self.store.set(key, value, expiry)).await
    }

    async fn delete(&self, key: &Key) -> Result<bool> {
        self.write(self.store.delete(key)).await
    }

    async fn add(&self, key: &Key, value: Value, expiry: Expiry) -> Result<Option<Version>> {
        self.write(self.store.add(key, value, expiry)).await
    }

    async fn replace(
        &self,
        key: &Key,
        seen: &Version,
        value: Value,
        expiry: Expiry,
    ) -> Result<Option<Version>> {
        self.write(self.store.replace(key, seen, value, expiry)).await
    }

    async fn increment(&self, key: &Key, delta: i64, expiry: Expiry) -> Result<i64> {
        self.write(self.store.increment(key, delta, expiry)).await
    }
}
