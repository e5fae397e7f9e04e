//! The store.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use larder_core::{
    CacheStore, Capabilities, Clock, Error, ErrorKind, Expiry, Key, Namespace, Operations, Result,
    StoreEvents, Timestamp, Value, Version, async_trait,
};

use crate::{
    config::{Bounds, Eviction, SimpleStoreBuilder},
    engine::Engine,
    entry::Entry,
    upkeep::{Kept, breathe},
};

/// Keeps values in this process, as they are: a hit is a pointer copy.
///
/// Bounded, by default to 10 000 entries; when it is full the entry least recently used goes. It has every optional
/// operation. Reads take no lock; writes of one key are exact against each other. The bounds are enforced in small
/// batches: there may be some hundred entries more for a moment, never for longer.
///
/// It has no `Clone`: loads are shared and fenced by the handle around a store, so share that
/// ([`StoreHandle`](larder_core::StoreHandle)) or the cache.
///
/// ```
/// use larder_core::{CacheStore, Expiry, Key, Namespace, Value};
/// use larder_simple::SimpleStore;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> larder_core::Result<()> {
/// let store = SimpleStore::new();
/// let key = Key::new(&Namespace::root(), "greeting")?;
/// store.set(&key, Value::Bytes("hello".into()), Expiry::Never).await?;
/// assert!(store.has(&key).await?);
/// # Ok(()) }
/// ```
#[doc(alias = "memory")]
#[doc(alias = "moka")]
pub struct SimpleStore {
    kept: Arc<Kept>,
    bounds: Bounds,
    eviction: Eviction,
    clock: Arc<dyn Clock>,
    last_version: AtomicU64,
}

impl SimpleStore {
    /// A store of at most 10 000 entries.
    ///
    /// ```
    /// let store = larder_simple::SimpleStore::new();
    /// ```
    pub fn new() -> Self {
        Self::builder().build().expect("the defaults are in range")
    }

    /// Sets bounds, eviction and clock.
    ///
    /// ```
    /// let store = larder_simple::SimpleStore::builder().max_entries(1_000_000).build()?;
    /// # Ok::<(), larder_core::Error>(())
    /// ```
    pub fn builder() -> SimpleStoreBuilder {
        SimpleStoreBuilder::default()
    }

    pub(crate) fn from_parts(bounds: Bounds, eviction: Eviction, clock: Arc<dyn Clock>) -> Self {
        Self {
            kept: Arc::new(Kept::new(Engine::new(&bounds, eviction), Arc::clone(&clock))),
            bounds,
            eviction,
            // Not from zero: a version kept from before a restart must not fit an entry of this store.
            last_version: AtomicU64::new(clock.now().as_nanos()),
            clock,
        }
    }

    fn live(&self, key: &Key, now: Timestamp) -> Option<Entry> {
        self.kept.engine.get(key).filter(|entry| entry.is_live(now))
    }

    /// On every hit: taking the entry apart where it lies is cheaper than passing it on whole.
    fn value(&self, key: &Key, now: Timestamp) -> Option<Value> {
        match self.kept.engine.get(key) {
            Some(Entry { value, deadline, .. }) if deadline > now => Some(value),
            _ => None,
        }
    }

    fn charge(&self, key: &Key, value: &Value) -> Result<u32> {
        self.bounds.charge(key, || value.weight())
    }

    /// Puts an entry where nothing or another one was; one that is over already only takes that away. Its key is locked.
    fn put(&self, key: &Key, value: Value, weight: u32, deadline: Timestamp, now: Timestamp) -> Version {
        let version = self.last_version.fetch_add(1, Ordering::Relaxed) + 1;
        if deadline > now {
            self.kept.engine.insert(key.clone(), Entry { value, deadline, version, weight });
            self.kept.wake();
        } else {
            self.kept.engine.remove(key);
        }
        Version::from(version)
    }

    fn set_now(&self, key: &Key, value: Value, expiry: Expiry) -> Result<()> {
        let weight = self.charge(key, &value)?;
        let _lock = self.kept.locks.lock(key);
        let now = self.clock.now();
        self.put(key, value, weight, expiry.deadline(now), now);
        Ok(())
    }

    fn delete_now(&self, key: &Key) -> bool {
        let removed = {
            let _lock = self.kept.locks.lock(key);
            self.kept.engine.remove(key)
        };
        removed.is_some_and(|entry| entry.is_live(self.clock.now()))
    }

    /// The keys in a namespace, of expired entries too.
    fn entries_in(&self, namespace: &Namespace) -> impl Iterator<Item = (Arc<Key>, Entry)> {
        self.kept.engine.iter().filter(|(key, _)| namespace.contains(key))
    }
}

impl Default for SimpleStore {
    fn default() -> Self {
        Self::new()
    }
}

