//! What the engine keeps under a key.

use larder_core::{Timestamp, Value};

/// A value with what the store must know about it. Cloned on every hit, so it stays small.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) value: Value,
    /// When it ends by the store's clock; `Timestamp::MAX` is never.
    pub(crate) deadline: Timestamp,
    pub(crate) version: u64,
    /// What it is charged against the byte bound, found once, when it was written.
    pub(crate) weight: u32,
}

impl Entry {
    pub(crate) fn is_live(&self, now: Timestamp) -> bool {
        self.deadline > now
    }
}
