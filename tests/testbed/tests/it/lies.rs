//! A store in memory that can be told to lie.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use larder_core::{
    CacheStore, Capabilities, Error, ErrorKind, Expiry, Key, Operations, Result, Value, Version, async_trait,
};

/// What is wrong with the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lie {
    None,
    /// Now and then a `get` answers with what another key holds.
    MixedUp,
    /// Now and then the second half of a value is another's.
    Torn,
    /// Some acknowledged writes are not made.
    LostWrites,
    /// Some acknowledged deletes are not made.
    LostDeletes,
    /// `get_many` answers in another order.
    Shuffled,
    /// Some writes are made although the store says that they were not.
    MadeAnyway,
    /// `replace` runs twice, and reports the second time.
    ReplacesTwice,
    /// `increment` runs twice.
    CountsTwice,
    /// Some calls take longer than the operation timeout.
    Slow,
    /// Many calls fail for a while, and never stop failing.
    Down,
}

#[derive(Debug)]
pub(crate) struct LyingStore {
    lie: Mutex<Lie>,
    calls: AtomicU64,
    next_version: AtomicU64,
    map: Mutex<HashMap<Key, (Value, u64)>>,
}

impl LyingStore {
    pub(crate) fn new(lie: Lie) -> Self {
        Self {
            lie: Mutex::new(lie),
            calls: AtomicU64::new(0),
            next_version: AtomicU64::new(1),
            map: Mutex::default(),
        }
    }

    pub(crate) fn set_lie(&self, lie: Lie) {
        *self.lie.lock().unwrap() = lie;
    }

    /// Whether to lie in this way now: once in some calls.
    fn lies(&self, lie: Lie) -> bool {
        *self.lie.lock().unwrap() == lie && self.calls.fetch_add(1, Ordering::Relaxed) % 50 == 49
    }

    fn map(&self) -> MutexGuard<'_, HashMap<Key, (Value, u64)>> {
        self.map.lock().unwrap()
    }

    fn put(&self, key: &Key, value: Value) -> u64 {
        let version = self.next_version.fetch_add(1, Ordering::Relaxed);
        self.map().insert(key.clone(), (value, version));
        version
    }

    /// Where a real store would wait for its server; a caller may be dropped there.
    async fn round_trip(&self) -> Result<()> {
        if self.lies(Lie::Slow) {
            tokio::time::sleep(Duration::from_millis(700)).await;
        }
        if self.lies(Lie::Down) {
            return Err(Error::new(ErrorKind::Unavailable, "down"));
        }
        tokio::task::yield_now().await;
        Ok(())
    }

    fn read(&self, key: &Key) -> Option<Value> {
        let map = self.map();
        let (value, _) = map.get(key)?;
        if self.lies(Lie::MixedUp) {
            return map.iter().find_map(|(other, (value, _))| {
                (other != key && matches!(value, Value::Bytes(_))).then(|| value.clone())
            });
        }
        if self.lies(Lie::Torn)
            && let Value::Bytes(bytes) = value
        {
            let mut torn = bytes.to_vec();
            let middle = torn.len() / 2;
            torn[middle..].fill(b'x');
            return Some(Value::Bytes(torn.into()));
        }
        Some(value.clone())
    }
}

fn version(number: u64) -> Version {
    Version::new(&number.to_be_bytes()).unwrap()
}

#[async_trait]
impl CacheStore for LyingStore {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new().with_operations(Operations::VERSIONS | Operations::INCREMENT)
    }

    async fn get(&self, key: &Key) -> Result<Option<Value>> {
        self.round_trip().await?;
        Ok(self.read(key))
    }

    async fn get_many(&self, keys: &[Key]) -> Vec<Result<Option<Value>>> {
        if let Err(error) = self.round_trip().await {
            return keys.iter().map(|_| Err(error.clone())).collect();
        }
        let mut answers: Vec<_> = keys.iter().map(|key| Ok(self.read(key))).collect();
        if self.lies(Lie::Shuffled) {
            answers.reverse();
        }
        answers
    }

    async fn set(&self, key: &Key, value: Value, _: Expiry) -> Result<()> {
        self.round_trip().await?;
        if self.lies(Lie::MadeAnyway) {
            self.put(key, value);
            return Err(Error::new(ErrorKind::Unavailable, "it was never sent"));
        }
        if !self.lies(Lie::LostWrites) {
            self.put(key, value);
        }
        Ok(())
    }

    async fn delete(&self, key: &Key) -> Result<bool> {
        self.round_trip().await?;
        if *self.lie.lock().unwrap() == Lie::LostDeletes {
            return Ok(true);
        }
        Ok(self.map().remove(key).is_some())
    }

    async fn get_versioned(&self, key: &Key) -> Result<Option<(Value, Version)>> {
        self.round_trip().await?;
        Ok(self.map().get(key).map(|(value, number)| (value.clone(), version(*number))))
    }

    async fn add(&self, key: &Key, value: Value, _: Expiry) -> Result<Option<Version>> {
        self.round_trip().await?;
        let is_free = !self.map().contains_key(key);
        Ok(is_free.then(|| version(self.put(key, value))))
    }

    async fn replace(&self, key: &Key, seen: &Version, value: Value, _: Expiry) -> Result<Option<Version>> {
        self.round_trip().await?;
        let is = self.map().get(key).map(|(_, number)| version(*number));
        if is.as_ref() != Some(seen) {
            return Ok(None);
        }
        let version = version(self.put(key, value));
        Ok(Some(version).filter(|_| !self.lies(Lie::ReplacesTwice)))
    }

    async fn increment(&self, key: &Key, delta: i64, _: Expiry) -> Result<i64> {
        self.round_trip().await?;
        let times = if self.lies(Lie::CountsTwice) { 2 } else { 1 };
        let mut map = self.map();
        let (value, _) = map.entry(key.clone()).or_insert((Value::Int(0), 0));
        let Value::Int(count) = value else { return Err(Error::new(ErrorKind::WrongType, "no counter")) };
        *count += delta * times;
        Ok(*count)
    }
}
