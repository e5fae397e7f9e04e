//! Letting entries go: those over the bounds, and those that have expired.

use larder_core::{EvictionCause, Result};

use crate::{
    accountant::Victim,
    engine::Engine,
    error::{self, Refusal},
};

/// How many entries one write lets go at most: it brings in one, so the store shrinks.
const PER_WRITE: usize = 4;

impl Engine {
    /// Brings the store towards its bounds, after a write and without its lock.
    pub(crate) fn make_room(&self) {
        for _ in 0..PER_WRITE {
            let Some(victim) = self.accountant.over(self.clock.now()) else { return };
            // The write is done and stays done; the next one, and the sweep, meet what is wrong here themselves.
            if self.evict(&victim).is_err() {
                return;
            }
        }
    }

    /// Brings the store within its bounds, and takes out what has expired.
    pub(crate) fn evict_all(&self) -> Result<()> {
        loop {
            self.go_on().map_err(error::refused)?;
            let now = self.clock.now();
            let Some(victim) = self.accountant.expired(now).or_else(|| self.accountant.over(now)) else {
                return Ok(());
            };
            self.evict(&victim)?;
        }
    }

    /// Removes an entry unless it has changed since it was counted: then it is counted anew.
    fn evict(&self, victim: &Victim) -> Result<(), Refusal> {
        let place = self.layout.place(&victim.key);
        let _lock = self.locks.lock(place.slot)?;
        match self.layout.find(&place, &victim.key)? {
            Some(record) if record.version == victim.version => {
                self.layout.remove(&place, Some(&record))?;
                self.accountant.forget(&victim.key);
                self.report(victim.cause);
            }
            Some(other) => self.accountant.record(&victim.key, &other),
            None => self.accountant.forget(&victim.key),
        }
        Ok(())
    }

    fn report(&self, cause: EvictionCause) {
        if let Some(events) = self.events.get() {
            events.evicted(cause);
        }
    }
}
