//! Where random bytes come from: the one seam.

use std::{fmt, io};

use larder_core::{Error, ErrorKind, Result};

/// A source of random bits.
pub(crate) trait Random: fmt::Debug + Send + Sync + 'static {
    fn bits(&self) -> io::Result<i64>;
}

/// The operating system's.
#[derive(Debug)]
pub(crate) struct OsRandom;

impl Random for OsRandom {
    #[expect(clippy::disallowed_methods, reason = "this is the seam")]
    fn bits(&self) -> io::Result<i64> {
        let mut bytes = [0; 8];
        getrandom::fill(&mut bytes).map_err(io::Error::other)?;
        Ok(i64::from_ne_bytes(bytes))
    }
}

/// What makes a version unlike any other, whatever the sequence does.
pub(crate) fn salt(random: &dyn Random) -> Result<i64> {
    random.bits().map_err(|cause| {
        Error::new(ErrorKind::Unavailable, "the system gives no random bytes").with_source(cause)
    })
}
