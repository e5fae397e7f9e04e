//! Leases of this process that it will not use, though they may stand in the store.

use std::collections::HashMap;

use super::Nonce;
use crate::{
    Timestamp,
    sync::{AtomicUsize, Mutex, MutexGuard, Ordering},
};

/// The most that are remembered: one more is waited for, as is another process's.
const MAX: usize = 10_000;

/// The marks of leases that nobody holds any more: the answer to taking or giving back one was lost, say. Without these a
/// process would wait for itself, for as long as such a lease lasts.
#[derive(Default)]
pub(crate) struct Abandoned {
    /// So that the common case, none, costs one load.
    count: AtomicUsize,
    /// Until when each may be seen.
    nonces: Mutex<HashMap<Nonce, Timestamp>>,
}

impl Abandoned {
    /// The lease is not used from now on, and lasts no longer than `until`.
    pub(crate) fn add(&self, nonce: Nonce, now: Timestamp, until: Timestamp) {
        let mut nonces = self.lock();
        if nonces.len() >= MAX {
            nonces.retain(|_, until| *until > now);
        }
        if nonces.len() < MAX {
            nonces.insert(nonce, until);
        }
        self.count.store(nonces.len(), Ordering::Release);
    }

    pub(crate) fn has(&self, nonce: &Nonce) -> bool {
        self.count.load(Ordering::Acquire) > 0 && self.lock().contains_key(nonce)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Nonce, Timestamp>> {
        self.nonces.lock().expect("no code panics while it holds these")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_are_over_make_room() {
        let (abandoned, at) = (Abandoned::default(), Timestamp::from_nanos);
        let nonce = |i: usize| (i as u128).to_be_bytes();
        assert!(!abandoned.has(&nonce(0)));
        for i in 0..=MAX {
            abandoned.add(nonce(i), at(0), at(10));
        }
        assert!(abandoned.has(&nonce(0)) && !abandoned.has(&nonce(MAX)));
        abandoned.add(nonce(MAX), at(10), at(20));
        assert!(!abandoned.has(&nonce(0)) && abandoned.has(&nonce(MAX)));
    }
}
