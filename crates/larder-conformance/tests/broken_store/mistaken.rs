//! What a broken store takes keys, expiries, versions and values for.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    time::Duration,
};

use larder_core::{CacheStore as _, Expiry, Key, Result, Timestamp, Value, Version};

use super::{Broken, Fault};

impl Broken {
    pub(super) fn writes(&self, key: &Key) {
        self.written.lock().unwrap().insert(key.clone());
        self.ever.lock().unwrap().insert(key.clone());
    }

    /// What is there, expired or not.
    pub(super) fn raw(&self, key: &Key) -> Option<Value> {
        self.store.peek(key, Timestamp::from_nanos(0)).flatten()
    }

    /// The key this store takes `key` for.
    pub(super) fn key(&self, key: &Key) -> Key {
        let name = match self.fault {
            Fault::KeysTruncated => key.as_str().chars().take(100).collect(),
            Fault::KeysIgnoreCase => key.as_str().to_lowercase(),
            _ => return key.clone(),
        };
        self.aliases.lock().unwrap().entry(name).or_insert_with(|| key.clone()).clone()
    }

    /// The expiry this store takes `expiry` for.
    pub(super) fn expiry_of(&self, expiry: Expiry) -> Expiry {
        let Expiry::After(lifetime) = expiry else { return expiry };
        match self.fault {
            Fault::ExpiryIgnored => Expiry::Never,
            Fault::ExpiryOverflows if lifetime.as_nanos() > u128::from(u64::MAX) => {
                Expiry::After(Duration::ZERO)
            }
            Fault::ExpiryWrapsAt32Bits => Expiry::After(Duration::new(
                lifetime.as_secs() & u64::from(u32::MAX),
                lifetime.subsec_nanos(),
            )),
            // The clock of the server stands long after 1970, so such a point in time is long past.
            Fault::ThirtyDaysAreAbsolute if lifetime > Duration::from_hours(30 * 24) => {
                Expiry::After(Duration::ZERO)
            }
            _ => expiry,
        }
    }

    /// Tells a caller the version this store gives a state.
    pub(super) fn told(&self, key: &Key, value: &Value, version: Version) -> Version {
        let mut versions = self.versions.lock().unwrap();
        let known = versions.entry(key.clone()).or_default();
        if !known.contains(&version) {
            known.push(version);
        }
        let number = 1 + known.iter().position(|known| *known == version).unwrap() as u64;
        match self.fault {
            Fault::VersionsCountPerKey => Version::from(number),
            Fault::VersionsStartAgainAfterDelete => {
                let salt = hash(key.as_str().as_bytes());
                Version::new(&[salt.to_be_bytes(), number.to_be_bytes()].concat()).unwrap()
            }
            Fault::VersionsAreHashes => {
                Version::from(hash(&[key.as_str().as_bytes(), &value.to_wire().unwrap()].concat()))
            }
            _ => version,
        }
    }

    /// The true version of the state that `told` stands for now, as far as this store can tell.
    pub(super) async fn meant(&self, key: &Key, told: &Version) -> Result<Version> {
        let Some((value, version)) = self.store.get_versioned(key).await? else { return Ok(*told) };
        Ok(if self.told(key, &value, version) == *told { version } else { Version::from(u64::MAX) })
    }

    /// What it does to a value before storing it.
    pub(super) fn value(&self, value: Value) -> Value {
        match (self.fault, value) {
            (Fault::ValuesCutAtNul, Value::Bytes(bytes)) => {
                let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
                Value::Bytes(bytes.slice(..end))
            }
            (Fault::ObjectsAreNamed, Value::Object(object)) => Value::Bytes(format!("{object:?}").into()),
            (_, value) => value,
        }
    }
}

fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

/// SQL's `LIKE`, without an escape character.
pub(super) fn like(pattern: &str, text: &str) -> bool {
    match pattern.split_once('%') {
        None => pattern == text,
        Some((head, rest)) => {
            text.strip_prefix(head).is_some_and(|tail| (0..=tail.len()).any(|at| like(rest, &tail[at..])))
        }
    }
}
