//! What the store holds, counted in memory, so that no write has to look through the directory.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
};

use larder_core::{EvictionCause, Key, Namespace, Timestamp};

use crate::{config::Bounds, layout::Record, random::Nonce};

/// Who goes next: the oldest in the order of writes, what has expired before all.
#[derive(Debug)]
pub(crate) struct Accountant {
    bounds: Bounds,
    books: Mutex<Books>,
}

#[derive(Debug, Default)]
struct Books {
    entries: HashMap<Key, Entry>,
    /// By when they were written, and in this process by which came first.
    by_age: BTreeMap<(u64, u64), Key>,
    /// Those that end.
    by_end: BTreeMap<(Timestamp, u64), Key>,
    bytes: u64,
    last: u64,
}

#[derive(Debug)]
struct Entry {
    version: Nonce,
    written: u64,
    deadline: Timestamp,
    bytes: u64,
    number: u64,
}

/// An entry that is to go, as it was when it was counted.
#[derive(Debug)]
pub(crate) struct Victim {
    pub(crate) key: Key,
    pub(crate) version: Nonce,
    pub(crate) cause: EvictionCause,
}

impl Accountant {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self { bounds, books: Mutex::default() }
    }

    /// Counts an entry, in place of what was counted under its key.
    pub(crate) fn record(&self, key: &Key, record: &Record) {
        self.books().record(key, record);
    }

    /// Counts an entry that was listed, unless another state of it was counted since `mark`.
    pub(crate) fn record_listed(&self, key: &Key, record: &Record, mark: u64) {
        let mut books = self.books();
        match books.entries.get_mut(key) {
            Some(entry) if entry.number > mark => {}
            // Seen: it is not forgotten with those that are gone.
            _ => books.record(key, record),
        }
    }

    pub(crate) fn forget(&self, key: &Key) {
        self.books().forget(key);
    }

    /// Forgets what was counted in a namespace up to `mark`.
    pub(crate) fn forget_all(&self, namespace: &Namespace, mark: u64) {
        self.books().forget_where(|key, entry| entry.number <= mark && namespace.contains(key));
    }

    /// Where the count stands: what is listed from now on is counted after it.
    pub(crate) fn mark(&self) -> u64 {
        self.books().last
    }

    /// Forgets what was counted before `mark` and not since: a complete walk has not met it.
    pub(crate) fn forget_unseen(&self, mark: u64) {
        self.books().forget_where(|_, entry| entry.number <= mark);
    }

    /// The next to go while the store is over its bounds.
    pub(crate) fn over(&self, now: Timestamp) -> Option<Victim> {
        let books = self.books();
        let is_over =
            books.entries.len() as u64 > self.bounds.max_entries || books.bytes > self.bounds.max_bytes;
        if !is_over {
            return None;
        }
        books.expired(now).or_else(|| {
            let (_, key) = books.by_age.first_key_value()?;
            books.victim(key, EvictionCause::Capacity)
        })
    }

    /// The next that has expired.
    pub(crate) fn expired(&self, now: Timestamp) -> Option<Victim> {
        self.books().expired(now)
    }

    /// How many entries and bytes are counted.
    pub(crate) fn totals(&self) -> (u64, u64) {
        let books = self.books();
        (books.entries.len() as u64, books.bytes)
    }

    pub(crate) fn bounds(&self) -> &Bounds {
        &self.bounds
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Books {
    fn record(&mut self, key: &Key, record: &Record) {
        self.forget(key);
        self.last += 1;
        let entry = Entry {
            version: record.version,
            written: record.written,
            deadline: record.deadline,
            bytes: Bounds::charge(record.size, record.is_inline),
            number: self.last,
        };
        self.bytes = self.bytes.saturating_add(entry.bytes);
        self.by_age.insert((entry.written, entry.number), key.clone());
        if entry.deadline != Timestamp::MAX {
            self.by_end.insert((entry.deadline, entry.number), key.clone());
        }
        self.entries.insert(key.clone(), entry);
    }

    fn forget(&mut self, key: &Key) {
        if let Some(entry) = self.entries.remove(key) {
            self.by_age.remove(&(entry.written, entry.number));
            self.by_end.remove(&(entry.deadline, entry.number));
            self.bytes = self.bytes.saturating_sub(entry.bytes);
        }
    }

    fn forget_where(&mut self, is_gone: impl Fn(&Key, &Entry) -> bool) {
        let gone: Vec<_> = self
            .entries
            .iter()
            .filter(|(key, entry)| is_gone(key, entry))
            .map(|(key, _)| key.clone())
            .collect();
        for key in gone {
            self.forget(&key);
        }
    }

    fn expired(&self, now: Timestamp) -> Option<Victim> {
        let ((deadline, _), key) = self.by_end.first_key_value()?;
        if *deadline <= now { self.victim(key, EvictionCause::Expired) } else { None }
    }

    fn victim(&self, key: &Key, cause: EvictionCause) -> Option<Victim> {
        let entry = self.entries.get(key)?;
        Some(Victim { key: key.clone(), version: entry.version, cause })
    }
}
