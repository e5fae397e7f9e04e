//! A store in process that keeps bytes.

use std::{sync::Arc, time::Duration};

use larder_core::{
    CacheStore, Capabilities, Clock, Expiry, Key, Result, SystemClock, Timestamp, Value, async_trait,
};

/// Keeps bytes in process, as a remote store does without the network.
pub struct BytesStore {
    map: moka::sync::Cache<String, bytes::Bytes, foldhash::quality::RandomState>,
    clock: Arc<SystemClock>,
}

impl BytesStore {
    /// An empty one.
    pub fn new() -> Self {
        Self { map: crate::alike(), clock: Arc::new(SystemClock::new()) }
    }
}

impl Default for BytesStore {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for BytesStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BytesStore")
    }
}

#[async_trait]
impl CacheStore for BytesStore {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new()
    }

    fn clock(&self) -> Option<Arc<dyn Clock>> {
        Some(Arc::clone(&self.clock) as Arc<dyn Clock>)
    }

    fn peek(&self, key: &Key, _now: Timestamp) -> Option<Option<Value>> {
        Some(self.map.get(key.as_str()).and_then(|wire| Value::from_wire(wire).ok()))
    }

    async fn get(&self, key: &Key) -> Result<Option<Value>> {
        self.map.get(key.as_str()).map(Value::from_wire).transpose()
    }

    /// The benchmarks set entries for five minutes, which is what the map gives every entry.
    async fn set(&self, key: &Key, value: Value, expiry: Expiry) -> Result<()> {
        assert_eq!(expiry, Expiry::After(Duration::from_mins(5)));
        self.map.insert(key.as_str().to_owned(), value.to_wire()?);
        Ok(())
    }

    async fn delete(&self, key: &Key) -> Result<bool> {
        Ok(self.map.remove(key.as_str()).is_some())
    }
}
