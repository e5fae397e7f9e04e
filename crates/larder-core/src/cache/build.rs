//! From settings to a cache.

use std::{sync::Arc, time::Duration};

use super::{Cache, CacheBuilder, inner::Inner, look::Fencing, marks::Remembered, stamps::ClearBy};
use crate::{
    EntryOptions, Error, ErrorKind, Expiry, Namespace, Operations, Result, SystemClock, Timeout,
    policy::Policy,
};

/// A lease is renewed three times as often as it ends, and a renewal is a round trip or two to the store.
const SHORTEST_LEASE: Duration = Duration::from_millis(100);

impl CacheBuilder {
    /// The cache. A setting out of range is an error of kind [`Config`](ErrorKind::Config) that names it.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() {
    /// # use std::time::Duration;
    /// # use larder_core::Cache;
    /// let refused = Cache::builder(MapStore::default()).operation_timeout(Duration::ZERO).build();
    /// assert!(refused.unwrap_err().to_string().contains("operation_timeout"));
    /// # }
    /// ```
    pub fn build(self) -> Result<Cache> {
        self.check_ranges()?;
        if self.max_value_bytes == 0 {
            return Err(Error::new(ErrorKind::Config, "`max_value_bytes` is 0: it must be at least 1"));
        }
        self.default_options.check()?;
        if self.clear_by == ClearBy::Stamps && !self.handle.capabilities.supports(Operations::VERSIONS) {
            return Err(Error::new(
                ErrorKind::Config,
                "`clear_by` is `stamps`: it needs a store with versions, which this one has not",
            ));
        }
        let default_expiry = match self.default_timeout {
            Timeout::Never => Expiry::Never,
            Timeout::After(duration) => Expiry::After(duration),
            Timeout::Default => {
                return Err(Error::new(
                    ErrorKind::Config,
                    "`default_timeout` is `default`: it must be a duration or `never`",
                ));
            }
        };
        let namespace = self.namespace.iter().try_fold(Namespace::root(), |path, name| path.child(name))?;
        let clock =
            self.clock.or_else(|| self.handle.store.clock()).unwrap_or_else(|| Arc::new(SystemClock::new()));
        for observer in &self.observers {
            self.handle.observers.watch(observer);
        }
        self.handle.listen();
        self.handle.limits.add(self.operation_timeout);
        let shares =
            self.handle.capabilities.shared() && self.handle.capabilities.supports(Operations::VERSIONS);
        let default_options = self.default_options.without_timeouts();
        let default_policy =
            Policy::resolve(&EntryOptions::new(), &default_options, default_expiry, self.load_timeout);
        let inner = Inner {
            fencing: if shares { Fencing::Lease } else { Fencing::Process },
            coalesce: self.coalesce,
            clear_by: self.clear_by,
            stamp_staleness: self.stamp_staleness,
            remembered: Remembered::default(),
            lease_timeout: self.lease_timeout,
            clock_skew: self.clock_skew,
            root: namespace.clone(),
            refreshes_early: default_options.refreshes_early(),
            detached: Arc::new(tokio::sync::Semaphore::new(self.max_detached)),
            max_detached: self.max_detached,
            weighs: self.handle.capabilities.weighs(),
            handle: self.handle,
            default_expiry,
            default_options,
            default_policy: Arc::new(default_policy),
            codec: self.codec,
            operation_timeout: self.operation_timeout,
            bulk_timeout: self.bulk_timeout,
            load_timeout: self.load_timeout,
            max_value_bytes: self.max_value_bytes,
            loads: Arc::new(tokio::sync::Semaphore::new(self.max_concurrent_loads)),
            explicit_errors: self.explicit_errors,
            load_errors: self.load_errors,
            clock,
            random: self.random,
            spawn: self.spawn,
            observers: self.observers.into(),
            weighers: self.weighers,
            counters: crate::observe::Counters::default(),
            tasks: tokio_util::task::TaskTracker::new(),
            stop: tokio_util::sync::CancellationToken::new(),
        };
        let inner = Arc::new(inner);
        let watcher = Arc::downgrade(&inner);
        inner.handle.flights.quarantine.watch(watcher);
        Ok(Cache { inner, namespace })
    }

    fn check_ranges(&self) -> Result<()> {
        for (name, timeout) in [
            ("operation_timeout", self.operation_timeout),
            ("bulk_timeout", self.bulk_timeout),
            ("load_timeout", self.load_timeout),
        ] {
            if timeout.is_zero() {
                return Err(Error::new(
                    ErrorKind::Config,
                    format!("`{name}` is zero: it must be a positive duration"),
                ));
            }
        }
        if self.lease_timeout < SHORTEST_LEASE {
            return Err(Error::new(
                ErrorKind::Config,
                format!(
                    "`lease_timeout` is {:?}: it must be at least 100 ms, or leases end before they can be renewed and nothing \
                     is kept; the default is 3 s",
                    self.lease_timeout
                ),
            ));
        }
        let most = tokio::sync::Semaphore::MAX_PERMITS;
        for (name, is) in
            [("max_concurrent_loads", self.max_concurrent_loads), ("max_detached", self.max_detached)]
        {
            if is == 0 || is > most {
                let message = format!("`{name}` is {is}: it must be from 1 to {most}");
                return Err(Error::new(ErrorKind::Config, message));
            }
        }
        Ok(())
    }
}
