//! Writing and invalidating: `set`, `add`, `delete`, `clear`.

use std::{sync::Arc, time::Duration};

use super::{
    Cache,
    inner::Inner,
    look::Fencing,
    ops::{Operation, may_have_run},
};
use crate::{
    Cacheable, EntryOptions, ErrorKind, Expiry, IntoKey, Key, Operations, Result, Value, entry::Stamp,
    flight::Fence, policy::Policy, value::Opened,
};

impl Cache {
    /// Puts `value` under `key`, for the cache's default timeout. A running load of the key does not overwrite it.
    ///
    /// Integers that fit an `i64` are kept as counters: [`increment`](Cache::increment) works on them. Not where the options, be
    /// it the [cache's own](crate::CacheBuilder::default_options), ask for what a counter has no room for: tags, serving stale,
    /// early refresh.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() { example(|cache| async move {
    /// cache.set("greeting", "hello".to_owned()).await?;
    /// # Ok(()) }) }
    /// ```
    pub async fn set<T: Cacheable>(&self, key: impl IntoKey, value: T) -> Result<()> {
        self.set_with(key, value, EntryOptions::new()).await
    }

    /// As [`set`](Cache::set), with a timeout (a [`Duration`](std::time::Duration) or a
    /// [`Timeout`](crate::Timeout)) or other options of its own.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() { example(|cache| async move {
    /// use std::time::Duration;
    /// cache.set_with("code", "1234".to_owned(), Duration::from_secs(30)).await?;
    /// # Ok(()) }) }
    /// ```
    pub async fn set_with<T: Cacheable>(
        &self,
        key: impl IntoKey,
        value: T,
        options: impl Into<EntryOptions>,
    ) -> Result<()> {
        let key = key.into_key(&self.namespace)?;
        let policy = self.inner.policy(&options.into())?;
        let stamps = self.inner.stamps_to_write(&key, &policy).await?;
        let (value, expiry) =
            self.inner.entry(Arc::new(value), &policy, self.inner.clock.now(), Duration::ZERO, stamps);
        let inner = Arc::clone(&self.inner);
        self.inner.to_the_end(async move { inner.store_value(&key, value, expiry).await }).await
    }

