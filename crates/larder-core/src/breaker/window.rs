//! How many of the last calls failed.

use std::time::Duration;

use crate::{
    Timestamp,
    sync::{AtomicU64, Ordering},
};

/// Into how many parts a window falls: what leaves it leaves part by part.
const PARTS: usize = 10;

/// Calls and failures within a rolling window, counted without a lock.
///
/// A part is one word: the low bits of its number, its calls, its failures. The first call of a new round finds the number
/// of an older part there, and starts it anew.
#[derive(Debug)]
pub(super) struct Window {
    part_nanos: u64,
    /// The number of the last part in which anything was counted.
    newest: AtomicU64,
    parts: [AtomicU64; PARTS],
}

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) calls: u64,
    pub(super) failures: u64,
}

const BITS: u32 = 24;
const MASK: u64 = (1 << BITS) - 1;
const NUMBER_MASK: u64 = (1 << (64 - 2 * BITS)) - 1;

impl Window {
    pub(super) fn new(length: Duration) -> Self {
        let nanos = u64::try_from(length.as_nanos()).unwrap_or(u64::MAX);
        Self {
            part_nanos: (nanos / PARTS as u64).max(1),
            newest: AtomicU64::new(0),
            parts: Default::default(),
        }
    }

    /// Counts a call that began at `when`, unless it took so long that its part has left the window.
    pub(super) fn record(&self, when: Timestamp, failed: bool) {
        let number = self.number(when);
        let newest = self.newest.load(Ordering::Relaxed);
        if number > newest {
            self.newest.fetch_max(number, Ordering::Relaxed);
        } else if newest - number >= PARTS as u64 {
            return;
        }
        let part = self.part(number);
        let mut word = part.load(Ordering::Relaxed);
        loop {
            let old = unpack(word, number);
            let calls = (old.calls + 1).min(MASK);
            let failures = (old.failures + u64::from(failed)).min(MASK);
            let new = (number & NUMBER_MASK) << (2 * BITS) | calls << BITS | failures;
            match part.compare_exchange_weak(word, new, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return,
                Err(seen) => word = seen,
            }
        }
    }

    /// The calls that began within the window before `now`.
    pub(super) fn count(&self, now: Timestamp) -> Count {
        let newest = self.number(now);
        let mut sum = Count::default();
        for number in newest.saturating_sub(PARTS as u64 - 1)..=newest {
            let one = unpack(self.part(number).load(Ordering::Relaxed), number);
            sum.calls += one.calls;
            sum.failures += one.failures;
        }
        sum
    }

    pub(super) fn clear(&self) {
        for part in &self.parts {
            part.store(0, Ordering::Relaxed);
        }
    }

    fn part(&self, number: u64) -> &AtomicU64 {
        &self.parts[usize::try_from(number % PARTS as u64).expect("less than there are parts")]
    }

    fn number(&self, when: Timestamp) -> u64 {
        when.as_nanos() / self.part_nanos
    }
}

/// What a word holds for the part `number`: nothing, if it is of another.
fn unpack(word: u64, number: u64) -> Count {
    if word >> (2 * BITS) == number & NUMBER_MASK {
        Count { calls: word >> BITS & MASK, failures: word & MASK }
    } else {
        Count::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn a_call_counts_for_one_window_and_leaves_it_with_its_part() {
        let window = Window::new(Duration::from_secs(10));
        let at = |seconds: u64| Timestamp::from_nanos(1_000 * SECOND + seconds * SECOND);
        for second in 0..10 {
            window.record(at(second), second < 4);
        }
        assert_eq!(window.count(at(9)), Count { calls: 10, failures: 4 });
        assert_eq!(window.count(at(10)), Count { calls: 9, failures: 3 });
        assert_eq!(window.count(at(13)), Count { calls: 6, failures: 0 });
        assert_eq!(window.count(at(30)), Count::default());
        // A new round starts the part anew.
        window.record(at(10), true);
        assert_eq!(window.count(at(10)), Count { calls: 10, failures: 4 });
        window.clear();
        assert_eq!(window.count(at(10)), Count::default());
    }

    #[test]
    fn a_call_that_outlasted_the_window_takes_nothing_from_it() {
        let window = Window::new(Duration::from_secs(10));
        let at = |second: u64| Timestamp::from_nanos(second * SECOND);
        window.record(at(1_010), true);
        window.record(at(1_019), true);
        for began in [1_000, 1_009, 990, 0] {
            window.record(at(began), false);
        }
        assert_eq!(window.count(at(1_019)), Count { calls: 2, failures: 2 });
        window.record(at(1_011), false);
        assert_eq!(window.count(at(1_019)), Count { calls: 3, failures: 2 });
    }

    #[test]
    fn a_part_is_full_at_its_limit_and_does_not_spill() {
        let window = Window::new(Duration::from_secs(10));
        let when = Timestamp::from_nanos(5 * SECOND);
        window.parts[5].store(5 << (2 * BITS) | MASK << BITS | (MASK - 1), Ordering::Relaxed);
        window.record(when, true);
        window.record(when, true);
        assert_eq!(window.count(when), Count { calls: MASK, failures: MASK });
    }

    #[test]
    fn no_count_is_lost_between_threads() {
        let window = Window::new(Duration::from_secs(10));
        let when = Timestamp::from_nanos(7 * SECOND);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..5_000).for_each(|n| window.record(when, n % 2 == 0)));
            }
        });
        assert_eq!(window.count(when), Count { calls: 20_000, failures: 10_000 });
    }
}
