//! Where random bytes come from: the one seam.

use std::{fmt, io};

/// Sixteen random bytes: as a version, or in a value so that no two values are alike.
pub(crate) type Nonce = [u8; 16];

/// A source of nonces.
pub(crate) trait Random: fmt::Debug + Send + Sync + 'static {
    fn nonce(&self) -> io::Result<Nonce>;
}

/// The operating system's.
#[derive(Debug)]
pub(crate) struct OsRandom;

impl Random for OsRandom {
    #[expect(clippy::disallowed_methods, reason = "this is the seam")]
    fn nonce(&self) -> io::Result<Nonce> {
        let mut nonce = Nonce::default();
        getrandom::fill(&mut nonce).map_err(io::Error::other)?;
        Ok(nonce)
    }
}
