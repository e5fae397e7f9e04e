//! The shared store itself: correct, and as plain as can be.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use larder_core::{Error, ErrorKind, Expiry, Key, Namespace, Result, Value, Version};

#[derive(Debug, Default)]
pub(super) struct Server {
    entries: BTreeMap<Key, Entry>,
    versions: u64,
    /// The time of this operation.
    pub(super) now: Duration,
}

#[derive(Clone, Debug)]
struct Entry {
    /// As on a server, bytes.
    value: Bytes,
    ends: Option<Duration>,
    version: u64,
}

impl Server {
    fn live(&self, key: &Key) -> Option<&Entry> {
        self.entries.get(key).filter(|entry| entry.ends.is_none_or(|ends| ends > self.now))
    }

    fn ends(&self, expiry: Expiry) -> Option<Duration> {
        match expiry {
            Expiry::After(lifetime) => Some(self.now.saturating_add(lifetime)),
            _ => None,
        }
    }

    fn put(&mut self, key: &Key, value: Bytes, ends: Option<Duration>) -> Version {
        self.versions += 1;
        self.entries.insert(key.clone(), Entry { value, ends, version: self.versions });
        Version::from(self.versions)
    }

    pub(super) fn get(&self, key: &Key) -> Result<Option<Value>> {
        self.live(key).map(|entry| Value::from_wire(entry.value.clone())).transpose()
    }

    pub(super) fn get_versioned(&self, key: &Key) -> Result<Option<(Value, Version)>> {
        let Some(entry) = self.live(key) else { return Ok(None) };
        Ok(Some((Value::from_wire(entry.value.clone())?, Version::from(entry.version))))
    }

    pub(super) fn set(&mut self, key: &Key, value: Bytes, expiry: Expiry) {
        let ends = self.ends(expiry);
        self.put(key, value, ends);
    }

    pub(super) fn delete(&mut self, key: &Key) -> bool {
        let there = self.live(key).is_some();
        self.entries.remove(key);
        there
    }

    pub(super) fn add(&mut self, key: &Key, value: Bytes, expiry: Expiry) -> Option<Version> {
        let ends = self.ends(expiry);
        if self.live(key).is_some() { None } else { Some(self.put(key, value, ends)) }
    }

    pub(super) fn replace(
        &mut self,
        key: &Key,
        version: Option<&Version>,
        value: Bytes,
        expiry: Expiry,
    ) -> Option<Version> {
        let ends = self.ends(expiry);
        let current = self.live(key).map(|entry| Version::from(entry.version));
        match version {
            Some(version) if current.as_ref() != Some(version) => None,
            _ => Some(self.put(key, value, ends)),
        }
    }

    pub(super) fn increment(&mut self, key: &Key, delta: i64, expiry: Expiry) -> Result<i64> {
        let (old, ends) = match self.live(key) {
            None => (0, self.ends(expiry)),
            Some(entry) => match Value::from_wire(entry.value.clone())? {
                Value::Int(int) => (int, entry.ends),
                _ => return Err(Error::new(ErrorKind::WrongType, "not a counter")),
            },
        };
        let new = old.checked_add(delta).ok_or_else(|| Error::new(ErrorKind::Overflow, "out of range"))?;
        self.put(key, Value::Int(new).to_wire()?, ends);
        Ok(new)
    }

    pub(super) fn touch(&mut self, key: &Key, expiry: Expiry) -> bool {
        let ends = self.ends(expiry);
        let Some(entry) = self.live(key).cloned() else { return false };
        self.entries.insert(key.clone(), Entry { ends, ..entry });
        true
    }

    pub(super) fn expiry(&self, key: &Key) -> Option<Expiry> {
        let entry = self.live(key)?;
        Some(entry.ends.map_or(Expiry::Never, |ends| Expiry::After(ends.saturating_sub(self.now))))
    }

    pub(super) fn clear(&mut self, namespace: &Namespace) {
        self.entries.retain(|key, _| !namespace.contains(key));
    }

    pub(super) fn keys(&self, namespace: &Namespace) -> Vec<Key> {
        self.entries
            .keys()
            .filter(|key| namespace.contains(key) && self.live(key).is_some())
            .cloned()
            .collect()
    }
}
