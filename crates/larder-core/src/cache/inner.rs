//! What all clones and child namespaces of a cache share.

use std::{sync::Arc, time::Duration};

use super::{
    builder::{FailurePolicy, Weighers},
    look::{Candidate, Fencing},
    marks::Remembered,
    stamps::ClearBy,
};
use crate::{
    Cacheable, Clock, Coalesce, Codec, EntryOptions, Error, Event, Expiry, Key, Namespace, Object, Observer,
    Outcome, Random, Result, Source, Spawn, Stats, StoreHandle, Timestamp, Value,
    entry::Stamp,
    observe::{Counter, Counters},
    options::check_tags_len,
    policy::Policy,
    sync::Ordering,
};

pub(super) struct Inner {
    pub(super) handle: StoreHandle,
    pub(super) default_expiry: Expiry,
    pub(super) default_options: EntryOptions,
    /// What holds where a caller asks for nothing of its own.
    pub(super) default_policy: Arc<Policy>,
    /// Whether those refresh entries before they are stale.
    pub(super) refreshes_early: bool,
    /// The namespace of the cache as it was built: tags are its own.
    pub(super) root: Namespace,
    pub(super) fencing: Fencing,
    pub(super) coalesce: Coalesce,
    pub(super) clear_by: ClearBy,
    pub(super) stamp_staleness: Duration,
    pub(super) remembered: Remembered,
    pub(super) lease_timeout: Duration,
    pub(super) clock_skew: Duration,
    /// The room there is for blocking loaders.
    pub(super) detached: Arc<tokio::sync::Semaphore>,
    pub(super) max_detached: usize,
    pub(super) codec: Codec,
    pub(super) operation_timeout: Duration,
    pub(super) bulk_timeout: Duration,
    pub(super) load_timeout: Duration,
    pub(super) max_value_bytes: u32,
    pub(super) loads: Arc<tokio::sync::Semaphore>,
    pub(super) explicit_errors: FailurePolicy,
    pub(super) load_errors: FailurePolicy,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) random: Arc<dyn Random>,
    pub(super) spawn: Arc<dyn Spawn>,
    pub(super) observers: Box<[Arc<dyn Observer>]>,
    pub(super) weighs: bool,
    pub(super) weighers: Weighers,
    pub(super) counters: Counters,
    /// Every background task of this cache, so that `close` can wait for them.
    pub(super) tasks: tokio_util::task::TaskTracker,
    /// Ends the tasks that would go on by themselves: cancelled by `close`, and when the last handle is dropped.
    pub(super) stop: tokio_util::sync::CancellationToken,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Inner {
    /// What holds for a load or write with these options. One out of range is an error that names it.
    pub(super) fn policy(&self, options: &EntryOptions) -> Result<Arc<Policy>> {
        if options.is_empty() {
            return Ok(Arc::clone(&self.default_policy));
        }
        options.check()?;
        let policy = Policy::resolve(options, &self.default_options, self.default_expiry, self.load_timeout);
        check_tags_len(policy.tags.len())?;
        Ok(Arc::new(policy))
    }

    /// Turns a value into what the store is given, with its expiry. Plain integers become counters, where they need none of
    /// an entry's metadata.
    pub(super) fn entry<T: Cacheable>(
        &self,
        value: Arc<T>,
        policy: &Policy,
        now: Timestamp,
        cost: Duration,
        stamps: Vec<Stamp>,
    ) -> (Value, Expiry) {
        let none = policy.none.is_some() && (*value).is_none();
        let (mut meta, expiry) = policy.meta(now, none, || self.random.unit());
        if policy.is_plain()
            && stamps.is_empty()
            && let Some(int) = value.as_int()
        {
            return (Value::Int(int), expiry);
        }
        if !stamps.is_empty() {
            meta = meta.with_stamps(stamps);
        }
        let weight = if self.weighs { self.weighers.weigh(&*value) } else { None };
        let meta = meta.with_cost(cost);
        let object = Object::shared(value, meta, self.codec, self.max_value_bytes, weight);
        (Value::Object(object), expiry)
    }

    pub(super) fn hit(&self, key: &Key, saved: Duration) {
        self.counters.add(Counter::Hits, 1);
        if !saved.is_zero() {
            self.counters.add(Counter::SavedMicros, u64::try_from(saved.as_micros()).unwrap_or(u64::MAX));
        }
        self.tell(|| Event::Hit { key, saved });
    }

    pub(super) fn miss(&self, key: &Key) {
        self.counters.add(Counter::Misses, 1);
        self.tell(|| Event::Miss { key });
    }

    pub(super) fn joined(&self, key: &Key) {
        self.counters.add(Counter::Joined, 1);
        self.tell(|| Event::Joined { key });
    }

    pub(super) fn served_stale<T>(&self, key: &Key, outcome: &Outcome<T>, entry: &Candidate<T>) {
        match outcome.source() {
            Source::Stale { since, why } => {
                self.counters.add(Counter::Stale, 1);
                self.tell(|| Event::Stale { key, since, why });
            }
            // By the time it was looked at again it was fresh.
            _ => self.hit(key, entry.cost()),
        }
        self.note(key, entry.meta.as_ref());
    }

    pub(super) fn undecodable(&self, key: &Key, error: &Error) {
        self.counters.add(Counter::Undecodable, 1);
        self.tell(|| Event::Undecodable { key, error });
    }

    pub(super) fn store_error(&self, operation: &'static str, error: &Error) {
        self.counters.add(Counter::StoreErrors, 1);
        self.tell(|| Event::StoreError { operation, error });
    }

    pub(super) fn loaded(&self, key: &Key, took: Duration, kept: crate::Kept) {
        self.counters.add(Counter::Loads, 1);
        if kept != crate::Kept::Yes {
            self.counters.add(Counter::NotKept, 1);
        }
        self.tell(|| Event::Loaded { key, took, kept });
    }

    pub(super) fn load_failed(&self, key: &Key, took: Duration, error: &Error) {
        self.counters.add(Counter::LoadErrors, 1);
        self.tell(|| Event::LoadFailed { key, took, error });
    }

    pub(super) fn tell<'a>(&self, event: impl FnOnce() -> Event<'a>) {
        if !self.observers.is_empty() {
            let event = event();
            for observer in &self.observers {
                observer.event(&event);
            }
        }
    }

    /// How many blocking loaders run.
    fn detached_loads(&self) -> u64 {
        self.max_detached.saturating_sub(self.detached.available_permits()) as u64
    }

    pub(super) fn stats(&self) -> Stats {
        let sum = |counter| self.counters.sum(counter);
        Stats {
            hits: sum(Counter::Hits),
            misses: sum(Counter::Misses),
            loads: sum(Counter::Loads),
            load_errors: sum(Counter::LoadErrors),
            joined: sum(Counter::Joined),
            not_kept: sum(Counter::NotKept),
            store_errors: sum(Counter::StoreErrors),
            undecodable: sum(Counter::Undecodable),
            stale: sum(Counter::Stale),
            stamps_missing: sum(Counter::StampsMissing),
            evictions: self.handle.evictions.capacity.load(Ordering::Relaxed),
            in_doubt: self.handle.flights.quarantine.len() as u64,
            detached: self.detached_loads(),
            time_saved: Duration::from_micros(sum(Counter::SavedMicros)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Cache, CacheStore, Capabilities, async_trait};

    #[derive(Debug)]
    struct Nothing;

    #[async_trait]
    impl CacheStore for Nothing {
        fn capabilities(&self) -> Capabilities {
            Capabilities::new().with_retains(false)
        }
        async fn get(&self, _: &Key) -> Result<Option<Value>> {
            Ok(None)
        }
        async fn set(&self, _: &Key, _: Value, _: Expiry) -> Result<()> {
            Ok(())
        }
        async fn delete(&self, _: &Key) -> Result<bool> {
            Ok(false)
        }
    }

    #[test]
    fn what_was_saved_is_counted_past_what_nanoseconds_hold() {
        let (cache, centuries) = (Cache::new(Nothing), Duration::from_hours(300 * 365 * 24));
        for _ in 0..3 {
            cache.inner.hit(&Key::reserved("x"), centuries);
        }
        assert_eq!(cache.stats().time_saved, 3 * centuries);
    }
}
