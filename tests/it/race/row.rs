//! The source of truth: a row in memory, and what is known to be acknowledged of it.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};

/// A row that a writer changes, in versions 1, 2, 3, ..
#[derive(Debug, Default)]
pub(super) struct Row {
    version: AtomicU64,
    /// The version whose invalidation was last acknowledged.
    acknowledged: AtomicU64,
}

/// A reader saw an older row than it may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Violation {
    pub(super) key: String,
    pub(super) acknowledged: u64,
    pub(super) seen: u64,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: saw version {} after {} was acknowledged", self.key, self.seen, self.acknowledged)
    }
}

impl Row {
    /// Commits the next version.
    pub(super) fn write(&self) -> u64 {
        self.version.fetch_add(1, Ordering::SeqCst) + 1
    }

    pub(super) fn read(&self) -> u64 {
        self.version.load(Ordering::SeqCst)
    }

    /// The invalidation that followed `version` returned `Ok`.
    pub(super) fn acknowledge(&self, version: u64) {
        self.acknowledged.fetch_max(version, Ordering::SeqCst);
    }

    /// What a reader that starts now may not be older than.
    pub(super) fn floor(&self) -> u64 {
        self.acknowledged.load(Ordering::SeqCst)
    }

    pub(super) fn check(key: &str, acknowledged: u64, seen: u64) -> Result<(), Violation> {
        if seen >= acknowledged { Ok(()) } else { Err(Violation { key: key.to_owned(), acknowledged, seen }) }
    }
}
