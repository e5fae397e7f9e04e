//! Where what is in the way goes, and what was cleared.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::random::Random;

/// The directory for it.
#[derive(Clone, Debug)]
pub(crate) struct Trash {
    directory: PathBuf,
    random: Arc<dyn Random>,
}

impl Trash {
    pub(crate) fn new(store: &Path, random: Arc<dyn Random>) -> Self {
        Self { directory: store.join("trash"), random }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.directory
    }

    /// A name in it that nothing has.
    pub(crate) fn place(&self) -> io::Result<PathBuf> {
        Ok(self.directory.join(hex::encode(self.random.nonce()?)))
    }
}
