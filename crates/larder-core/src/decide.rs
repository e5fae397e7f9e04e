//! Freshness, decided in one place.

use std::time::Duration;

use crate::{EarlyRefresh, EntryMeta, Timestamp, random::SMALLEST_UNIT};

/// What may be done with an entry that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Serve it.
    Fresh,
    /// Serve it, and load it again behind.
    FreshRefresh,
    /// It is stale: serve it at once, and load it again behind.
    Revalidate,
    /// It is stale: load it again first, and serve it only where that fails or is slow.
    StaleOnError,
    /// Never serve it.
    Expired,
}

/// Decides from the time, the entry, what was asked for, and chance (over 0 and at most 1, asked for where it matters): no
/// clock, no I/O, so that it can be tested exhaustively.
#[inline]
pub(crate) fn decide(
    now: Timestamp,
    entry: &EntryMeta,
    early: EarlyRefresh,
    random: impl FnOnce() -> f64,
) -> Decision {
    if now >= entry.stale_at || now >= entry.expires_at {
        aged(now, entry)
    } else if !matches!(early, EarlyRefresh::Never) && is_due(now, entry, early, random) {
        Decision::FreshRefresh
    } else {
        Decision::Fresh
    }
}

/// Whether the entry may be served to a caller who does not load.
#[inline]
pub(crate) fn is_fresh(now: Timestamp, entry: &EntryMeta) -> bool {
    decide(now, entry, EarlyRefresh::Never, || 1.0) == Decision::Fresh
}

/// Decides on an entry that is not fresh.
fn aged(now: Timestamp, entry: &EntryMeta) -> Decision {
    if now >= entry.expires_at {
        Decision::Expired
    } else if now < entry.revalidate_until() {
        Decision::Revalidate
    } else {
        Decision::StaleOnError
    }
}

/// Whether a fresh entry is loaded again now.
fn is_due(now: Timestamp, entry: &EntryMeta, early: EarlyRefresh, random: impl FnOnce() -> f64) -> bool {
    let ends = entry.stale_at();
    // What never ends needs no other in time; a clock behind the writer's says nothing about the entry's age.
    if ends == Timestamp::MAX || now < entry.created {
        return false;
    }
    match early {
        EarlyRefresh::Never => false,
        EarlyRefresh::After(fraction) => {
            let fresh = ends.saturating_since(entry.created);
            let after = Duration::try_from_secs_f64(fresh.as_secs_f64() * fraction);
            now.saturating_since(entry.created) >= after.unwrap_or(fresh)
        }
        EarlyRefresh::XFetch { beta } => {
            let left = ends.saturating_since(now).as_secs_f64();
            let scale = entry.cost().as_secs_f64() * beta;
            // Most reads are so early that no chance would do: they draw none.
            scale * -SMALLEST_UNIT.ln() >= left && scale * -random().clamp(SMALLEST_UNIT, 1.0).ln() >= left
        }
    }
}

#[cfg(test)]
mod tests;
