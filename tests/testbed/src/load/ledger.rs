//! What each key may answer: the sequence numbers that were handed out, and what the store said of each.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use larder_core::ErrorKind;

use super::content;

/// What became of a write, as far as its caller knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Done,
    /// The store said that it had no effect.
    Refused,
    /// It may have happened, or may still happen.
    Unknown,
}

impl Fate {
    pub(super) fn of(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Ambiguous | ErrorKind::Timeout => Self::Unknown,
            _ => Self::Refused,
        }
    }
}

/// How an answer is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Lie {
    /// It is another key's value.
    OtherKey,
    /// It is no value that was ever written, or pieces of several.
    Torn,
    /// It is older than an acknowledged write or delete.
    Stale,
    /// It was written by a call of which the store said that it had no effect.
    Refused,
    /// A counter is above the number of increments that may have run.
    TooMany,
}

/// A wrong answer.
#[derive(Clone, Debug)]
pub struct Wrong {
    lie: Lie,
    what: String,
}

impl Wrong {
    fn new(lie: Lie, what: String) -> Self {
        Self { lie, what }
    }

    /// Of which kind.
    pub fn lie(&self) -> Lie {
        self.lie
    }

    /// The key and the numbers.
    pub fn what(&self) -> &str {
        &self.what
    }
}

/// The history of one key. One task writes it, any may read.
#[derive(Debug, Default)]
struct Page {
    issued: u64,
    /// The newest acknowledged write or delete.
    floor: u64,
    unknown: BTreeSet<u64>,
    refused: BTreeSet<u64>,
    /// Increments that ran or may have.
    increments: i64,
}

/// All keys' histories.
#[derive(Debug)]
pub(super) struct Ledger(Vec<Mutex<Page>>);

impl Ledger {
    pub(super) fn new(keys: usize) -> Self {
        Self((0..keys).map(|_| Mutex::default()).collect())
    }

    /// The number of the next write or delete.
    pub(super) fn issue(&self, key: usize) -> u64 {
        let mut page = self.page(key);
        page.issued += 1;
        page.issued
    }

    pub(super) fn settle(&self, key: usize, sequence: u64, fate: Fate) {
        let mut page = self.page(key);
        match fate {
            Fate::Done => page.floor = page.floor.max(sequence),
            Fate::Refused => drop(page.refused.insert(sequence)),
            Fate::Unknown => drop(page.unknown.insert(sequence)),
        }
    }

    /// Taken before a read: what it may not be older than.
    pub(super) fn floor(&self, key: usize) -> u64 {
        self.page(key).floor
    }

    /// Judges the bytes that a read brought.
    pub(super) fn judge(&self, key: usize, name: &str, floor: u64, bytes: &[u8]) -> Result<(), Wrong> {
        let Some(content) = content::read(bytes) else {
            return Err(Wrong::new(
                Lie::Torn,
                format!("{name}: {} bytes that are no whole value", bytes.len()),
            ));
        };
        if content.key != name {
            return Err(Wrong::new(
                Lie::OtherKey,
                format!("{name}: answered with the value of {}", content.key),
            ));
        }
        let page = self.page(key);
        let sequence = content.sequence;
        if sequence > page.issued {
            return Err(Wrong::new(
                Lie::Torn,
                format!("{name}: write {sequence} of {} was never made", page.issued),
            ));
        }
        if page.refused.contains(&sequence) {
            return Err(Wrong::new(
                Lie::Refused,
                format!("{name}: write {sequence} appeared, and was to have had no effect"),
            ));
        }
        if sequence < floor && !page.unknown.contains(&sequence) {
            return Err(Wrong::new(
                Lie::Stale,
                format!("{name}: write {sequence}, after {floor} was acknowledged"),
            ));
        }
        Ok(())
    }

    /// Taken before an increment.
    pub(super) fn will_increment(&self, key: usize) {
        self.page(key).increments += 1;
    }

    /// An increment that the store refused did not run.
    pub(super) fn was_refused(&self, key: usize) {
        self.page(key).increments -= 1;
    }

    /// A counter may be lost, but never be ahead.
    pub(super) fn judge_count(&self, key: usize, name: &str, count: i64) -> Result<(), Wrong> {
        let most = self.page(key).increments;
        if (1..=most).contains(&count) {
            return Ok(());
        }
        Err(Wrong::new(Lie::TooMany, format!("{name}: counted {count}, and at most {most} increments ran")))
    }

    fn page(&self, key: usize) -> MutexGuard<'_, Page> {
        self.0[key].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(ledger: &Ledger, floor: u64, sequence: u64) -> Option<Lie> {
        ledger.judge(0, "k", floor, &content::make("k", sequence, 0)).err().map(|wrong| wrong.lie)
    }

    #[test]
    fn what_a_key_may_answer_follows_from_what_the_store_said() {
        let ledger = Ledger::new(1);
        for fate in [Fate::Done, Fate::Unknown, Fate::Refused, Fate::Done] {
            let sequence = ledger.issue(0);
            ledger.settle(0, sequence, fate);
        }
        let under_way = ledger.issue(0);
        let floor = ledger.floor(0);
        assert_eq!((floor, under_way), (4, 5));
        assert_eq!(judge(&ledger, floor, 4), None);
        assert_eq!(judge(&ledger, floor, 5), None, "it may just have been written");
        assert_eq!(judge(&ledger, floor, 2), None, "it may appear late");
        assert_eq!(judge(&ledger, floor, 1), Some(Lie::Stale));
        assert_eq!(judge(&ledger, 1, 1), None, "the read began before the others were acknowledged");
        assert_eq!(judge(&ledger, floor, 3), Some(Lie::Refused));
        assert_eq!(judge(&ledger, floor, 6), Some(Lie::Torn));
        let other = ledger.judge(0, "k", 0, &content::make("l", 1, 0));
        assert_eq!(other.unwrap_err().lie, Lie::OtherKey);
    }

    #[test]
    fn counters_may_fall_behind_but_not_get_ahead() {
        let ledger = Ledger::new(1);
        ledger.will_increment(0);
        ledger.will_increment(0);
        assert!(ledger.judge_count(0, "c", 2).is_ok());
        assert!(ledger.judge_count(0, "c", 1).is_ok());
        ledger.was_refused(0);
        assert_eq!(ledger.judge_count(0, "c", 2).unwrap_err().lie, Lie::TooMany);
        assert_eq!(ledger.judge_count(0, "c", 0).unwrap_err().lie, Lie::TooMany);
    }
}
