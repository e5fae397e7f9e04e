//! The store.

use std::sync::atomic::{AtomicU64, Ordering};

use larder_core::{
    CacheStore, Capabilities, Clock, Expiry, Key, Namespace, Operations, Result, SystemClock, Timestamp,
    Value, Version, async_trait,
};

use crate::warning::Warning;

/// Keeps nothing and answers everything: reads miss, writes succeed, `add` wins, `increment` returns its delta.
///
/// It warns once, when it is first used, unless it was made by [`silent`](NullStore::silent).
///
/// ```
/// use larder_core::{CacheStore, Expiry, Key, Namespace, Value};
/// use larder_null::NullStore;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> larder_core::Result<()> {
/// let store = NullStore::silent();
/// let key = Key::new(&Namespace::root(), "greeting")?;
/// store.set(&key, Value::Bytes("hello".into()), Expiry::Never).await?;
/// assert!(!store.has(&key).await?);
/// assert!(!store.capabilities().retains());
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct NullStore {
    warning: Warning,
    last_version: AtomicU64,
}

impl NullStore {
    /// A store that keeps nothing and warns once that it does not.
    ///
    /// ```
    /// let store = larder_null::NullStore::new();
    /// ```
    pub fn new() -> Self {
        Self::with_warning(true)
    }

    /// A store that keeps nothing and says nothing about it: for tests, and where it is meant.
    ///
    /// ```
    /// let store = larder_null::NullStore::silent();
    /// ```
    pub fn silent() -> Self {
        Self::with_warning(false)
    }

    fn with_warning(due: bool) -> Self {
        // From the time: a version kept from before a restart must not equal one of now.
        let start = SystemClock::new().now().as_nanos();
        Self { warning: Warning::new(due), last_version: AtomicU64::new(start) }
    }

    fn next_version(&self) -> Version {
        Version::from(self.last_version.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

impl Default for NullStore {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl CacheStore for NullStore {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new().with_operations(Operations::ALL).with_retains(false)
    }

    async fn get(&self, _key: &Key) -> Result<Option<Value>> {
        self.warning.give();
        Ok(None)
    }

    async fn set(&self, _key: &Key, _value: Value, _expiry: Expiry) -> Result<()> {
        self.warning.give();
        Ok(())
    }

    async fn delete(&self, _key: &Key) -> Result<bool> {
        self.warning.give();
        Ok(false)
    }

    fn peek(&self, _key: &Key, _now: Timestamp) -> Option<Option<Value>> {
        self.warning.give();
        Some(None)
    }

    async fn get_versioned(&self, _key: &Key) -> Result<Option<(Value, Version)>> {
        self.warning.give();
        Ok(None)
    }

    async fn add(&self, _key: &Key, _value: Value, _expiry: Expiry) -> Result<Option<Version>> {
        self.warning.give();
        Ok(Some(self.next_version()))
    }

    async fn replace(
        &self,
        _key: &Key,
        _version: &Version,
        _value: Value,
        _expiry: Expiry,
    ) -> Result<Option<Version>> {
        self.warning.give();
        Ok(None)
    }

    async fn increment(&self, _key: &Key, delta: i64, _expiry: Expiry) -> Result<i64> {
        self.warning.give();
        Ok(delta)
    }

    async fn touch(&self, _key: &Key, _expiry: Expiry) -> Result<bool> {
        self.warning.give();
        Ok(false)
    }

    async fn expiry(&self, _key: &Key) -> Result<Option<Expiry>> {
        self.warning.give();
        Ok(None)
    }

    async fn clear(&self, _namespace: &Namespace) -> Result<()> {
        self.warning.give();
        Ok(())
    }

    async fn keys(&self, _namespace: &Namespace) -> Result<Vec<Key>> {
        self.warning.give();
        Ok(Vec::new())
    }

    async fn len(&self) -> Result<u64> {
        self.warning.give();
        Ok(0)
    }
}
