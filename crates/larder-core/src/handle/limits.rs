//! How long calls to a store may take, as the caches over it are set.

use std::time::Duration;

use crate::sync::{AtomicU64, Ordering};

/// The operation timeouts of the caches over one store: the decorators below see a call end by being dropped, and have to
/// know whether that was its timeout.
#[derive(Debug)]
pub(crate) struct Limits {
    shortest: AtomicU64,
    longest: AtomicU64,
}

const NONE: u64 = 0;

impl Default for Limits {
    fn default() -> Self {
        Self { shortest: AtomicU64::new(NONE), longest: AtomicU64::new(NONE) }
    }
}

impl Limits {
    /// A cache gives up its operations after this long.
    pub(crate) fn add(&self, limit: Duration) {
        let nanos = u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX).max(1);
        // The closure always has an answer.
        let _ = self.shortest.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |known| {
            Some(if known == NONE { nanos } else { known.min(nanos) })
        });
        self.longest.fetch_max(nanos, Ordering::Relaxed);
    }

    /// After how long a call counts as having run out of time: slightly under the shortest limit, half a second where there
    /// is none.
    pub(crate) fn late(&self) -> Duration {
        match self.shortest.load(Ordering::Relaxed) {
            NONE => Duration::from_millis(468),
            nanos => Duration::from_nanos(nanos - nanos / 16),
        }
    }

    /// After how long no caller waits any more: half a minute where no cache says.
    pub(crate) fn longest(&self) -> Duration {
        match self.longest.load(Ordering::Relaxed) {
            NONE => Duration::from_secs(30),
            nanos => Duration::from_nanos(nanos),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shortest_limit_is_when_a_call_is_late_and_the_longest_when_nobody_waits() {
        let limits = Limits::default();
        assert_eq!((limits.late().as_millis(), limits.longest().as_secs()), (468, 30));
        limits.add(Duration::from_millis(160));
        assert_eq!((limits.late().as_millis(), limits.longest().as_millis()), (150, 160));
        limits.add(Duration::from_secs(2));
        limits.add(Duration::from_secs(1));
        assert_eq!((limits.late().as_millis(), limits.longest().as_millis()), (150, 2_000));
        limits.add(Duration::MAX);
        assert_eq!(limits.longest(), Duration::from_nanos(u64::MAX));
    }
}
