//! One lock for each part of the keys.

use std::{
    hash::BuildHasher,
    sync::{Mutex, MutexGuard, PoisonError},
};

use foldhash::quality::RandomState;
use larder_core::Key;

const STRIPES: usize = 64;

/// What makes a read followed by a write of one key exact against other writes of it. Readers take none of these.
#[derive(Debug)]
pub(crate) struct Locks {
    hasher: RandomState,
    stripes: [Mutex<()>; STRIPES],
}

impl Locks {
    pub(crate) fn new() -> Self {
        Self { hasher: RandomState::default(), stripes: [const { Mutex::new(()) }; STRIPES] }
    }

    /// Held until no write of `key` by another thread can come between. Never hold two.
    pub(crate) fn lock(&self, key: &Key) -> MutexGuard<'_, ()> {
        let stripe =
            usize::try_from(self.hasher.hash_one(key) % STRIPES as u64).expect("under the number of stripes");
        // A lock guards no data of its own: a user's `Drop` that panicked under it left nothing half done.
        self.stripes[stripe].lock().unwrap_or_else(PoisonError::into_inner)
    }
}
