//! Seeded randomness: the same seed makes the same choices.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// `SplitMix64` (Steele, Lea and Flood, 2014), shared between tasks.
#[derive(Debug)]
pub(crate) struct Random(AtomicU64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    /// A number below `bound`.
    pub(crate) fn below(&self, bound: u64) -> u64 {
        let mut z = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }

    /// Nothing, a few turns of the other tasks, or up to 2 ms: Tokio rounds up to the next of its milliseconds.
    pub(crate) async fn delay(&self) {
        match self.below(4) {
            0 => {}
            1 => {
                for _ in 0..self.below(6) {
                    tokio::task::yield_now().await;
                }
            }
            _ => tokio::time::sleep(Duration::from_micros(self.below(1_000))).await,
        }
    }
}
