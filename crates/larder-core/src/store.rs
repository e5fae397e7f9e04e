//! The contract between a store and everything above it.

use std::{fmt, sync::Arc};

use async_trait::async_trait;

use crate::{
    Capabilities, Clock, Error, Expiry, Guarantees, Key, Namespace, Result, StoreEvents, Timestamp, Value,
    Version,
};

#[doc = include_str!("store/contract.md")]
#[async_trait]
#[expect(clippy::len_without_is_empty, reason = "a fallible question to a server, not a collection's")]
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a cache store",
    note = "implement `larder::CacheStore` for it; to share one store between caches, share a `StoreHandle`"
)]
pub trait CacheStore: fmt::Debug + Send + Sync + 'static {
    /// What the store can do. No I/O; the same answer for as long as the store lives.
    ///
    /// ```
    /// # use larder_core::*;
    /// fn can_count(store: &dyn CacheStore) -> bool {
    ///     store.capabilities().supports(Operations::INCREMENT)
    /// }
    /// ```
    fn capabilities(&self) -> Capabilities;

    /// The value under `key`, `None` if there is none or it has expired.
    ///
    /// # Behavior
    /// - Bytes that this store did not write, or that are damaged, are a miss (or [`Corrupt`](crate::ErrorKind::Corrupt)
    ///   where the store can tell that it is damaged), never a panic and never another key's value.
    ///
    /// ```
    /// # use larder_core::*;
    /// async fn is_there(store: &dyn CacheStore, key: &Key) -> Result<bool> {
    ///     Ok(store.get(key).await?.is_some())
    /// }
    /// ```
    async fn get(&self, key: &Key) -> Result<Option<Value>>;

    /// Puts `value` under `key`, replacing the value *and* the expiry of what was there.
    ///
    /// # Behavior
    /// - Once it returned `Ok`, `get` finds the value: no admission policy refuses it silently.
    /// - Over the store's limit: [`TooLarge`](crate::ErrorKind::TooLarge), and nothing is stored.
    /// - An expiry that [is past](Expiry::is_past) leaves a miss.
    ///
    /// ```
    /// # use larder_core::*;
    /// async fn greet(store: &dyn CacheStore, key: &Key) -> Result<()> {
    ///     store.set(key, Value::Bytes("hello".into()), Expiry::Never).await
    /// }
    /// ```
    async fn set(&self, key: &Key, value: Value, expiry: Expiry) -> Result<()>;

    /// Removes `key`; `true` if it was there and had not expired. A missing key is `Ok(false)`.
    ///
    /// # Behavior
    /// - `Ok` means that it is gone, confirmed by whatever keeps it.
    ///
    /// ```
    /// # use larder_core::*;
    /// async fn forget(store: &dyn CacheStore, key: &Key) -> Result<bool> {
    ///     store.delete(key).await
    /// }
    /// ```
    async fn delete(&self, key: &Key) -> Result<bool>;

    /// Answers a `get` at once, without I/O and without a future, where the store can: `Some(None)` is an authoritative
    /// miss, `None` means "ask `get`".
    ///
    /// `now` is the caller's reading of the store's [`clock`](CacheStore::clock): a hit costs one clock reading, not
    /// two. The answer, and what it does to recency, equals that of `get` at that time.
    ///
    /// ```
    /// # use larder_core::*;
    /// fn in_process(store: &dyn CacheStore, key: &Key, now: Timestamp) -> bool {
    ///     store.peek(key, now).is_some()
    /// }
    /// ```
    fn peek(&self, key: &Key, now: Timestamp) -> Option<Option<Value>> {
        let _ = (key, now);
        None
    }

    /// The clock an in-process store judges expiry by; a [`Cache`](crate::Cache) over it uses the same one. `None` for
    /// stores whose server keeps the time.
    ///
    /// ```
    /// # use larder_core::*;
    /// fn keeps_own_time(store: &dyn CacheStore) -> bool {
    ///     store.clock().is_none()
    /// }
    /// ```
    fn clock(&self) -> Option<Arc<dyn Clock>> {
        None
    }

    /// Takes the place where the store reports evictions. Called once, before the store is used. Stores that evict
    /// nothing, or cannot see it, ignore it.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use larder_core::*;
    /// #[derive(Debug)]
    /// struct Print;
    /// impl StoreEvents for Print {
    ///     fn evicted(&self, cause: EvictionCause) { eprintln!("evicted: {cause:?}") }
    /// }
    /// fn listen(store: &dyn CacheStore) {
    ///     store.subscribe(Arc::new(Print));
    /// }
    /// ```
    fn subscribe(&self, events: Arc<dyn StoreEvents>) {
        drop(events);
    }

    /// What holds on this store as configured, and what does not, in words: [`Cache`](crate::Cache) adds what follows for
    /// loads. No I/O.
    ///
    /// ```
    /// # use larder_core::*;
    /// fn survives_failover(store: &dyn CacheStore) -> bool {
    ///     !store.guarantees().is_weakened_by(Hazard::Failover)
    /// }
    /// ```
    fn guarantees(&self) -> Guarantees {
        Guarantees::new()
    }

    /// The servers it speaks to that fail apart from each other, named for people (`host:port`, never a password):
    /// each has a circuit breaker of its own. At least one; the same ones for as long as the store lives. No I/O.
    ///
    /// ```
    /// # use larder_core::*;
    /// fn many(store: &dyn CacheStore) -> bool {
    ///     store.servers().len() > 1
    /// }
    /// ```
    fn servers(&self) -> Vec<String> {
        vec![String::from("store")]
    }

    /// Which of [`servers`](CacheStore::servers) answers for `key`, by position. No I/O.
    ///
    /// ```
    /// # use larder_core::*;
    /// fn server(store: &dyn CacheStore, key: &Key) -> String {
    ///     store.servers().swap_remove(store.server_of(key))
    /// }
    /// ```
    fn server_of(&self, key: &Key) -> usize {
        let _ = key;
        0
    }

    /// Whether a server, by its position in [`servers`](CacheStore::servers), answers reads now: how a circuit breaker
    /// finds that one is back. Provided as a `get` of a key of Larder's own.
    ///
    /// ```
    /// # use larder_core::*;
    /// async fn is_well(store: &dyn CacheStore) -> bool {
    ///     store.ping(0).await.is_ok()
    /// }
    /// ```
    async fn ping(&self, server: usize) -> Result<()> {
        let _ = server;
        self.get(&Key::reserved("health")).await.map(drop)
    }

    /// Whether `get` would find a value.
    ///
    /// ```
    /// # use larder_core::*;
    /// async fn is_there(store: &dyn CacheStore, key: &Key) -> Result<bool> {
    ///     store.has(key).await
    /// }
    /// ```
    async fn has(&self, key: &Key) -> Result<bool> {
        Ok(self.get(key).await?.is_some())
    }

    /// `get` for each key, in order; duplicates are kept, no keys is fine.
    ///
    /// ```
    /// # use larder_core::*;
    /// async fn both(store: &dyn CacheStore, a: Key, b: Key) -> Vec<Result<Option<Value>>> {
    ///     store.get_many(&[a, b]).await
    /// }
    /// ```
    async fn get_many(&self, keys: &[Key]) -> Vec<Result<Option<Value>>> {
        let mut results = Vec::with_capacity(keys.len());
        for key in keys {
            results.push(self.get(key).await);
        }
        results
    }

    /// `set` for each entry, in order: of duplicates the last one stays. One result for each.
    ///
    /// ```
    /// # use larder_core::*;
    /// async fn fill(store: &dyn CacheStore, key: Key) -> Vec<Result<()>> {
    ///     store.set_many(vec![(key, Value::Int(1), Expiry::Never)]).await
    /// }
    /// ```
    async fn set_many(&self, entries: Vec<(Key, Value, Expiry)>) -> Vec<Result<()>> {
        let mut results = Vec::with_capacity(entries.len());
        for (key, value, expiry) in entries {
            results.push(self.set(&key, value, expiry).await);
        }
        results
    }

    /// `delete` for each key, in order. One result for each.
    ///
    /// ```
    /// # use larder_core::*;
    /// async fn drop_all(store: &dyn CacheStore, keys: &[Key]) -> usize {
    ///     store.delete_many(keys).await.into_iter().filter(|gone| matches!(gone, Ok(true))).count()
    /// }
    /// ```
    async fn delete_many(&self, keys: &[Key]) -> Vec<Result<bool>> {
        let mut results = Vec::with_capacity(keys.len());
        for key in keys {
            results.push(self.delete(key).await);
        }
        results
    }

    /// The value under `key` and the [`Version`] of this state of it. Needs
    /// [`VERSIONS`](crate::Operations::VERSIONS), as [`add`](CacheStore::add) and [`replace`](CacheStore::replace) do.
    ///
    /// ```
    /// # use larder_core::*;
    /// async fn version(store: &dyn CacheStore, key: &Key) -> Result<Option<Version>> {
    ///     Ok(store.get_versioned(key).await?.map(|(_, version)| version))
    /// }
    /// ```
    async fn get_versioned(&self, key: &Key) -> Result<Option<(Value, Version)>> {
        let _ = key;
        Err(Error::unsupported("get_versioned"))
    }

    /// Puts `value` under `key` only if nothing unexpired is there. `Some` is the version of the new entry, `None` means
    /// that something was there.
    ///
    /// # Behavior
    /// - Of N concurrent calls exactly one wins; the entry never exists without its expiry.
    /// - With an expiry already past, on a free key: wins, and leaves a miss.
    ///
    /// ```
    /// # use larder_core::*;
    /// async fn claim(store: &dyn CacheStore, key: &Key) -> Result<bool> {
    ///     Ok(store.add(key, Value::Int(1), Expiry::Never).await?.is_some())
    /// }
    /// ```
    async fn add(&self, key: &Key, value: Value, expiry: Expiry) -> Result<Option<Version>> {
        let _ = (key, value, expiry);
        Err(Error::unsupported("add"))
    }

    /// Puts `value` and `expiry` in place of the state that `version` names. `Some` is the version of the new state,
    /// `None` means that the entry changed, was deleted, re-added or expired since; then nothing is stored.
    ///
    /// # Behavior
    /// - With an expiry already past it is a conditional delete.
    ///
    /// ```
    /// # use larder_core::*;
    /// async fn reset(store: &dyn CacheStore, key: &Key, seen: &Version) -> Result<bool> {
    ///     Ok(store.replace(key, seen, Value::Int(0), Expiry::Never).await?.is_some())
    /// }
    /// ```
    async fn replace(
        &self,
        key: &Key,
        version: &Version,
        value: Value,
        expiry: Expiry,
    ) -> Result<Option<Version>> {
        let _ = (key, version, value, expiry);
        Err(Error::unsupported("replace"))
    }

    /// Adds `delta` to the counter under `key` and returns the sum; a missing one starts at zero and gets `expiry`, an
    /// existing one keeps the expiry it has. Needs [`INCREMENT`](crate::Operations::INCREMENT).
    ///
    /// # Behavior
    /// - Concurrent calls sum exactly. A sum outside `i64` is [`Overflow`](crate::ErrorKind::Overflow) and changes
    ///   nothing; anything but a [`Value::Int`] is [`WrongType`](crate::ErrorKind::WrongType).
    ///
    /// ```
    /// # use larder_core::*;
    /// async fn count(store: &dyn CacheStore, key: &Key) -> Result<i64> {
    ///     store.increment(key, 1, Expiry::Never).await
    /// }
    /// ```
    async fn increment(&self, key: &Key, delta: i64, expiry: Expiry) -> Result<i64> {
        let _ = (key, delta, expiry);
        Err(Error::unsupported("increment"))
    }

    /// Gives the entry under `key` another expiry; `false` if there is none. One already past deletes it. Needs
    /// [`TOUCH`](crate::Operations::TOUCH).
    ///
    /// ```
    /// # use larder_core::*;
    /// async fn keep(store: &dyn CacheStore, key: &Key) -> Result<bool> {
    ///     store.touch(key, Expiry::Never).await
    /// }
    /// ```
    async fn touch(&self, key: &Key, expiry: Expiry) -> Result<bool> {
        let _ = (key, expiry);
        Err(Error::unsupported("touch"))
    }

    /// How long the entry under `key` has left; `None` if there is none. Needs
    /// [`EXPIRY`](crate::Operations::EXPIRY).
    ///
    /// ```
    /// # use larder_core::*;
    /// async fn stays(store: &dyn CacheStore, key: &Key) -> Result<bool> {
    ///     Ok(store.expiry(key).await? == Some(Expiry::Never))
    /// }
    /// ```
    async fn expiry(&self, key: &Key) -> Result<Option<Expiry>> {
        let _ = key;
        Err(Error::unsupported("expiry"))
    }

    /// Removes every entry in `namespace` and its children, and nothing else. Needs
    /// [`CLEAR`](crate::Operations::CLEAR).
    ///
    /// # Behavior
    /// - `Ok` only when complete: whatever was there when it was called is gone. An empty namespace is `Ok`.
    /// - It has a deadline of its own: it may take longer than a point operation.
    ///
    /// ```
    /// # use larder_core::*;
    /// async fn empty(store: &dyn CacheStore) -> Result<()> {
    ///     store.clear(&Namespace::root()).await
    /// }
    /// ```
    async fn clear(&self, namespace: &Namespace) -> Result<()> {
        let _ = namespace;
        Err(Error::unsupported("clear"))
    }

    /// The keys of the unexpired entries in `namespace` and its children, in no order. Keys that no
    /// [`Key`] encodes are left out. Needs [`KEYS`](crate::Operations::KEYS).
    ///
    /// ```
    /// # use larder_core::*;
    /// async fn all(store: &dyn CacheStore) -> Result<Vec<Key>> {
    ///     store.keys(&Namespace::root()).await
    /// }
    /// ```
    async fn keys(&self, namespace: &Namespace) -> Result<Vec<Key>> {
        let _ = namespace;
        Err(Error::unsupported("keys"))
    }

    /// How many unexpired entries the store holds, in all namespaces. Needs [`LEN`](crate::Operations::LEN).
    ///
    /// ```
    /// # use larder_core::*;
    /// async fn is_empty(store: &dyn CacheStore) -> Result<bool> {
    ///     Ok(store.len().await? == 0)
    /// }
    /// ```
    async fn len(&self) -> Result<u64> {
        Err(Error::unsupported("len"))
    }
}
