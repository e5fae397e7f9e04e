//! Life of a cache: is its store well, and how it ends.

use std::time::Duration;

use super::{Cache, ops::Operation};
use crate::{Circuit, Error, ErrorKind, Key, Result};

/// That the store answers, and how fast.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// How long a read took, by the cache's clock.
    pub latency: Duration,
    /// How many keys and namespaces this process does not serve from the store now, because a write or an invalidation of
    /// theirs failed. They are replayed in the background.
    pub in_doubt: usize,
    /// The store's servers with the state of each circuit; empty where there is no circuit breaker. A store of several
    /// servers answers while some of them are left alone.
    pub circuits: Vec<Circuit>,
}

impl Cache {
    /// Asks the store for a key of Larder's own, within the operation timeout. An error is the store's: for a readiness
    /// probe that should not fail with the cache, remember that loads go on without the store. Without asking anything,
    /// [`StoreHandle::circuits`](crate::StoreHandle::circuits) says how the store's servers did.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() { example(|cache| async move {
    /// let health = cache.health().await?;
    /// println!("the store answered in {:?}", health.latency);
    /// # Ok(()) }) }
    /// ```
    pub async fn health(&self) -> Result<Health> {
        let asked = self.inner.clock.now();
        let key = Key::reserved("health");
        self.inner.point(Operation::idempotent("health"), self.inner.handle.store.get(&key)).await?;
        Ok(Health {
            latency: self.inner.clock.now().saturating_since(asked),
            in_doubt: self.inner.handle.flights.quarantine.len(),
            circuits: self.inner.handle.circuits(),
        })
    }

    /// Ends the cache: waits for its loads and writes in the background, for as long as a load may take. Affects all
    /// clones and child namespaces. Later loads that miss are errors of kind
    /// [`Unavailable`](ErrorKind::Unavailable); other operations still reach the store. Failed invalidations are not
    /// replayed any more, unless another cache over the same handle is open.
    ///
    /// An error of kind [`Timeout`](ErrorKind::Timeout) says that work was left running.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() { example(|cache| async move {
    /// cache.close().await?;
    /// # Ok(()) }) }
    /// ```
    pub async fn close(&self) -> Result<()> {
        self.inner.tasks.close();
        self.inner.stop.cancel();
        match self.inner.within(self.inner.load_timeout, self.inner.tasks.wait()).await? {
            Some(()) => Ok(()),
            None => Err(Error::new(
                ErrorKind::Timeout,
                format!(
                    "{} background tasks still ran after {:?}",
                    self.inner.tasks.len(),
                    self.inner.load_timeout
                ),
            )),
        }
    }
}
