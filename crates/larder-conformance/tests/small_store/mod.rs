//! A correct store in sixty lines: versions and `clear`, and nothing that it does not have to be.

use std::{collections::HashMap, sync::Arc, sync::Mutex};

use larder_core::{
    CacheStore, Capabilities, Clock, Expiry, Key, ManualClock, Namespace, Operations, Result, Timestamp,
    Value, Version, async_trait,
};

type Held = (Value, Timestamp, u64);
type Won = Option<Version>;

#[derive(Debug)]
pub(crate) struct Small(pub(crate) ManualClock, pub(crate) Mutex<(u64, HashMap<Key, Held>)>);

impl Small {
    fn live(&self, key: &Key) -> Option<Held> {
        self.1.lock().expect("unpoisoned").1.get(key).filter(|held| held.1 > self.0.now()).cloned()
    }
    /// Puts what `new` makes of the unexpired entry in its place; nothing where it makes none.
    fn put(&self, key: &Key, ends: Expiry, new: impl FnOnce(Option<&Held>) -> Option<Value>) -> Won {
        let (mut guard, now) = (self.1.lock().expect("unpoisoned"), self.0.now());
        let (version, map) = &mut *guard;
        let value = new(map.get(key).filter(|held| held.1 > now))?;
        *version += 1;
        map.insert(key.clone(), (value, ends.deadline(now), *version));
        Some((*version).into())
    }
}

#[async_trait]
impl CacheStore for Small {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new().with_operations(Operations::VERSIONS | Operations::CLEAR)
    }
    fn clock(&self) -> Option<Arc<dyn Clock>> {
        Some(Arc::new(self.0.clone()))
    }
    async fn get(&self, key: &Key) -> Result<Option<Value>> {
        Ok(self.live(key).map(|held| held.0))
    }
    async fn set(&self, key: &Key, value: Value, ends: Expiry) -> Result<()> {
        self.put(key, ends, |_| Some(value));
        Ok(())
    }
    async fn delete(&self, key: &Key) -> Result<bool> {
        let now = self.0.now();
        Ok(self.1.lock().expect("unpoisoned").1.remove(key).is_some_and(|held| held.1 > now))
    }
    async fn get_versioned(&self, key: &Key) -> Result<Option<(Value, Version)>> {
        Ok(self.live(key).map(|held| (held.0, held.2.into())))
    }
    async fn add(&self, key: &Key, value: Value, ends: Expiry) -> Result<Won> {
        Ok(self.put(key, ends, |held| held.is_none().then_some(value)))
    }
    async fn replace(&self, key: &Key, seen: &Version, value: Value, ends: Expiry) -> Result<Won> {
        Ok(self.put(key, ends, |held| held.filter(|held| Version::from(held.2) == *seen).map(|_| value)))
    }
    async fn clear(&self, namespace: &Namespace) -> Result<()> {
        self.1.lock().expect("unpoisoned").1.retain(|key, _| !namespace.contains(key));
        Ok(())
    }
}
