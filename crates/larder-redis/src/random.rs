//! Where versions come from: the one seam of randomness.

use std::sync::atomic::{AtomicU64, Ordering};

use larder_core::{Error, ErrorKind, Result};

/// Twelve bytes that no other state of any key has.
pub(crate) type Nonce = [u8; 12];

#[expect(clippy::disallowed_methods, reason = "this is the seam")]
fn fill(bytes: &mut [u8]) -> Result<()> {
    getrandom::fill(bytes).map_err(|error| {
        Error::new(ErrorKind::Unavailable, "the operating system gives no random bytes").with_source(error)
    })
}

/// Any number below this one, which is not 0.
pub(crate) fn below(count: usize) -> Result<usize> {
    let mut number = [0; size_of::<usize>()];
    fill(&mut number)?;
    Ok(usize::from_ne_bytes(number) % count)
}

/// Gives out nonces: a random prefix, and a counter that begins at random. Two stores meet only if both agree by
/// chance, in 96 bits.
#[derive(Debug)]
pub(crate) struct Nonces {
    prefix: [u8; 4],
    next: AtomicU64,
}

impl Nonces {
    /// Begins anew, with the operating system's randomness.
    pub(crate) fn new() -> Result<Self> {
        let (mut prefix, mut start) = ([0; 4], [0; 8]);
        fill(&mut prefix)?;
        fill(&mut start)?;
        Ok(Self { prefix, next: AtomicU64::new(u64::from_ne_bytes(start)) })
    }

    #[inline]
    pub(crate) fn next(&self) -> Nonce {
        let mut nonce = Nonce::default();
        nonce[..4].copy_from_slice(&self.prefix);
        nonce[4..].copy_from_slice(&self.next.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        nonce
    }
}
