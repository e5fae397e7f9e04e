//! Counters that every thread can bump without waiting for another.

use std::time::Duration;

use super::stripe;
use crate::sync::{AtomicU64, Ordering};

/// What a cache has counted since it was built, its child namespaces included.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
/// # fn main() { example(|cache| async move {
/// cache.set("a", 1_u8).await?;
/// cache.get::<u8>("a").await?;
/// cache.get::<u8>("b").await?;
/// let stats = cache.stats();
/// assert_eq!((stats.hits, stats.misses), (1, 1));
/// assert_eq!(stats.hit_ratio(), Some(0.5));
/// # Ok(()) }) }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Reads that found a fresh value.
    pub hits: u64,
    /// Reads that did not, unless a stale value was served to them at once.
    pub misses: u64,
    /// Loaders that ran to a value.
    pub loads: u64,
    /// Loaders that failed, panicked or ran out of time.
    pub load_errors: u64,
    /// Callers who joined a running load.
    pub joined: u64,
    /// Loaded values that were not kept.
    pub not_kept: u64,
    /// Failed store operations, also where the cache went on without them.
    pub store_errors: u64,
    /// Entries that did not decode.
    pub undecodable: u64,
    /// Entries the store let go because it was full.
    pub evictions: u64,
    /// Stale values served, because a load ran, failed or was slow. One served at once is counted here alone, neither as a hit
    /// nor as a miss; one served in place of a load that was waited for is a miss as well.
    pub stale: u64,
    /// Entries that were not served because a tag or namespace of theirs had no stamp any more: it was invalidated, or the
    /// store let it go.
    pub stamps_missing: u64,
    /// Keys and namespaces that this process does not serve from the store now, because a write or an invalidation of theirs
    /// failed; they are replayed in the background. Not a count of what happened: it falls back to 0.
    pub in_doubt: u64,
    /// [Blocking loaders](crate::Cache::get_or_load_blocking) that run now, those included that nobody waits for any more.
    pub detached: u64,
    /// What the hits would have cost to load.
    pub time_saved: Duration,
}

impl Stats {
    /// Hits among hits and misses, from 0 to 1; `None` before the first of them. What is served [stale](Self::stale) at once is
    /// neither.
    ///
    /// ```
    /// assert_eq!(larder_core::Stats::default().hit_ratio(), None);
    /// ```
    pub fn hit_ratio(&self) -> Option<f64> {
        let reads = self.hits + self.misses;
        #[expect(clippy::cast_precision_loss, reason = "a ratio needs no more than 52 bits")]
        (reads > 0).then(|| self.hits as f64 / reads as f64)
    }
}

/// One counter of [`Stats`].
#[derive(Clone, Copy, Debug)]
pub(crate) enum Counter {
    Hits,
    Misses,
    Loads,
    LoadErrors,
    Joined,
    NotKept,
    StoreErrors,
    Undecodable,
    Stale,
    StampsMissing,
    /// In microseconds, as entries know what they cost: in nanoseconds a busy cache of slow loads would count past 64 bits
    /// within days.
    SavedMicros,
}

const COUNTERS: usize = Counter::SavedMicros as usize + 1;

/// The counters, once per stripe. A thread writes to a stripe of its own, so that on a hit no two threads write to one
/// cache line (128 bytes: processors fetch lines in pairs), and counting needs no atomic addition.
pub(crate) struct Counters {
    stripes: Box<[Stripe]>,
}

#[derive(Default)]
#[repr(align(128))]
struct Stripe([AtomicU64; COUNTERS]);

impl Default for Counters {
    fn default() -> Self {
        Self { stripes: (0..stripe::STRIPES).map(|_| Stripe::default()).collect() }
    }
}

impl Counters {
    #[inline]
    pub(crate) fn add(&self, counter: Counter, amount: u64) {
        let stripe = stripe::of_this_thread();
        let count = &self.stripes[stripe].0[counter as usize];
        if stripe == stripe::SHARED {
            count.fetch_add(amount, Ordering::Relaxed);
        } else {
            count.store(count.load(Ordering::Relaxed).wrapping_add(amount), Ordering::Relaxed);
        }
    }

    pub(crate) fn sum(&self, counter: Counter) -> u64 {
        let counts = self.stripes.iter().map(|stripe| stripe.0[counter as usize].load(Ordering::Relaxed));
        counts.fold(0, u64::saturating_add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_count_is_lost_between_many_threads() {
        // More than there are stripes, all alive at one time, so that many share the last.
        const THREADS: usize = 2 * stripe::STRIPES;
        const EACH: u64 = 20_000;
        let (counters, together) = (Counters::default(), std::sync::Barrier::new(THREADS));
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    counters.add(Counter::Misses, 1);
                    together.wait();
                    (0..EACH).for_each(|_| counters.add(Counter::Hits, 1));
                });
            }
        });
        assert_eq!(counters.sum(Counter::Hits), THREADS as u64 * EACH);
        assert_eq!(counters.sum(Counter::Misses), THREADS as u64);
    }
}
