//! Loads that failed lately: when to try again, and what to say until then.

use std::collections::HashMap;

use crate::{
    Error, Key, Namespace, Timestamp,
    sync::{AtomicUsize, Mutex, MutexGuard, Ordering},
};

/// The most keys remembered: a failure more is not remembered, so that its key is simply tried again.
const MAX: usize = 10_000;

/// Failed loads of this process, by key. An invalidation of the key, or of a tag of the load, forgets its failure.
#[derive(Default)]
pub(crate) struct Failures {
    /// So that the common case, none, costs one load.
    count: AtomicUsize,
    keys: Mutex<HashMap<Key, Failure>>,
}

struct Failure {
    error: Error,
    /// Until when a stale entry is served without another try.
    retry_at: Timestamp,
    /// Until when callers are given the error itself.
    told_until: Timestamp,
    /// The stamps that the load began under.
    under: Box<[Key]>,
}

impl Failures {
    /// A load failed: it is tried again at `retry_at` where a stale entry can be served until then, and its error is given
    /// to callers until `told_until`.
    pub(crate) fn record(
        &self,
        key: &Key,
        error: &Error,
        under: Box<[Key]>,
        now: Timestamp,
        retry_at: Timestamp,
        told_until: Timestamp,
    ) {
        if retry_at <= now && told_until <= now {
            return;
        }
        let mut keys = self.lock();
        if keys.len() >= MAX {
            keys.retain(|_, failure| failure.retry_at > now || failure.told_until > now);
        }
        if keys.len() < MAX || keys.contains_key(key) {
            keys.insert(key.clone(), Failure { error: error.clone(), retry_at, told_until, under });
        }
        self.count.store(keys.len(), Ordering::Release);
    }

    /// Whether the key's load failed so lately that a stale entry is better served without another try.
    pub(crate) fn is_resting(&self, key: &Key, now: Timestamp) -> bool {
        !self.is_empty() && self.lock().get(key).is_some_and(|failure| now < failure.retry_at)
    }

    /// The error to give to callers without another try.
    pub(crate) fn told(&self, key: &Key, now: Timestamp) -> Option<Error> {
        if self.is_empty() {
            return None;
        }
        self.lock().get(key).filter(|failure| now < failure.told_until).map(|failure| failure.error.clone())
    }

    pub(crate) fn forget(&self, key: &Key) {
        if !self.is_empty() {
            let mut keys = self.lock();
            keys.remove(key);
            self.count.store(keys.len(), Ordering::Release);
        }
    }

    pub(crate) fn forget_namespace(&self, namespace: &Namespace) {
        self.retain(|key, _| !namespace.contains(key));
    }

    /// Of loads that began under one of these stamps.
    pub(crate) fn forget_stamped(&self, stamps: &[Key]) {
        self.retain(|_, failure| !failure.under.iter().any(|under| stamps.contains(under)));
    }

    fn retain(&self, stays: impl Fn(&Key, &Failure) -> bool) {
        if !self.is_empty() {
            let mut keys = self.lock();
            keys.retain(|key, failure| stays(key, failure));
            self.count.store(keys.len(), Ordering::Release);
        }
    }

    fn is_empty(&self) -> bool {
        self.count.load(Ordering::Acquire) == 0
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Failure>> {
        self.keys.lock().expect("no code panics while it holds the failures")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    fn key(text: &str) -> Key {
        Key::new(&Namespace::root(), text).unwrap()
    }

    #[test]
    fn a_failure_is_told_and_rested_for_as_long_as_asked() {
        let (failures, error) = (Failures::default(), Error::new(ErrorKind::Load, "no"));
        let at = Timestamp::from_nanos;
        failures.record(&key("a"), &error, Box::default(), at(0), at(10), at(5));
        assert!(failures.is_resting(&key("a"), at(9)) && !failures.is_resting(&key("a"), at(10)));
        assert!(failures.told(&key("a"), at(4)).is_some() && failures.told(&key("a"), at(5)).is_none());
        assert!(!failures.is_resting(&key("b"), at(1)));
        failures.forget(&key("a"));
        assert!(failures.is_empty());
    }

    #[test]
    fn too_many_are_not_remembered() {
        let (failures, error) = (Failures::default(), Error::new(ErrorKind::Load, "no"));
        let at = Timestamp::from_nanos;
        for i in 0..=MAX {
            failures.record(&key(&i.to_string()), &error, Box::default(), at(0), at(10), at(0));
        }
        assert!(!failures.is_resting(&key(&MAX.to_string()), at(1)));
        failures.record(&key("later"), &error, Box::default(), at(20), at(30), at(0));
        assert!(failures.is_resting(&key("later"), at(21)), "old ones make room");
        failures.forget_namespace(&Namespace::root());
        assert!(failures.is_empty());
    }
}
