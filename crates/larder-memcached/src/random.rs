//! Where random bytes come from: the one seam. And versions, which are made of them.

use std::sync::atomic::{AtomicU64, Ordering};

use larder_core::{Error, ErrorKind, Result};

/// The bytes of a version, as they stand before a value.
pub(crate) type Mark = [u8; 16];

/// Gives out marks, none of them twice: ten random bytes of this store, and a count.
#[derive(Debug)]
pub(crate) struct Marks {
    own: [u8; 10],
    next: AtomicU64,
}

impl Marks {
    #[expect(clippy::disallowed_methods, reason = "this is the seam")]
    pub(crate) fn from_os() -> Result<Self> {
        let mut own = [0; 10];
        getrandom::fill(&mut own).map_err(|cause| {
            Error::new(ErrorKind::Config, "the operating system gives no random bytes").with_source(cause)
        })?;
        Ok(Self { own, next: AtomicU64::new(0) })
    }

    pub(crate) fn next(&self) -> Mark {
        let count = self.next.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        let mut mark = Mark::default();
        mark[..10].copy_from_slice(&self.own);
        // Six bytes of count last longer than any process: nine years at a million writes a second.
        mark[10..].copy_from_slice(&count[2..]);
        mark
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_marks_are_alike() {
        let (one, other) = (Marks::from_os().unwrap(), Marks::from_os().unwrap());
        let mut seen = std::collections::HashSet::new();
        for _ in 0..1_000 {
            assert!(seen.insert(one.next()) && seen.insert(other.next()));
        }
    }
}
