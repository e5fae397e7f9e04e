//! What a call cost its caller, in timeouts.

use std::time::Duration;

/// How long calls lasted, as a part of how long a call may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Spent(u64);

impl Spent {
    pub(super) const NOTHING: Self = Self(0);
    /// All the time that a call has.
    pub(super) const TIMEOUT: Self = Self(1 << 16);

    /// A call that lasted for `took` of `limit`: at most a timeout, however long its failure kept it.
    pub(super) fn of(took: Duration, limit: Duration) -> Self {
        let parts = took.as_nanos().saturating_mul(Self::TIMEOUT.0.into()) / limit.as_nanos().max(1);
        Self(u64::try_from(parts).unwrap_or(u64::MAX).min(Self::TIMEOUT.0))
    }

    pub(super) fn timeouts(count: u32) -> Self {
        Self(u64::from(count) * Self::TIMEOUT.0)
    }

    pub(super) fn from_parts(parts: u64) -> Self {
        Self(parts)
    }

    pub(super) fn parts(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_costs_the_part_of_its_time_that_it_took_and_never_more() {
        let of = |took: u64| Spent::of(Duration::from_millis(took), Duration::from_millis(400));
        assert_eq!(of(0), Spent::NOTHING);
        assert_eq!(of(100).parts() * 4, Spent::TIMEOUT.parts());
        assert!(of(399) < Spent::TIMEOUT);
        assert_eq!((of(400), of(90_000)), (Spent::TIMEOUT, Spent::TIMEOUT));
        assert_eq!(Spent::of(Duration::MAX, Duration::ZERO), Spent::TIMEOUT);
        assert_eq!(Spent::of(Duration::from_secs(1), Duration::MAX), Spent::NOTHING);
        assert_eq!(Spent::timeouts(u32::MAX).parts() / Spent::TIMEOUT.parts(), u64::from(u32::MAX));
    }
}
