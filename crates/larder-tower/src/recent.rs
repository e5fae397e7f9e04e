//! Which keys have lately turned out not to be cacheable.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use larder_core::Timestamp;

use crate::{Reason, key::KeyText};

/// A bounded memory of keys whose responses could not be stored, so that requests for them do not wait for each other. It
/// decides only about waiting: a response that can be stored after all is.
///
/// One slot per key, by the digits of its hash; a key that takes another's slot makes it forgotten, which costs one wait.
#[derive(Debug)]
pub(crate) struct Recent {
    /// Each: 32 bits of the key, and the second in which it is forgotten. Zero is empty.
    slots: Box<[AtomicU64]>,
}

const SLOTS: usize = 1024;
const REMEMBERED: Duration = Duration::from_secs(10);

impl Recent {
    pub(crate) fn new() -> Self {
        Self { slots: (0..SLOTS).map(|_| AtomicU64::new(0)).collect() }
    }

    /// Remembers a key, if the reason is likely to hold for the next response too.
    pub(crate) fn note(&self, key: &KeyText, reason: Reason, now: Timestamp) {
        if !lasts(reason) {
            return;
        }
        let (slot, mark) = self.slot(key);
        let until = now.saturating_add(REMEMBERED).as_nanos() / 1_000_000_000;
        slot.store(u64::from(mark) << 32 | (until & u64::from(u32::MAX)), Ordering::Relaxed);
    }

    pub(crate) fn contains(&self, key: &KeyText, now: Timestamp) -> bool {
        let (slot, mark) = self.slot(key);
        let found = slot.load(Ordering::Relaxed);
        let now = (now.as_nanos() / 1_000_000_000) & u64::from(u32::MAX);
        found >> 32 == u64::from(mark) && found & u64::from(u32::MAX) > now
    }

    fn slot(&self, key: &KeyText) -> (&AtomicU64, u32) {
        let number = |range| u32::from_str_radix(&key[range], 16).expect("keys are hexadecimal");
        (&self.slots[number(0..8) as usize % SLOTS], number(8..16))
    }
}

/// A failure passes, and after it waiting is better than all running at once.
fn lasts(reason: Reason) -> bool {
    !matches!(reason, Reason::Status | Reason::BodyError | Reason::Length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{Field, KeyHasher};

    fn key(text: &str) -> KeyText {
        let mut key = KeyHasher::new();
        key.field(Field::Path, text.as_bytes());
        key.finish()
    }

    #[test]
    fn a_key_is_remembered_for_ten_seconds() {
        let recent = Recent::new();
        let now = Timestamp::from_nanos(1_704_067_200_000_000_000);
        recent.note(&key("a"), Reason::SetCookie, now);
        recent.note(&key("b"), Reason::Status, now);
        assert!(recent.contains(&key("a"), now.saturating_add(Duration::from_secs(9))));
        assert!(!recent.contains(&key("a"), now.saturating_add(Duration::from_secs(10))));
        assert!(!recent.contains(&key("b"), now));
        assert!(!recent.contains(&key("c"), now));
    }
}
