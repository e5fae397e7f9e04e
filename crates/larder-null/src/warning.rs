//! Saying once that nothing is cached.

use std::sync::atomic::{AtomicBool, Ordering};

/// Due until it was given, or from the start not.
#[derive(Debug)]
pub(crate) struct Warning {
    due: AtomicBool,
}

impl Warning {
    pub(crate) const fn new(due: bool) -> Self {
        Self { due: AtomicBool::new(due) }
    }

    /// Gives the warning if it is due. After the first time this is one load.
    pub(crate) fn give(&self) {
        if self.due.load(Ordering::Relaxed) && self.due.swap(false, Ordering::Relaxed) {
            emit();
        }
    }
}

#[cfg(feature = "tracing")]
#[cold]
fn emit() {
    tracing::warn!(
        target: "larder",
        "the null store keeps nothing: every read is a miss and every load runs \
         (`NullStore::silent` or `null://?warn=false` if that is meant)"
    );
}

#[cfg(not(feature = "tracing"))]
fn emit() {}
