//! Random words: passwords, and names that are given once.

use anyhow::{Context, Result};

/// 128 random bits, in letters and digits that no protocol, file or address has to escape.
pub(crate) fn password() -> Result<String> {
    Ok(hex::encode(bytes::<16>()?))
}

/// A short one, to tell things of one run apart.
pub(crate) fn random_word() -> Result<String> {
    Ok(hex::encode(bytes::<4>()?))
}

fn bytes<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).context("the system gives no random bytes")?;
    Ok(bytes)
}
