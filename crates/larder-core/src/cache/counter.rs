//! Counters.

use std::sync::Arc;

use super::{
    Cache, ClearBy,
    inner::Inner,
    ops::Operation,
    versioned::{ROUNDS, contended},
    write::{in_doubt, settle},
};
use crate::{Error, ErrorKind, IntoKey, Key, Operations, Result, Value, flight::Fence, value::Opened};

impl Cache {
    /// Adds `delta` to the counter under `key` and returns the sum. A missing counter starts at zero, with the cache's
    /// default timeout and no other of its options (a counter holds no tags); an existing one keeps its expiry. Concurrent
    /// calls sum exactly.
    ///
    /// Needs a store with [`INCREMENT`](Operations::INCREMENT). On an entry that is no counter:
    /// [`WrongType`](ErrorKind::WrongType); past the range of `i64`: [`Overflow`](ErrorKind::Overflow); on a timeout
    /// [`Ambiguous`](ErrorKind::Ambiguous), as it may have counted.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() { example(|cache| async move {
    /// cache.set("visits", 5).await?;
    /// assert_eq!(cache.increment("visits", 1).await?, 6);
    /// assert_eq!(cache.increment("new", 10).await?, 10);
    /// # Ok(()) }) }
    /// ```
    pub async fn increment(&self, key: impl IntoKey, delta: i64) -> Result<i64> {
        let key = key.into_key(&self.namespace)?;
        self.inner.needs(Operations::INCREMENT, "increment")?;
        if self.inner.clear_by == ClearBy::Stamps {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "counters cannot live where `clear` works by stamps: they hold none. Use a cache with `clear_by = \"store\"` for them",
            ));
        }
        let inner = Arc::clone(&self.inner);
        let increment = async move {
            if !inner.is_served(&key).await {
                return Err(in_doubt());
            }
            let fence = Fence::around_key(&inner.handle.flights, &key).await;
            let sum = inner.count(&key, delta).await;
            settle(fence, &sum, false);
            sum
        };
        self.inner.to_the_end(increment).await
    }

    /// Subtracts `delta`: see [`increment`](Cache::increment).
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() { example(|cache| async move {
    /// cache.set("stock", 5).await?;
    /// assert_eq!(cache.decrement("stock", 2).await?, 3);
    /// # Ok(()) }) }
    /// ```
    pub async fn decrement(&self, key: impl IntoKey, delta: i64) -> Result<i64> {
        let delta = delta.checked_neg().ok_or_else(|| {
            Error::new(ErrorKind::Overflow, "cannot decrement by i64::MIN: its negative is out of range")
        })?;
        self.increment(key, delta).await
    }
}

impl Inner {
    /// Counts; what nobody is served does not stand in its way.
    async fn count(self: &Arc<Self>, key: &Key, delta: i64) -> Result<i64> {
        for _ in 0..ROUNDS {
            let call = self.handle.store.increment(key, delta, self.default_expiry);
            let sum = self.point(Operation::once("increment"), call).await;
            let Err(error) = &sum else { return sum };
            if error.kind() != ErrorKind::WrongType || !self.has_unserved() {
                return sum;
            }
            let call = self.handle.store.get_versioned(key);
            let Some((found, version)) = self.point(Operation::idempotent("get_versioned"), call).await?
            else {
                continue;
            };
            if !matches!(found.clone().open(), Ok(Opened::Int(_)))
                && self.validate(key, found).await?.is_some()
            {
                return sum;
            }
            let call = self.handle.store.replace(key, &version, Value::Int(delta), self.default_expiry);
            if self.point(Operation::once("replace"), call).await?.is_some() {
                return Ok(delta);
            }
        }
        Err(contended("increment"))
    }
}
