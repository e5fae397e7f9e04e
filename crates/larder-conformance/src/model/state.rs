//! What a store is, said as simply as possible: entries with an end.

use std::{collections::BTreeMap, time::Duration};

use larder_core::{Expiry, Value};

use super::operation::{KEYS, NAMESPACES, TEXTS};

/// Time since the start of the sequence; `None` for ever.
type End = Option<Duration>;

#[derive(Debug)]
struct Entry {
    value: Value,
    ends: End,
    /// Which state of the store's whole history this is.
    state: u64,
}

/// The model of a store under test.
#[derive(Debug, Default)]
pub(super) struct Model {
    entries: BTreeMap<usize, Entry>,
    now: Duration,
    states: u64,
}

/// What an `increment` does.
pub(super) enum Sum {
    Is(i64),
    Overflow,
    WrongType,
}

impl Model {
    fn live(&self, key: usize) -> Option<&Entry> {
        self.entries.get(&key).filter(|entry| entry.ends.is_none_or(|ends| ends > self.now))
    }

    fn end(&self, expiry: Expiry) -> End {
        match expiry {
            Expiry::After(lifetime) => self.now.checked_add(lifetime),
            _ => None,
        }
    }

    fn put(&mut self, key: usize, value: Value, ends: End) -> u64 {
        self.states += 1;
        self.entries.insert(key, Entry { value, ends, state: self.states });
        self.states
    }

    pub(super) fn get(&self, key: usize) -> Option<&Value> {
        self.live(key).map(|entry| &entry.value)
    }

    /// Which state is there.
    pub(super) fn state(&self, key: usize) -> Option<u64> {
        self.live(key).map(|entry| entry.state)
    }

    pub(super) fn set(&mut self, key: usize, value: Value, expiry: Expiry) {
        let ends = self.end(expiry);
        self.put(key, value, ends);
    }

    pub(super) fn delete(&mut self, key: usize) -> bool {
        let was = self.live(key).is_some();
        self.entries.remove(&key);
        was
    }

    /// The state that was added, unless something was there.
    pub(super) fn add(&mut self, key: usize, value: Value, expiry: Expiry) -> Option<u64> {
        if self.live(key).is_some() {
            return None;
        }
        let ends = self.end(expiry);
        Some(self.put(key, value, ends))
    }

    pub(super) fn replace(&mut self, key: usize, state: u64, value: Value, expiry: Expiry) -> Option<u64> {
        if self.state(key) != Some(state) {
            return None;
        }
        let ends = self.end(expiry);
        Some(self.put(key, value, ends))
    }

    pub(super) fn increment(&mut self, key: usize, delta: i64, expiry: Expiry) -> Sum {
        let (old, ends) = match self.live(key) {
            None => (0, self.end(expiry)),
            Some(Entry { value: Value::Int(int), ends, .. }) => (*int, *ends),
            Some(_) => return Sum::WrongType,
        };
        let Some(sum) = old.checked_add(delta) else { return Sum::Overflow };
        self.put(key, Value::Int(sum), ends);
        Sum::Is(sum)
    }

    pub(super) fn touch(&mut self, key: usize, expiry: Expiry) -> bool {
        let ends = self.end(expiry);
        let was = self.live(key).is_some();
        if let (true, Some(entry)) = (was, self.entries.get_mut(&key)) {
            entry.ends = ends;
        }
        was
    }

    /// How long the entry has left.
    pub(super) fn expiry(&self, key: usize) -> Option<Expiry> {
        let entry = self.live(key)?;
        Some(entry.ends.map_or(Expiry::Never, |ends| Expiry::After(ends.saturating_sub(self.now))))
    }

    pub(super) fn clear(&mut self, namespace: usize) {
        self.entries.retain(|key, _| !contains(namespace, *key));
    }

    pub(super) fn keys(&self, namespace: usize) -> Vec<usize> {
        (0..KEYS).filter(|key| contains(namespace, *key) && self.live(*key).is_some()).collect()
    }

    pub(super) fn advance(&mut self, duration: Duration) {
        self.now += duration;
    }
}

/// The number of the namespace a key is in.
pub(super) fn namespace_of(key: usize) -> usize {
    key / TEXTS.len()
}

fn contains(namespace: usize, key: usize) -> bool {
    NAMESPACES[namespace_of(key)].starts_with(NAMESPACES[namespace])
}
