//! A correct store with every capability, as plain as can be.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use larder_core::{
    CacheStore, Capabilities, Clock, Error, ErrorKind, Expiry, Key, Namespace, Operations, Result, Timestamp,
    Value, Version, async_trait,
};

#[derive(Debug)]
pub(crate) struct Reference {
    clock: Arc<dyn Clock>,
    /// Lifetimes are rounded up to a multiple of this; zero keeps them as they are.
    resolution: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    entries: HashMap<Key, Entry>,
    versions: u64,
}

#[derive(Debug)]
struct Entry {
    value: Value,
    ends: Timestamp,
    version: u64,
}

impl State {
    fn live(&self, key: &Key, now: Timestamp) -> Option<&Entry> {
        self.entries.get(key).filter(|entry| entry.ends > now)
    }

    fn put(&mut self, key: &Key, value: Value, ends: Timestamp) -> Version {
        self.versions += 1;
        self.entries.insert(key.clone(), Entry { value, ends, version: self.versions });
        Version::from(self.versions)
    }
}

impl Reference {
    pub(crate) const MAX_VALUE: usize = 2 << 20;

    pub(crate) fn new(clock: impl Clock, resolution: Duration) -> Self {
        Self { clock: Arc::new(clock), resolution, state: Mutex::default() }
    }

    /// When an entry stored now ends.
    fn ends(&self, expiry: Expiry, now: Timestamp) -> Timestamp {
        match expiry {
            Expiry::After(lifetime) if !self.resolution.is_zero() => {
                let parts = lifetime.as_nanos().div_ceil(self.resolution.as_nanos());
                let rounded = u64::try_from(parts * self.resolution.as_nanos()).unwrap_or(u64::MAX);
                now.saturating_add(Duration::from_nanos(rounded))
            }
            exact => exact.deadline(now),
        }
    }

    fn with<T>(&self, operation: impl FnOnce(&mut State, Timestamp) -> T) -> T {
        operation(&mut self.state.lock().expect("no operation panics"), self.clock.now())
    }
}

fn check_size(value: &Value) -> Result<()> {
    if value.to_wire()?.len() <= Reference::MAX_VALUE {
        return Ok(());
    }
    Err(Error::new(ErrorKind::TooLarge, format!("a value over the limit of {} bytes", Reference::MAX_VALUE)))
}

#[async_trait]
impl CacheStore for Reference {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new()
            .with_operations(Operations::ALL)
            .with_max_value_bytes(Self::MAX_VALUE)
            .with_expiry_resolution(self.resolution)
    }
    async fn get(&self, key: &Key) -> Result<Option<Value>> {
        Ok(self.with(|state, now| state.live(key, now).map(|entry| entry.value.clone())))
    }
    async fn set(&self, key: &Key, value: Value, expiry: Expiry) -> Result<()> {
        check_size(&value)?;
        self.with(|state, now| state.put(key, value, self.ends(expiry, now)));
        Ok(())
    }
    async fn delete(&self, key: &Key) -> Result<bool> {
        Ok(self.with(|state, now| state.entries.remove(key).is_some_and(|entry| entry.ends > now)))
    }
    fn peek(&self, key: &Key, now: Timestamp) -> Option<Option<Value>> {
        Some(self.with(|state, _| state.live(key, now).map(|entry| entry.value.clone())))
    }
    fn clock(&self) -> Option<Arc<dyn Clock>> {
        Some(Arc::clone(&self.clock))
    }
    async fn get_versioned(&self, key: &Key) -> Result<Option<(Value, Version)>> {
        Ok(self.with(|state, now| {
            state.live(key, now).map(|entry| (entry.value.clone(), Version::from(entry.version)))
        }))
    }
    async fn add(&self, key: &Key, value: Value, expiry: Expiry) -> Result<Option<Version>> {
        check_size(&value)?;
        Ok(self.with(|state, now| match state.live(key, now) {
            Some(_) => None,
            None => Some(state.put(key, value, self.ends(expiry, now))),
        }))
    }
    async fn replace(
        &self,
        key: &Key,
        version: &Version,
        value: Value,
        expiry: Expiry,
    ) -> Result<Option<Version>> {
        check_size(&value)?;
        Ok(self.with(|state, now| {
            let current = Version::from(state.live(key, now)?.version);
            (current == *version).then(|| state.put(key, value, self.ends(expiry, now)))
        }))
    }
    async fn increment(&self, key: &Key, delta: i64, expiry: Expiry) -> Result<i64> {
        self.with(|state, now| {
            let (old, ends) = match state.live(key, now) {
                None => (0, self.ends(expiry, now)),
                Some(Entry { value: Value::Int(int), ends, .. }) => (*int, *ends),
                Some(_) => return Err(Error::new(ErrorKind::WrongType, "not a counter")),
            };
            let new =
                old.checked_add(delta).ok_or_else(|| Error::new(ErrorKind::Overflow, "out of range"))?;
            state.put(key, Value::Int(new), ends);
            Ok(new)
        })
    }
    async fn touch(&self, key: &Key, expiry: Expiry) -> Result<bool> {
        Ok(self.with(|state, now| match state.entries.get_mut(key) {
            Some(entry) if entry.ends > now => {
                entry.ends = self.ends(expiry, now);
                true
            }
            _ => false,
        }))
    }
    async fn expiry(&self, key: &Key) -> Result<Option<Expiry>> {
        Ok(self.with(|state, now| state.live(key, now).map(|entry| Expiry::until(entry.ends, now))))
    }
    async fn clear(&self, namespace: &Namespace) -> Result<()> {
        self.with(|state, _| state.entries.retain(|key, _| !namespace.contains(key)));
        Ok(())
    }
    async fn keys(&self, namespace: &Namespace) -> Result<Vec<Key>> {
        Ok(self.with(|state, now| {
            let live = state.entries.iter().filter(|(_, entry)| entry.ends > now);
            live.map(|(key, _)| key.clone()).filter(|key| namespace.contains(key)).collect()
        }))
    }
    async fn len(&self) -> Result<u64> {
        Ok(self.with(|state, now| state.entries.values().filter(|entry| entry.ends > now).count() as u64))
    }
}