    /// Puts `value` under `key` only if nothing is there; `false` if something was. Of concurrent calls exactly one wins.
    /// Needs a store with [`VERSIONS`](Operations::VERSIONS).
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() { example(|cache| async move {
    /// assert!(cache.add("leader", "me".to_owned()).await?);
    /// assert!(!cache.add("leader", "you".to_owned()).await?);
    /// # Ok(()) }) }
    /// ```
    pub async fn add<T: Cacheable>(&self, key: impl IntoKey, value: T) -> Result<bool> {
        self.add_with(key, value, EntryOptions::new()).await
    }

    /// As [`add`](Cache::add), with a timeout or other options of its own.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() { example(|cache| async move {
    /// use std::time::Duration;
    /// assert!(cache.add_with("lock", "me".to_owned(), Duration::from_secs(10)).await?);
    /// # Ok(()) }) }
    /// ```
    pub async fn add_with<T: Cacheable>(
        &self,
        key: impl IntoKey,
        value: T,
        options: impl Into<EntryOptions>,
    ) -> Result<bool> {
        let key = key.into_key(&self.namespace)?;
        self.inner.needs(Operations::VERSIONS, "add")?;
        let policy = self.inner.policy(&options.into())?;
        let stamps = self.inner.stamps_to_write(&key, &policy).await?;
        let (value, expiry) =
            self.inner.entry(Arc::new(value), &policy, self.inner.clock.now(), Duration::ZERO, stamps);
        let inner = Arc::clone(&self.inner);
        self.inner.to_the_end(async move { inner.add_value(&key, value, expiry).await }).await
    }

    /// Removes `key`; `true` if it was there. Once this returned `Ok`, no load that began before it can put the value back,
    /// and no later caller is given that load's result. On an error the entry may or may not be gone; this process does
    /// not serve it until a delete of it succeeds, which it tries again in the background (every second or so, until
    /// [`close`](Cache::close)).
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() { example(|cache| async move {
    /// cache.set("a", 1_u8).await?;
    /// assert!(cache.delete("a").await?);
    /// assert!(!cache.delete("a").await?);
    /// # Ok(()) }) }
    /// ```
    #[must_use = "a failed invalidation leaves old data: handle its error"]
    pub fn delete(&self, key: impl IntoKey) -> impl Future<Output = Result<bool>> + Send {
        let key = key.into_key(&self.namespace);
        let inner = Arc::clone(&self.inner);
        async move {
            let key = key?;
            let work = Arc::clone(&inner);
            inner.to_the_end(async move { work.invalidate(&key).await }).await
        }
    }
}

impl Inner {
    /// `set`, fenced from running loads.
    pub(super) async fn store_value(&self, key: &Key, value: Value, expiry: Expiry) -> Result<()> {
        let fence = Fence::around_key(&self.handle.flights, key).await;
        let stored =
            self.point(Operation::idempotent("set"), self.handle.store.set(key, value, expiry)).await;
        settle(fence, &stored, true);
        stored
    }

    /// `add`, fenced from running loads. What nobody is served does not stand in its way.
    async fn add_value(self: &Arc<Self>, key: &Key, value: Value, expiry: Expiry) -> Result<bool> {
        // What is in doubt would make `add` lose to an entry that nobody is served.
        if !self.is_served(key).await {
            return Err(in_doubt());
        }
        let fence = Fence::around_key(&self.handle.flights, key).await;
        let added = self.add_or_replace(key, value, expiry).await;
        settle(fence, &added, false);
        added
    }

    async fn add_or_replace(self: &Arc<Self>, key: &Key, value: Value, expiry: Expiry) -> Result<bool> {
        for _ in 0..super::versioned::ROUNDS {
            let call = self.handle.store.add(key, value.clone(), expiry);
            if self.point(Operation::once("add"), call).await?.is_some() {
                return Ok(true);
            }
            if !self.has_unserved() {
                return Ok(false);
            }
            let call = self.handle.store.get_versioned(key);
            let Some((found, version)) = self.point(Operation::idempotent("get_versioned"), call).await?
            else {
                continue;
            };
            // A lease alone, a stale entry, one that a stamp has invalidated: absent, as for every operation.
            if self.validate(key, found).await?.is_some() {
                return Ok(false);
            }
            let call = self.handle.store.replace(key, &version, value.clone(), expiry);
            if self.point(Operation::once("replace"), call).await?.is_some() {
                return Ok(true);
            }
        }
        Err(super::versioned::contended("add"))
    }

    /// Whether the store may hold entries that no reader is served.
    pub(super) fn has_unserved(&self) -> bool {
        self.handle.capabilities.supports(Operations::VERSIONS)
    }

    /// The stamps of an entry that is written by hand.
    pub(super) async fn stamps_to_write(self: &Arc<Self>, key: &Key, policy: &Policy) -> Result<Vec<Stamp>> {
        let wanted = self.stamps_wanted(key, &policy.tags);
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        self.needs(Operations::VERSIONS, "tags")?;
        let confirmed = self.confirm_stamps(key, wanted, policy.ends(self.clock.now())).await?;
        Ok(confirmed.into_iter().map(|confirmed| confirmed.stamp).collect())
    }

    /// `delete`, fenced from running loads.
    pub(super) async fn invalidate(self: &Arc<Self>, key: &Key) -> Result<bool> {
        let fence = Fence::around_key(&self.handle.flights, key).await;
        let call = self.point(Operation::idempotent("delete"), self.handle.store.delete(key));
        let (was_absent, deleted) = if self.fencing == Fencing::Lease {
            // At the same time, not before: an invalidation takes one round trip. What cannot be read counts as there.
            let look = self.point(Operation::idempotent("get"), self.handle.store.get(key));
            let (found, deleted) = futures_util::future::join(look, call).await;
            let found = found.ok().flatten().map(Value::open);
            let absent = matches!(found, Some(Ok(Opened::LeaseOnly(_))));
            (absent, deleted)
        } else {
            (false, call.await)
        };
        settle(fence, &deleted, true);
        Ok(deleted? && !was_absent)
    }
}

/// Ends an invalidation by what its store operation returned. `settles` says whether success leaves nothing in doubt
/// under the key.
pub(super) fn settle<T>(fence: Fence, result: &Result<T>, settles: bool) {
    match result {
        Ok(_) if settles => fence.confirmed(),
        Err(error) if may_have_run(error) => fence.failed(),
        // Nothing took effect: what was to be removed is still there.
        Err(error) if settles && matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Overloaded) => {
            fence.failed();
        }
        _ => fence.without_doubt(),
    }
}

pub(super) fn in_doubt() -> crate::Error {
    crate::Error::new(
        ErrorKind::Unavailable,
        "an earlier write or invalidation of this key failed and may still appear: it could not be settled yet",
    )
}
