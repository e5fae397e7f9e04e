//! Freshness, decided in one place.

use crate::{EntryMeta, Timestamp};

/// What may be done with an entry that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Serve it.
    Fresh,
    /// Serve it only while a reload runs, or if one fails.
    Stale,
    /// Never serve it.
    Expired,
}

/// Decides from the time and the entry alone: no clock, no I/O, so that it can be tested exhaustively.
#[inline]
pub(crate) fn decide(now: Timestamp, entry: &EntryMeta) -> Decision {
    if now >= entry.expires_at() {
        Decision::Expired
    } else if now >= entry.stale_at() {
        Decision::Stale
    } else {
        Decision::Fresh
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Expiry;

    proptest! {
        #[test]
        fn time_only_ages_an_entry(stale in any::<u64>(), gone in any::<u64>(), a in any::<u64>(), b in any::<u64>()) {
            let mut entry = EntryMeta::new(Timestamp::from_nanos(0), Expiry::Never);
            entry.stale_at = Timestamp::from_nanos(stale);
            entry.expires_at = Timestamp::from_nanos(gone);
            let age = |decision| match decision { Decision::Fresh => 0, Decision::Stale => 1, Decision::Expired => 2 };
            let (early, late) = (a.min(b), a.max(b));
            let before = age(decide(Timestamp::from_nanos(early), &entry));
            let after = age(decide(Timestamp::from_nanos(late), &entry));
            prop_assert!(before <= after);
            prop_assert_eq!(decide(Timestamp::from_nanos(a), &entry) == Decision::Expired, a >= gone);
            prop_assert_eq!(decide(Timestamp::from_nanos(a), &entry) == Decision::Fresh, a < gone && a < stale);
        }
    }
}
