//! The checksum of a value, as cacache has it.

use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::{Xxh3, xxh3_128};

use super::paths::CONTENTS;

/// What content is filed under, and what a small value must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Digest(pub(super) [u8; 16]);

impl Digest {
    pub(super) fn of(bytes: &[u8]) -> Self {
        Self(xxh3_128(bytes).to_be_bytes())
    }

    pub(super) fn finish(hasher: &Xxh3) -> Self {
        Self(hasher.digest128().to_be_bytes())
    }

    pub(super) fn to_hex(self) -> String {
        hex::encode(self.0)
    }

    pub(super) fn path(self, data: &Path) -> PathBuf {
        let name = self.to_hex();
        data.join(CONTENTS).join(&name[..2]).join(&name[2..4]).join(&name[4..])
    }

    /// From the path of a content.
    pub(super) fn from_path(path: &Path) -> Option<Self> {
        let mut name = String::new();
        for part in path.components().rev().take(3).collect::<Vec<_>>().into_iter().rev() {
            name.push_str(part.as_os_str().to_str()?);
        }
        let mut digest = [0; 16];
        hex::decode_to_slice(name, &mut digest).ok()?;
        Some(Self(digest))
    }
}
