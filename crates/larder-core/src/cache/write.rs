//! Writing and invalidating: `set`, `add`, `delete`, `clear`.

use std::sync::Arc;

use super::{
    Cache,
    inner::Inner,
    ops::{Operation, may_have_run},
};
use crate::{
    Cacheable, EntryOptions, ErrorKind, Expiry, IntoKey, Key, Operations, Result, Value, flight::Fence,
};

impl Cache {
    /// Puts `value` under `key`, for the cache's default timeout. A running load of the key does not overwrite it.
    ///
    /// Integers that fit an `i64` are kept as counters: [`increment`](Cache::increment) works on them.
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
        let (value, expiry) = self.inner.entry(Arc::new(value), &options.into(), std::time::Duration::ZERO);
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
        let (value, expiry) = self.inner.entry(Arc::new(value), &options.into(), std::time::Duration::ZERO);
        let inner = Arc::clone(&self.inner);
        self.inner
            .to_the_end(async move {
                // What is in doubt would make `add` lose to an entry that nobody is served.
                if !inner.is_served(&key).await {
                    return Err(in_doubt());
                }
                let fence = Fence::around_key(&inner.handle.flights, &key).await;
                let added =
                    inner.point(Operation::once("add"), inner.handle.store.add(&key, value, expiry)).await;
                settle(fence, &added, false);
                Ok(added?.is_some())
            })
            .await
    }

    /// Removes `key`; `true` if it was there. Once this returned `Ok`, no load that began before it can put the value back,
    /// and no later caller is given that load's result. On an error the entry may or may not be gone; this process does
    /// not serve it until a delete of it succeeds.
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

    /// Removes every entry of this namespace and its children, and nothing else, with the same promise as
    /// [`delete`](Cache::delete). Needs a store with [`CLEAR`](Operations::CLEAR).
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() { example(|cache| async move {
    /// cache.set("a", 1_u8).await?;
    /// cache.clear().await?;
    /// assert!(!cache.has("a").await?);
    /// # Ok(()) }) }
    /// ```
    #[must_use = "a failed invalidation leaves old data: handle its error"]
    pub fn clear(&self) -> impl Future<Output = Result<()>> + Send {
        let inner = Arc::clone(&self.inner);
        let namespace = self.namespace.clone();
        async move {
            inner.needs(Operations::CLEAR, "clear")?;
            let work = Arc::clone(&inner);
            let clear = async move {
                let fence = Fence::around_namespace(&work.handle.flights, &namespace).await;
                let cleared =
                    work.bulk(Operation::idempotent("clear"), work.handle.store.clear(&namespace)).await;
                settle(fence, &cleared, true);
                cleared
            };
            inner.to_the_end(clear).await
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

    /// `delete`, fenced from running loads.
    pub(super) async fn invalidate(&self, key: &Key) -> Result<bool> {
        let fence = Fence::around_key(&self.handle.flights, key).await;
        let deleted = self.point(Operation::idempotent("delete"), self.handle.store.delete(key)).await;
        settle(fence, &deleted, true);
        deleted
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
        _ => drop(fence),
    }
}

pub(super) fn in_doubt() -> crate::Error {
    crate::Error::new(
        ErrorKind::Unavailable,
        "an earlier write or invalidation of this key failed and may still appear: it could not be settled yet",
    )
}
