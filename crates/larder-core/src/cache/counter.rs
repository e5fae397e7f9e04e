//! Counters.

use std::sync::Arc;

use super::{
    Cache,
    ops::Operation,
    write::{in_doubt, settle},
};
use crate::{Error, ErrorKind, IntoKey, Operations, Result, flight::Fence};

impl Cache {
    /// Adds `delta` to the counter under `key` and returns the sum. A missing counter starts at zero, with the cache's
    /// default timeout; an existing one keeps its expiry. Concurrent calls sum exactly.
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
        let inner = Arc::clone(&self.inner);
        let increment = async move {
            if !inner.is_served(&key).await {
                return Err(in_doubt());
            }
            let fence = Fence::around_key(&inner.handle.flights, &key).await;
            let call = inner.handle.store.increment(&key, delta, inner.default_expiry);
            let sum = inner.point(Operation::once("increment"), call).await;
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
