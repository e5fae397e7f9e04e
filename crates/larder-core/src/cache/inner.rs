//! What all clones and child namespaces of a cache share.

use std::{sync::Arc, time::Duration};

use super::builder::{FailurePolicy, Weighers};
use crate::{
    Cacheable, Clock, Codec, EntryMeta, EntryOptions, Error, Event, Expiry, Key, Object, Observer, Spawn,
    Stats, StoreHandle, Timestamp, Value,
    observe::{Counter, Counters},
    sync::Ordering,
};

pub(super) struct Inner {
    pub(super) handle: StoreHandle,
    pub(super) default_expiry: Expiry,
    pub(super) codec: Codec,
    pub(super) operation_timeout: Duration,
    pub(super) bulk_timeout: Duration,
    pub(super) load_timeout: Duration,
    pub(super) max_value_bytes: u32,
    pub(super) loads: Arc<tokio::sync::Semaphore>,
    pub(super) explicit_errors: FailurePolicy,
    pub(super) load_errors: FailurePolicy,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) spawn: Arc<dyn Spawn>,
    pub(super) observers: Box<[Arc<dyn Observer>]>,
    pub(super) weighs: bool,
    pub(super) weighers: Weighers,
    pub(super) counters: Counters,
    /// Every background task of this cache, so that `close` can wait for them.
    pub(super) tasks: tokio_util::task::TaskTracker,
}

impl Inner {
    /// Turns a value into what the store is given, with its expiry. Plain integers become counters.
    pub(super) fn entry<T: Cacheable>(
        &self,
        value: Arc<T>,
        options: &EntryOptions,
        cost: Duration,
    ) -> (Value, Expiry) {
        let expiry = options.timeout.resolve(self.default_expiry);
        if let Some(int) = value.as_int() {
            return (Value::Int(int), expiry);
        }
        let weight = if self.weighs { self.weighers.weigh(&*value) } else { None };
        let meta = EntryMeta::new(self.clock.now(), expiry).with_cost(cost);
        let object = Object::shared(value, meta, self.codec, self.max_value_bytes, weight);
        (Value::Object(object), expiry)
    }

    pub(super) fn hit(&self, key: &Key, saved: Duration) {
        self.counters.add(Counter::Hits, 1);
        if !saved.is_zero() {
            self.counters.add(Counter::SavedNanos, u64::try_from(saved.as_nanos()).unwrap_or(u64::MAX));
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

    fn tell<'a>(&self, event: impl FnOnce() -> Event<'a>) {
        if !self.observers.is_empty() {
            let event = event();
            for observer in &self.observers {
                observer.event(&event);
            }
        }
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
            evictions: self.handle.evictions.capacity.load(Ordering::Relaxed),
            time_saved: Duration::from_nanos(sum(Counter::SavedNanos)),
        }
    }

    /// When a flight that starts now must have landed.
    pub(super) fn load_deadline(&self) -> Timestamp {
        self.clock.now().saturating_add(self.load_timeout)
    }
}
