//! The breaker as a store.

use super::{Breaker, Shared, trial::Extent, verdict::Verdict};
use crate::{
    CacheStore, Capabilities, Clock, Expiry, Guarantees, Key, Namespace, Result, StoreEvents, Timestamp,
    Value, Version, async_trait, sync::Arc,
};

impl Shared {
    /// A point operation, on the server of its key.
    async fn point<T>(
        self: &Arc<Self>,
        key: &Key,
        call: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        let admitted = self.admit(self.server_of(key), Extent::Point)?;
        admitted.ended(call.await)
    }

    /// An operation that every server takes part in, so that it fails where one circuit is open. Where there are several
    /// its end says nothing about any one of them.
    async fn everywhere<T>(self: &Arc<Self>, call: impl Future<Output = Result<T>> + Send) -> Result<T> {
        let servers = 0..self.circuits.len();
        let mut admitted =
            servers.map(|server| self.admit(server, Extent::Long)).collect::<Result<Vec<_>>>()?;
        let result = call.await;
        match admitted.pop() {
            Some(only) if admitted.is_empty() => only.ended(result),
            last => {
                admitted.into_iter().chain(last).for_each(|call| call.conclude(Verdict::Nothing));
                result
            }
        }
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl CacheStore for Breaker {
    fn capabilities(&self) -> Capabilities {
        self.shared.store.capabilities()
    }

    /// Never: it would answer while `get` refuses.
    fn peek(&self, _key: &Key, _now: Timestamp) -> Option<Option<Value>> {
        None
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

    /// Past the circuit: it is the question whether the server is back.
    async fn ping(&self, server: usize) -> Result<()> {
        self.shared.store.ping(server).await
    }

    async fn get(&self, key: &Key) -> Result<Option<Value>> {
        self.shared.point(key, self.shared.store.get(key)).await
    }

    async fn set(&self, key: &Key, value: Value, expiry: Expiry) -> Result<()> {
        self.shared.point(key, self.shared.store.set(key, value, expiry)).await
    }

    async fn delete(&self, key: &Key) -> Result<bool> {
        self.shared.point(key, self.shared.store.delete(key)).await
    }

    async fn has(&self, key: &Key) -> Result<bool> {
        self.shared.point(key, self.shared.store.has(key)).await
    }

    async fn get_many(&self, keys: &[Key]) -> Vec<Result<Option<Value>>> {
        let store = &self.shared.store;
        if let Some(server) = self.shared.only_server(keys) {
            return self.shared.batch(server, keys.len(), store.get_many(keys)).await;
        }
        let ask = |keys: Vec<Key>| async move { store.get_many(&keys).await };
        self.shared.split(keys.iter().cloned(), |key| key, ask).await
    }

    async fn set_many(&self, entries: Vec<(Key, Value, Expiry)>) -> Vec<Result<()>> {
        let store = &self.shared.store;
        if let Some(server) = self.shared.only_server(entries.iter().map(|(key, ..)| key)) {
            return self.shared.batch(server, entries.len(), store.set_many(entries)).await;
        }
        let ask = |entries| async move { store.set_many(entries).await };
        self.shared.split(entries.into_iter(), |(key, ..)| key, ask).await
    }

    async fn delete_many(&self, keys: &[Key]) -> Vec<Result<bool>> {
        let store = &self.shared.store;
        if let Some(server) = self.shared.only_server(keys) {
            return self.shared.batch(server, keys.len(), store.delete_many(keys)).await;
        }
        let ask = |keys: Vec<Key>| async move { store.delete_many(&keys).await };
        self.shared.split(keys.iter().cloned(), |key| key, ask).await
    }

    async fn get_versioned(&self, key: &Key) -> Result<Option<(Value, Version)>> {
        self.shared.point(key, self.shared.store.get_versioned(key)).await
    }

    async fn add(&self, key: &Key, value: Value, expiry: Expiry) -> Result<Option<Version>> {
        self.shared.point(key, self.shared.store.add(key, value, expiry)).await
    }

    async fn replace(
        &self,
        key: &Key,
        version: &Version,
        value: Value,
        expiry: Expiry,
    ) -> Result<Option<Version>> {
        self.shared.point(key, self.shared.store.replace(key, version, value, expiry)).await
    }

    async fn increment(&self, key: &Key, delta: i64, expiry: Expiry) -> Result<i64> {
        self.shared.point(key, self.shared.store.increment(key, delta, expiry)).await
    }

    async fn touch(&self, key: &Key, expiry: Expiry) -> Result<bool> {
        self.shared.point(key, self.shared.store.touch(key, expiry)).await
    }

    async fn expiry(&self, key: &Key) -> Result<Option<Expiry>> {
        self.shared.point(key, self.shared.store.expiry(key)).await
    }

    async fn clear(&self, namespace: &Namespace) -> Result<()> {
        self.shared.everywhere(self.shared.store.clear(namespace)).await
    }

    async fn keys(&self, namespace: &Namespace) -> Result<Vec<Key>> {
        self.shared.everywhere(self.shared.store.keys(namespace)).await
    }

    async fn len(&self) -> Result<u64> {
        self.shared.everywhere(self.shared.store.len()).await
    }
}
