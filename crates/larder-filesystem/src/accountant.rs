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
    /// Wide enough for whatever a damaged index says: a sum cut off would stay wrong for good.
    bytes: u128,
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
        let is_over = books.entries.len() as u64 > self.bounds.max_entries
            || books.bytes > u128::from(self.bounds.max_bytes);
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
        (books.entries.len() as u64, u64::try_from(books.bytes).unwrap_or(u64::MAX))
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
        self.bytes += u128::from(entry.bytes);
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
            self.bytes -= u128::from(entry.bytes);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_large_an_entry_says_it_is_the_sum_is_right_again_without_it() {
        let accountant = Accountant::new(Bounds { max_entries: 100, max_bytes: 1 << 20 });
        let key = |name| Key::new(&Namespace::root(), name).unwrap();
        let of_size = Record::of_size;
        accountant.record(&key("small"), &of_size(10));
        let before = accountant.totals();
        for name in ["a", "b"] {
            accountant.record(&key(name), &of_size(u64::MAX));
        }
        assert_eq!(accountant.totals(), (3, u64::MAX));
        accountant.forget(&key("a"));
        accountant.forget(&key("b"));
        assert_eq!(accountant.totals(), before);
    }

    #[test]
    fn what_was_listed_before_it_was_written_anew_counts_for_nothing() {
        let accountant = Accountant::new(Bounds { max_entries: 100, max_bytes: 1 << 30 });
        let key = Key::new(&Namespace::root(), "k").unwrap();
        let mark = accountant.mark();
        accountant.record(&key, &Record::of_size(100_000));
        let written = accountant.totals();
        accountant.record_listed(&key, &Record::of_size(1), mark);
        accountant.forget_unseen(mark);
        accountant.forget_all(&Namespace::root(), mark);
        assert_eq!(accountant.totals(), written);
        let mark = accountant.mark();
        accountant.record_listed(&key, &Record::of_size(1), mark);
        assert!(accountant.totals() < written);
        accountant.forget_all(&Namespace::root(), accountant.mark());
        assert_eq!(accountant.totals(), (0, 0));
    }
}
