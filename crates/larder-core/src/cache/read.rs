//! Reading: `get`, `has`, `expiry`, `keys`.

use std::sync::Arc;

use super::{Cache, FailurePolicy, inner::Inner, ops::Operation, stamps::ClearBy};
use crate::{
    Cacheable, EntryMeta, EntryOptions, Error, Expiry, IntoKey, Key, Object, Operations, Result, Timestamp,
    Value, decide::is_fresh, flight::Settling, quarantine::Doubt, value::Opened,
};

impl Cache {
    /// The value under `key`, `None` if there is none, it has expired, or it does not decode as `T`.
    ///
    /// On an in-process store a hit is a pointer copy. A stored `None` is `Some(Arc(None))`, never confused with a
    /// miss.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() { example(|cache| async move {
    /// cache.set("name", "Ada".to_owned()).await?;
    /// let name = cache.get::<String>("name").await?;
    /// assert_eq!(name.unwrap().as_str(), "Ada");
    /// assert!(cache.get::<String>("nothing").await?.is_none());
    /// # Ok(()) }) }
    /// ```
    pub async fn get<T: Cacheable>(&self, key: impl IntoKey) -> Result<Option<Arc<T>>> {
        match self.get_now(key) {
            Ok(hit) => Ok(Some(hit)),
            Err(missed) => Box::pin(self.inner.get_slowly(missed)).await,
        }
    }

    /// A hit that can be had at once. Not part of the future of [`get`](Self::get), which would have to keep room for the key:
    /// moving it about is a measurable part of a hit.
    #[inline]
    fn get_now<T: Cacheable>(&self, key: impl IntoKey) -> Result<Arc<T>, Box<Missed>> {
        let key = key.into_key(&self.namespace);
        match key.as_ref().ok().and_then(|key| self.inner.peek::<T>(key)) {
            Some(Some(hit)) => Ok(hit),
            known => Err(Box::new(Missed { key, is_known: known.is_some() })),
        }
    }

    /// Whether [`get`](Cache::get) would find an entry, whatever its type.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() { example(|cache| async move {
    /// cache.set("nothing", None::<u8>).await?;
    /// assert!(cache.has("nothing").await?);
    /// # Ok(()) }) }
    /// ```
    pub async fn has(&self, key: impl IntoKey) -> Result<bool> {
        let key = key.into_key(&self.namespace)?;
        let read = self.inner.read(&key).await.map(|opened| opened.is_some());
        self.inner.explicit(read, || false)
    }