/// Shows the bounds and a recent count, never keys or values.
impl fmt::Debug for SimpleStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimpleStore")
            .field("max_entries", &self.bounds.max_entries())
            .field("max_bytes", &self.bounds.max_bytes())
            .field("eviction", &self.eviction)
            .field("entries", &self.kept.engine.count())
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl CacheStore for SimpleStore {
    fn capabilities(&self) -> Capabilities {
        let all = Capabilities::new().with_operations(Operations::ALL).with_weighing(self.bounds.weighs());
        match self.bounds.max_value_bytes() {
            Some(limit) => all.with_max_value_bytes(limit),
            None => all,
        }
    }

    async fn get(&self, key: &Key) -> Result<Option<Value>> {
        Ok(self.value(key, self.clock.now()))
    }

    async fn set(&self, key: &Key, value: Value, expiry: Expiry) -> Result<()> {
        self.set_now(key, value, expiry)
    }

    async fn delete(&self, key: &Key) -> Result<bool> {
        Ok(self.delete_now(key))
    }

    fn peek(&self, key: &Key, now: Timestamp) -> Option<Option<Value>> {
        Some(self.value(key, now))
    }

    fn clock(&self) -> Option<Arc<dyn Clock>> {
        Some(Arc::clone(&self.clock))
    }

    fn subscribe(&self, events: Arc<dyn StoreEvents>) {
        self.kept.engine.subscribe(events);
    }

    async fn get_many(&self, keys: &[Key]) -> Vec<Result<Option<Value>>> {
        let mut results = Vec::with_capacity(keys.len());
        for key in keys {
            results.push(Ok(self.value(key, self.clock.now())));
            breathe(results.len()).await;
        }
        results
    }

    async fn set_many(&self, entries: Vec<(Key, Value, Expiry)>) -> Vec<Result<()>> {
        let mut results = Vec::with_capacity(entries.len());
        for (key, value, expiry) in entries {
            results.push(self.set_now(&key, value, expiry));
            breathe(results.len()).await;
        }
        results
    }

    async fn delete_many(&self, keys: &[Key]) -> Vec<Result<bool>> {
        let mut results = Vec::with_capacity(keys.len());
        for key in keys {
            results.push(Ok(self.delete_now(key)));
            breathe(results.len()).await;
        }
        results
    }

    async fn get_versioned(&self, key: &Key) -> Result<Option<(Value, Version)>> {
        let entry = self.live(key, self.clock.now());
        Ok(entry.map(|entry| (entry.value, Version::from(entry.version))))
    }

    async fn add(&self, key: &Key, value: Value, expiry: Expiry) -> Result<Option<Version>> {
        let weight = self.charge(key, &value)?;
        let _lock = self.kept.locks.lock(key);
        let now = self.clock.now();
        if self.live(key, now).is_some() {
            return Ok(None);
        }
        Ok(Some(self.put(key, value, weight, expiry.deadline(now), now)))
    }

    async fn replace(
        &self,
        key: &Key,
        version: &Version,
        value: Value,
        expiry: Expiry,
    ) -> Result<Option<Version>> {
        let weight = self.charge(key, &value)?;
        let _lock = self.kept.locks.lock(key);
        let now = self.clock.now();
        match self.live(key, now) {
            Some(entry) if Version::from(entry.version) == *version => {
                Ok(Some(self.put(key, value, weight, expiry.deadline(now), now)))
            }
            _ => Ok(None),
        }
    }

    async fn increment(&self, key: &Key, delta: i64, expiry: Expiry) -> Result<i64> {
        let weight = self.charge(key, &Value::Int(delta))?;
        let _lock = self.kept.locks.lock(key);
        let now = self.clock.now();
        let held = self.live(key, now);
        let (sum, deadline) = match &held {
            None => (delta, expiry.deadline(now)),
            Some(Entry { value: Value::Int(count), deadline, .. }) => {
                let sum = count.checked_add(delta).ok_or_else(|| {
                    Error::new(ErrorKind::Overflow, "the counter would leave the range of a 64-bit integer")
                })?;
                (sum, *deadline)
            }
            Some(_) => {
                return Err(Error::new(ErrorKind::WrongType, "`increment` on a value that is not a counter"));
            }
        };
        self.put(key, Value::Int(sum), weight, deadline, now);
        Ok(sum)
    }

    async fn touch(&self, key: &Key, expiry: Expiry) -> Result<bool> {
        let _lock = self.kept.locks.lock(key);
        let now = self.clock.now();
        let Some(held) = self.live(key, now) else {
            return Ok(false);
        };
        self.put(key, held.value, held.weight, expiry.deadline(now), now);
        Ok(true)
    }

    async fn expiry(&self, key: &Key) -> Result<Option<Expiry>> {
        let now = self.clock.now();
        Ok(self.live(key, now).map(|entry| Expiry::until(entry.deadline, now)))
    }

    async fn clear(&self, namespace: &Namespace) -> Result<()> {
        let keys: Vec<_> = self.entries_in(namespace).map(|(key, _)| key).collect();
        for (at, key) in keys.iter().enumerate() {
            self.delete_now(key);
            breathe(at + 1).await;
        }
        self.kept.engine.maintain();
        Ok(())
    }

    async fn keys(&self, namespace: &Namespace) -> Result<Vec<Key>> {
        self.kept.engine.maintain();
        let now = self.clock.now();
        let live = self.entries_in(namespace).filter(|(_, entry)| entry.is_live(now));
        Ok(live.map(|(key, _)| Key::clone(&key)).collect())
    }

    async fn len(&self) -> Result<u64> {
        self.kept.engine.maintain();
        let now = self.clock.now();
        Ok(self.kept.engine.iter().filter(|(_, entry)| entry.is_live(now)).count() as u64)
    }
}
