// A small store for the examples in the documentation, and for the tests of the core itself.

use std::{
    collections::HashMap as Map,
    sync::{Arc as Shared, Mutex},
    time::Duration as Span,
};

use larder_core as core_;

/// In process, every operation, no bounds.
#[derive(Debug, Default)]
pub struct MapStore {
    pub clock: core_::ManualClock,
    map: Mutex<(u64, Map<core_::Key, Held>)>,
}

#[derive(Clone, Debug)]
struct Held {
    value: core_::Value,
    ends: core_::Timestamp,
    version: u64,
}

impl MapStore {
    /// Lets `change` decide what stands under `key`, given what stands there unexpired.
    fn with<R>(
        &self,
        key: &core_::Key,
        change: impl FnOnce(Option<Held>) -> (Option<(core_::Value, core_::Timestamp)>, R),
    ) -> (R, core_::Version) {
        let now = core_::Clock::now(&self.clock);
        let mut guard = self.map.lock().unwrap();
        let (next, map) = &mut *guard;
        let (new, result) = change(map.get(key).filter(|held| held.ends > now).cloned());
        *next += 1;
        match new {
            Some((value, ends)) => drop(map.insert(key.clone(), Held { value, ends, version: *next })),
            None => drop(map.remove(key)),
        }
        (result, (*next).into())
    }

    fn find(&self, key: &core_::Key) -> Option<Held> {
        let now = core_::Clock::now(&self.clock);
        self.map.lock().unwrap().1.get(key).filter(|held| held.ends > now).cloned()
    }

    fn ends(&self, expiry: core_::Expiry) -> core_::Timestamp {
        expiry.deadline(core_::Clock::now(&self.clock))
    }
}

#[core_::async_trait]
impl core_::CacheStore for MapStore {
    fn capabilities(&self) -> core_::Capabilities {
        core_::Capabilities::new().with_operations(core_::Operations::ALL)
    }

    fn clock(&self) -> Option<Shared<dyn core_::Clock>> {
        Some(Shared::new(self.clock.clone()))
    }

    async fn get(&self, key: &core_::Key) -> core_::Result<Option<core_::Value>> {
        Ok(self.find(key).map(|held| held.value))
    }

    async fn set(&self, key: &core_::Key, value: core_::Value, expiry: core_::Expiry) -> core_::Result<()> {
        let ends = self.ends(expiry);
        self.with(key, |_| (Some((value, ends)), ()));
        Ok(())
    }

    async fn delete(&self, key: &core_::Key) -> core_::Result<bool> {
        Ok(self.with(key, |held| (None, held.is_some())).0)
    }

    async fn get_versioned(&self, key: &core_::Key) -> core_::Result<Option<(core_::Value, core_::Version)>> {
        Ok(self.find(key).map(|held| (held.value, held.version.into())))
    }

    async fn add(
        &self,
        key: &core_::Key,
        value: core_::Value,
        expiry: core_::Expiry,
    ) -> core_::Result<Option<core_::Version>> {
        let ends = self.ends(expiry);
        if self.find(key).is_some() {
            return Ok(None);
        }
        Ok(Some(self.with(key, |_| (Some((value, ends)), ())).1))
    }

    async fn replace(
        &self,
        key: &core_::Key,
        version: &core_::Version,
        value: core_::Value,
        expiry: core_::Expiry,
    ) -> core_::Result<Option<core_::Version>> {
        let ends = self.ends(expiry);
        if self.find(key).is_none_or(|held| core_::Version::from(held.version) != *version) {
            return Ok(None);
        }
        Ok(Some(self.with(key, |_| (Some((value, ends)), ())).1))
    }

    async fn increment(&self, key: &core_::Key, delta: i64, expiry: core_::Expiry) -> core_::Result<i64> {
        let created = self.ends(expiry);
        self.with(key, |held| {
            let (old, ends) = match &held {
                None => (0, created),
                Some(Held { value: core_::Value::Int(old), ends, .. }) => (*old, *ends),
                Some(Held { value, ends, .. }) => {
                    let wrong = core_::Error::new(core_::ErrorKind::WrongType, "the entry is no counter");
                    return (Some((value.clone(), *ends)), Err(wrong));
                }
            };
            match old.checked_add(delta) {
                Some(sum) => (Some((core_::Value::Int(sum), ends)), Ok(sum)),
                None => (
                    Some((core_::Value::Int(old), ends)),
                    Err(core_::Error::new(core_::ErrorKind::Overflow, "out of range")),
                ),
            }
        })
        .0
    }

    async fn touch(&self, key: &core_::Key, expiry: core_::Expiry) -> core_::Result<bool> {
        let ends = self.ends(expiry);
        Ok(self
            .with(key, |held| {
                let there = held.is_some();
                (held.map(|held| (held.value, ends)), there)
            })
            .0)
    }

    async fn expiry(&self, key: &core_::Key) -> core_::Result<Option<core_::Expiry>> {
        Ok(self.find(key).map(|held| core_::Expiry::until(held.ends, core_::Clock::now(&self.clock))))
    }

    async fn clear(&self, namespace: &core_::Namespace) -> core_::Result<()> {
        self.map.lock().unwrap().1.retain(|key, _| !namespace.contains(key));
        Ok(())
    }

    async fn keys(&self, namespace: &core_::Namespace) -> core_::Result<Vec<core_::Key>> {
        let now = core_::Clock::now(&self.clock);
        let guard = self.map.lock().unwrap();
        Ok(guard
            .1
            .iter()
            .filter(|(key, held)| namespace.contains(key) && held.ends > now)
            .map(|(key, _)| key.clone())
            .collect())
    }

    async fn len(&self) -> core_::Result<u64> {
        let now = core_::Clock::now(&self.clock);
        Ok(self.map.lock().unwrap().1.values().filter(|held| held.ends > now).count() as u64)
    }
}

/// Runs an example on a cache over a store of its own.
#[allow(dead_code, reason = "some examples need the store alone")]
pub fn example<F: Future<Output = core_::Result<()>>>(run: impl FnOnce(core_::Cache) -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let cache = core_::Cache::builder(MapStore::default()).load_timeout(Span::from_secs(5)).build().unwrap();
    runtime.block_on(run(cache)).unwrap();
}
