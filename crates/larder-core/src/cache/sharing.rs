//! Settings for stores that several processes share, and for loads that cannot be dropped.

use std::time::Duration;

use super::{CacheBuilder, ClearBy};
use crate::Coalesce;

impl CacheBuilder {
    /// Who waits for whose load. Default: [`Coalesce::Cluster`].
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() {
    /// use larder_core::{Cache, Coalesce};
    /// let cache = Cache::builder(MapStore::default()).coalesce(Coalesce::Process).build().unwrap();
    /// # }
    /// ```
    pub fn coalesce(mut self, coalesce: Coalesce) -> Self {
        self.coalesce = coalesce;
        self
    }

    /// How [`clear`](crate::Cache::clear) works. Default: [`ClearBy::Store`]. Every cache that writes to these namespaces
    /// must say the same: one that clears by stamps serves no entry without them.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() {
    /// use larder_core::{Cache, ClearBy};
    /// let cache = Cache::builder(MapStore::default()).clear_by(ClearBy::Stamps).build().unwrap();
    /// # }
    /// ```
    pub fn clear_by(mut self, clear_by: ClearBy) -> Self {
        self.clear_by = clear_by;
        self
    }

    /// For how long a stamp that was read is believed without asking the store again. Default: zero, so that every hit
    /// that has stamps asks; with more, invalidations by other processes are noticed that much later.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() {
    /// use std::time::Duration;
    /// use larder_core::Cache;
    /// let cache = Cache::builder(MapStore::default()).stamp_staleness(Duration::from_millis(100)).build().unwrap();
    /// # }
    /// ```
    pub fn stamp_staleness(mut self, staleness: Duration) -> Self {
        self.stamp_staleness = staleness;
        self
    }

    /// For how long a lease holds that nobody renews: after the death of a process that loads a key, the others wait this
    /// long. Default: 3 s; at least 100 ms. A running load renews its lease three times as often.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() {
    /// use std::time::Duration;
    /// use larder_core::Cache;
    /// let cache = Cache::builder(MapStore::default()).lease_timeout(Duration::from_secs(10)).build().unwrap();
    /// # }
    /// ```
    pub fn lease_timeout(mut self, timeout: Duration) -> Self {
        self.lease_timeout = timeout;
        self
    }

    /// How far the clocks of the machines that share the store may be apart. Default: 500 ms. It only delays taking over
    /// from a process that died: no promise of correctness rests on clocks.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() {
    /// use std::time::Duration;
    /// use larder_core::Cache;
    /// let cache = Cache::builder(MapStore::default()).clock_skew(Duration::from_secs(2)).build().unwrap();
    /// # }
    /// ```
    pub fn clock_skew(mut self, skew: Duration) -> Self {
        self.clock_skew = skew;
        self
    }

    /// The most [blocking loaders](crate::Cache::get_or_load_blocking) that run at one time, those included that nobody waits
    /// for any more: they cannot be dropped. Default: 64.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() {
    /// use larder_core::Cache;
    /// let cache = Cache::builder(MapStore::default()).max_detached(8).build().unwrap();
    /// # }
    /// ```
    pub fn max_detached(mut self, loads: usize) -> Self {
        self.max_detached = loads;
        self
    }
}