    /// How long the entry under `key` has left, `None` if there is none. For a counter this needs a store with
    /// [`EXPIRY`](Operations::EXPIRY).
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() { example(|cache| async move {
    /// use larder_core::{Expiry, Timeout};
    /// cache.set_with("pi", 3.14, Timeout::Never).await?;
    /// assert_eq!(cache.expiry("pi").await?, Some(Expiry::Never));
    /// # Ok(()) }) }
    /// ```
    pub async fn expiry(&self, key: impl IntoKey) -> Result<Option<Expiry>> {
        let key = key.into_key(&self.namespace)?;
        let read = self.inner.read(&key).await;
        let Some(opened) = self.inner.explicit(read, || None)? else { return Ok(None) };
        if let Some(meta) = opened.meta() {
            Ok(Some(Expiry::until(meta.expires_at(), self.inner.clock.now())))
        } else {
            self.inner.needs(Operations::EXPIRY, "expiry")?;
            let call = self.inner.handle.store.expiry(&key);
            let expiry = self.inner.point(Operation::idempotent("expiry"), call).await;
            self.inner.explicit(expiry, || None)
        }
    }

    /// The keys in this namespace and its children, in no order, of entries that [`get`](Cache::get) would find. Each works in
    /// every operation of this cache, also where its text was too long to be kept. It reads the entries, many at a time: there
    /// may be some that are stale, or no more than a lease. Needs a store with [`KEYS`](Operations::KEYS).
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() { example(|cache| async move {
    /// cache.set("a", 1_u8).await?;
    /// let keys = cache.keys().await?;
    /// assert_eq!(keys[0].text().as_deref(), Some("a"));
    /// cache.delete(&keys[0]).await?;
    /// # Ok(()) }) }
    /// ```
    pub async fn keys(&self) -> Result<Vec<Key>> {
        self.inner.needs(Operations::KEYS, "keys")?;
        let mut keys = self
            .inner
            .bulk(Operation::idempotent("keys"), self.inner.handle.store.keys(&self.namespace))
            .await?;
        keys.retain(|key| !key.is_reserved() && self.inner.handle.flights.quarantine.of(key) == Doubt::None);
        self.inner.only_served(keys).await
    }
}

/// What a read goes on with that was no hit at once.
struct Missed {
    key: Result<Key>,
    /// The store has no entry: there is no need to ask it again.
    is_known: bool,
}

/// How many entries `keys` looks at in one call to the store.
const LOOKED_AT: usize = 512;

impl Inner {
    /// Those of `keys` that a reader is served.
    async fn only_served(self: &Arc<Self>, keys: Vec<Key>) -> Result<Vec<Key>> {
        let mut served = Vec::with_capacity(keys.len());
        for some in keys.chunks(LOOKED_AT) {
            for (key, opened) in some.iter().zip(self.read_many(some).await) {
                if opened?.is_some() {
                    served.push(key.clone());
                }
            }
        }
        Ok(served)
    }

    /// A hit that can be had at once; `Some(None)` is a miss known at once.
    #[inline]
    #[expect(clippy::option_option, reason = "as `CacheStore::peek`")]
    pub(super) fn peek<T: Cacheable>(&self, key: &Key) -> Option<Option<Arc<T>>> {
        if !self.handle.flights.quarantine.is_empty() {
            return None;
        }
        let now = self.clock.now();
        // Matched where it lies, for `?` would copy it.
        match self.handle.store.peek(key, now) {
            // What `judge` and `typed` do, without passing the object on: this is the hit that everything here is for.
            Some(Some(Value::Object(object))) if self.is_hit(key, now, &object) => {
                let cost = object.meta().cost();
                Some(self.counted(key, cost, object.into_typed()))
            }
            Some(Some(value)) => self.peek_stamped(key, now, value),
            Some(None) => Some(None),
            None => None,
        }
    }

    /// Whether an object is a hit as it is; a load around it depends on it then. Asked where it lies: whatever is given a reference
    /// once it is moved keeps all of it in memory.
    #[inline]
    fn is_hit(&self, key: &Key, now: Timestamp, object: &Object) -> bool {
        let meta = object.meta();
        let is_hit = is_fresh(now, meta) && self.is_unstamped(meta);
        if is_hit {
            self.note(key, Some(meta));
        }
        is_hit
    }

    /// Whether an entry is valid whatever has been invalidated by stamps.
    #[inline]
    fn is_unstamped(&self, meta: &EntryMeta) -> bool {
        meta.extras.is_none() && self.clear_by == ClearBy::Store
    }

    #[expect(clippy::option_option, reason = "as `CacheStore::peek`")]
    fn peek_stamped<T: Cacheable>(&self, key: &Key, now: Timestamp, value: Value) -> Option<Option<Arc<T>>> {
        let Some(opened) = self.judge(key, now, value) else { return Some(None) };
        let stamps = opened.meta().map(EntryMeta::stamps).unwrap_or_default();
        Some(if self.stamps_hold_now(key, stamps, now)? { self.typed(key, opened) } else { None })
    }

    /// As [`peek`](Self::peek) for a load, which may be due to refresh what it finds early.
    #[inline]
    pub(super) fn peek_for_load<T: Cacheable>(
        &self,
        key: &Key,
        options: &EntryOptions,
    ) -> Result<Arc<T>, Option<Timestamp>> {
        if self.refreshes_early || options.refreshes_early() { Err(None) } else { self.peek_or_stale(key) }
    }

    /// A hit that can be had at once; or when it was that there was nothing, if that is known at once. What is not fresh may be
    /// stale, which is for the load to see.
    #[inline]
    fn peek_or_stale<T: Cacheable>(&self, key: &Key) -> Result<Arc<T>, Option<Timestamp>> {
        if !self.handle.flights.quarantine.is_empty() {
            return Err(None);
        }
        let now = self.clock.now();
        match self.handle.store.peek(key, now) {
            Some(Some(Value::Object(object))) if self.is_hit(key, now, &object) => {
                let cost = object.meta().cost();
                self.counted(key, cost, object.into_typed()).ok_or(Some(now))
            }
            Some(None) => Err(Some(now)),
            _ => Err(None),
        }
    }

    async fn get_slowly<T: Cacheable>(self: &Arc<Self>, missed: Box<Missed>) -> Result<Option<Arc<T>>> {
        let Missed { key, is_known } = *missed;
        let key = key?;
        let found = if is_known { Ok(None) } else { self.find(&key).await };
        let found = self.explicit(found, || None)?;
        if found.is_none() {
            self.miss(&key);
        }
        Ok(found)
    }

    /// The value under `key` if it is fresh and decodes; counts hits, leaves misses to the caller.
    pub(super) async fn find<T: Cacheable>(self: &Arc<Self>, key: &Key) -> Result<Option<Arc<T>>> {
        Ok(self.read(key).await?.and_then(|opened| self.typed(key, opened)))
    }

    /// The fresh entry under `key`.
    pub(super) async fn read(self: &Arc<Self>, key: &Key) -> Result<Option<Opened>> {
        if !self.is_served(key).await {
            return Ok(None);
        }
        let now = self.clock.now();
        let value = match self.handle.store.peek(key, now) {
            Some(known) => known,
            None => self.point(Operation::idempotent("get"), self.handle.store.get(key)).await?,
        };
        let Some(value) = value else { return Ok(None) };
        self.validate(key, value).await
    }

    /// Opens what the store returned, if it may be served: what expired on its way here is not, nor what was invalidated by a
    /// stamp.
    pub(super) async fn validate(self: &Arc<Self>, key: &Key, value: Value) -> Result<Option<Opened>> {
        let Some(opened) = self.judge(key, self.clock.now(), value) else { return Ok(None) };
        let stamps = opened.meta().map(EntryMeta::stamps).unwrap_or_default();
        Ok(self.stamps_hold(key, stamps).await?.then_some(opened))
    }

    /// Whether this process may serve `key` from the store. A key in doubt is deleted first, which settles it.
    pub(super) async fn is_served(self: &Arc<Self>, key: &Key) -> bool {
        let quarantine = &self.handle.flights.quarantine;
        let doubt = quarantine.of(key);
        if doubt != Doubt::None {
            // One that arose outside of a runtime, or under a cache that was closed, has nobody to replay it.
            quarantine.wake();
        }
        match doubt {
            Doubt::None => true,
            Doubt::Namespace => false,
            Doubt::Key => self.settle(key).await,
        }
    }

    /// Deletes a key in doubt. Running loads of it go on, so that a store that fails does not undo their sharing.
    async fn settle(self: &Arc<Self>, key: &Key) -> bool {
        let quarantine = &self.handle.flights.quarantine;
        let Some(settling) = Settling::of(&self.handle.flights, key).await else {
            return quarantine.of(key) == Doubt::None;
        };
        if settling.is_needed() {
            let (inner, key) = (Arc::clone(self), key.clone());
            let delete = async move {
                let delete = inner.handle.store.delete(&key);
                let deleted = inner.point(Operation::idempotent("delete"), delete).await;
                if deleted.is_ok() {
                    settling.confirmed();
                }
                deleted
            };
            // Its error is counted; what it means here is that the doubt stays.
            let _ = self.to_the_end(delete).await;
        }
        quarantine.of(key) == Doubt::None
    }

    /// Opens what the store returned, if it may be served now.
    #[inline]
    pub(super) fn judge(&self, key: &Key, now: Timestamp, value: Value) -> Option<Opened> {
        match value.open() {
            Ok(Opened::LeaseOnly(_)) => None,
            Ok(opened) => Some(opened).filter(|opened| opened.meta().is_none_or(|meta| is_fresh(now, meta))),
            Err(error) => {
                self.undecodable(key, &error);
                None
            }
        }
    }

    /// Reads an entry as a type. What does not decode is a miss, counted.
    #[inline]
    pub(super) fn typed<T: Cacheable>(&self, key: &Key, opened: Opened) -> Option<Arc<T>> {
        let cost = opened.meta().map(EntryMeta::cost).unwrap_or_default();
        self.note(key, opened.meta());
        self.counted(key, cost, opened.into_typed())
    }

    /// Counts a read that found an entry.
    #[inline]
    fn counted<T>(&self, key: &Key, cost: std::time::Duration, read: Result<Arc<T>>) -> Option<Arc<T>> {
        match read {
            Ok(value) => {
                self.hit(key, cost);
                Some(value)
            }
            Err(error) => {
                self.undecodable(key, &error);
                None
            }
        }
    }

    /// Applies the policy of explicit reads to the store's error.
    pub(super) fn explicit<T>(&self, result: Result<T, Error>, miss: impl FnOnce() -> T) -> Result<T> {
        match (result, self.explicit_errors) {
            (Err(_), FailurePolicy::Miss) => Ok(miss()),
            (result, _) => result,
        }
    }

    pub(super) fn needs(&self, operations: Operations, name: &str) -> Result<()> {
        if self.handle.capabilities.supports(operations) { Ok(()) } else { Err(Error::unsupported(name)) }
    }
}
