//! What the background task does: it counts what is there, and removes what should not be.

use std::{
    io,
    time::{Duration, SystemTime},
};

use larder_core::{Error, Namespace, Result};

use crate::{
    engine::Engine,
    error::Refusal,
    layout::{Listed, Suspects, slot_of},
};

/// How old a file must be that no writer has come back to, where other processes may be writing.
const ABANDONED: Duration = Duration::from_mins(10);

impl Engine {
    /// The first look, right after opening.
    pub(crate) fn first_sweep(&self) -> Result<()> {
        // Where nobody else had the directory open, whatever is older than that moment was left by the dead.
        let cutoff = self.directory.alone_at.or_else(|| self.abandoned_before());
        self.sweep_before(cutoff).map_err(Error::from)?;
        self.evict_all()
    }

    /// Every later look.
    pub(crate) fn sweep(&self) -> Result<()> {
        self.sweep_before(self.abandoned_before()).map_err(Error::from)?;
        self.evict_all()
    }

    /// Removes what killed writers left half written, where nobody else has the directory open: at once, in `open`.
    pub(crate) fn tidy_alone(&self) -> io::Result<()> {
        match self.directory.alone_at {
            Some(cutoff) => self.layout.remove_temporary(cutoff),
            None => Ok(()),
        }
    }

    fn abandoned_before(&self) -> Option<SystemTime> {
        // Where nothing can be written, nothing can be removed either.
        self.directory.now().ok()?.checked_sub(ABANDONED)
    }

    fn sweep_before(&self, cutoff: Option<SystemTime>) -> Result<(), Refusal> {
        let mut suspects = match cutoff {
            Some(cutoff) => {
                self.layout.remove_temporary(cutoff)?;
                self.layout.suspects(cutoff, &|| self.go_on())?
            }
            None => Suspects::default(),
        };
        let mark = self.accountant.mark();
        let (mut damaged, mut hollow) = (Vec::new(), Vec::new());
        self.layout.walk(Namespace::root().as_str(), &mut |data, listed| {
            self.go_on()?;
            match listed {
                Listed::Entry(key, record) => {
                    suspects.clear(data, &record);
                    // A line may say any size: what is not there takes no room from others.
                    if self.layout.has_value(&self.layout.place(&key), &record)? {
                        self.accountant.record_listed(&key, &record, mark);
                    } else {
                        hollow.push(key);
                    }
                }
                Listed::Damaged(bucket) => damaged.push(bucket),
            }
            Ok(())
        })?;
        self.accountant.forget_unseen(mark);
        let Some(cutoff) = cutoff else { return Ok(()) };
        for key in hollow {
            self.go_on()?;
            self.recount(&key)?;
        }
        for orphan in self.layout.orphans(suspects) {
            self.go_on()?;
            let orphan = orphan?;
            let slot = orphan.key.as_ref().map(|key| self.layout.place(key).slot);
            let _lock = slot.map(|slot| self.locks.lock(slot)).transpose()?;
            self.layout.remove_orphan(&orphan)?;
        }
        for bucket in damaged {
            if let Some(slot) = slot_of(&bucket) {
                let _lock = self.locks.lock(slot)?;
                self.layout.remove_damaged(&bucket, cutoff)?;
            }
        }
        Ok(self.layout.empty_trash(&|| self.go_on())?)
    }
}
