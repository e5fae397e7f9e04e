//! Where randomness comes from: one seam, so that tests repeat.

use std::{cell::Cell, fmt};

use crate::sync::{AtomicU64, Ordering};

/// Where randomness comes from: marks, nonces, jitter, early refreshes.
///
/// [`SystemRandom`] for programs, [`SeededRandom`] for tests that repeat.
///
/// ```
/// use larder_core::{Random, SeededRandom};
///
/// #[derive(Debug)]
/// struct Ones;
/// impl Random for Ones {
///     fn fill(&self, bytes: &mut [u8]) {
///         bytes.fill(0xff);
///     }
/// }
/// assert_eq!(Ones.unit(), 1.0);
/// assert_eq!(Ones.nonce(), [0xff; 16]);
/// ```
pub trait Random: fmt::Debug + Send + Sync + 'static {
    /// Fills `bytes`. What marks and nonces are made of: two processes must not draw the same.
    ///
    /// ```
    /// use larder_core::{Random, SystemRandom};
    /// let mut bytes = [0; 32];
    /// SystemRandom.fill(&mut bytes);
    /// assert_ne!(bytes, [0; 32]);
    /// ```
    fn fill(&self, bytes: &mut [u8]);

    /// A number from the uniform distribution over (0, 1], one of 2^53. On the path of hits where entries are refreshed
    /// early by chance, so it should be fast; it need not be unpredictable.
    ///
    /// ```
    /// use larder_core::{Random, SystemRandom};
    /// let unit = SystemRandom.unit();
    /// assert!(unit > 0.0 && unit <= 1.0);
    /// ```
    fn unit(&self) -> f64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        unit(u64::from_le_bytes(bytes))
    }

    /// Sixteen random bytes.
    ///
    /// ```
    /// use larder_core::{Random, SystemRandom};
    /// assert_ne!(SystemRandom.nonce(), SystemRandom.nonce());
    /// ```
    fn nonce(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        self.fill(&mut bytes);
        bytes
    }
}

/// The machine's randomness; [`unit`](Random::unit) from a small generator of the thread, seeded by it.
///
/// Panics where the system has no randomness to give, which no supported system lacks once it has started.
///
/// ```
/// use larder_core::{Random, SystemRandom};
/// assert_ne!(SystemRandom.nonce(), [0; 16]);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    #[expect(clippy::disallowed_methods, reason = "this is the seam")]
    fn fill(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("a system that runs programs has randomness");
    }

    #[inline]
    fn unit(&self) -> f64 {
        thread_local! {
            static STATE: Cell<u64> = Cell::new({
                let mut seed = [0; 8];
                SystemRandom.fill(&mut seed);
                u64::from_le_bytes(seed)
            });
        }
        STATE.with(|state| {
            let next = state.get().wrapping_add(STEP);
            state.set(next);
            unit(mix(next))
        })
    }
}

/// Randomness that repeats: for tests, never for several processes over one store.
///
/// ```
/// use larder_core::{Random, SeededRandom};
/// let (one, other) = (SeededRandom::new(7), SeededRandom::new(7));
/// assert_eq!(one.nonce(), other.nonce());
/// assert_ne!(one.nonce(), SeededRandom::new(8).nonce());
/// ```
#[derive(Debug)]
pub struct SeededRandom(AtomicU64);

impl SeededRandom {
    /// Randomness that depends on `seed` and on how much was drawn, and on nothing else.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use larder_core::{Random, SeededRandom};
    /// let random: Arc<dyn Random> = Arc::new(SeededRandom::new(42));
    /// ```
    pub fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    fn next(&self) -> u64 {
        mix(self.0.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP))
    }
}

impl Random for SeededRandom {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.next().to_le_bytes()[..chunk.len()]);
        }
    }
}

// SplitMix64 (Steele, Lea, Flood 2014): a counter, well mixed.

const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

#[inline]
const fn mix(mut state: u64) -> u64 {
    state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}

/// The smallest number that [`unit`] gives: 2^-53.
pub(crate) const SMALLEST_UNIT: f64 = f64::EPSILON / 2.0;

#[inline]
#[expect(clippy::cast_precision_loss, reason = "at most 2^53, which is exact")]
const fn unit(random: u64) -> f64 {
    ((random >> 11) + 1) as f64 * SMALLEST_UNIT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_over_zero_and_at_most_one() {
        assert!((unit(0) - SMALLEST_UNIT).abs() < f64::EPSILON * SMALLEST_UNIT);
        assert!((unit(u64::MAX) - 1.0).abs() < f64::EPSILON);
    }

    #[test]
    fn units_are_spread_evenly() {
        for random in [&SeededRandom::new(1) as &dyn Random, &SystemRandom] {
            let mut tenths = [0_u32; 10];
            for _ in 0..100_000 {
                let unit = random.unit();
                assert!(unit > 0.0 && unit <= 1.0);
                let tenth = (1..10_u8).take_while(|tenth| unit > f64::from(*tenth) / 10.0).count();
                tenths[tenth] += 1;
            }
            // A standard deviation is 95.
            assert!(tenths.iter().all(|count| (9_000..11_000).contains(count)), "{tenths:?}");
        }
    }

    #[test]
    fn threads_draw_different_units() {
        let draw = || std::thread::spawn(|| SystemRandom.unit().to_bits()).join().unwrap();
        assert_ne!(draw(), draw());
    }

    #[test]
    fn a_seed_repeats_and_its_bytes_differ() {
        let draw = |seed| {
            let (random, mut bytes) = (SeededRandom::new(seed), [0; 61]);
            random.fill(&mut bytes);
            (bytes, random.unit().to_bits())
        };
        assert_eq!(draw(3), draw(3));
        assert_ne!(draw(3).0, draw(4).0);
        let bytes = draw(3).0;
        assert!(bytes.chunks_exact(8).collect::<std::collections::HashSet<_>>().len() == 7);
    }
}
