//! The content of an entry: nonce, key and value in one file that cacache keeps under its checksum.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use bytes::Bytes;
use cacache::{Algorithm, Integrity, WriteOpts};
use larder_core::Key;

use super::{Record, files};
use crate::{
    error::{is_of_this_file, of_cacache},
    random::Nonce,
};

const MAGIC: &[u8; 4] = b"lrd1";
/// Magic, nonce, and one byte for the length of the key.
const HEADER: usize = MAGIC.len() + size_of::<Nonce>() + 1;

/// The checksum that content is filed under.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Digest(pub(super) [u8; 16]);

impl Digest {
    pub(super) fn to_hex(self) -> String {
        hex::encode(self.0)
    }

    pub(super) fn path(self, data: &Path) -> PathBuf {
        let name = self.to_hex();
        data.join("content-v2/xxh3").join(&name[..2]).join(&name[2..4]).join(&name[4..])
    }
}

/// The directories that are of all contents, outermost first.
pub(super) fn directories(data: &Path) -> impl Iterator<Item = PathBuf> {
    ["content-v2", "content-v2/xxh3"].into_iter().map(|name| data.join(name))
}

/// What is written.
pub(super) struct Content<'a> {
    /// So that no two entries share a file: removing one would break the other.
    pub(super) nonce: Nonce,
    /// So that an index line cannot lead to another key's value.
    pub(super) key: &'a Key,
    pub(super) wire: &'a [u8],
}

impl Content<'_> {
    pub(super) fn size(&self) -> u64 {
        (HEADER + self.key.as_str().len() + self.wire.len()) as u64
    }
}

/// Writes it aside and then under its checksum.
pub(super) fn write(data: &Path, content: &Content<'_>) -> io::Result<Digest> {
    let mut header = Vec::with_capacity(HEADER + content.key.as_str().len());
    header.extend_from_slice(MAGIC);
    header.extend_from_slice(&content.nonce);
    header.push(u8::try_from(content.key.as_str().len()).expect("keys are at most 200 bytes"));
    header.extend_from_slice(content.key.as_str().as_bytes());
    // Its size is not announced: cacache would write through a memory map, which a full disk turns into a signal.
    let mut writer = WriteOpts::new().algorithm(Algorithm::Xxh3).open_hash_sync(data).map_err(of_cacache)?;
    writer.write_all(&header)?;
    writer.write_all(content.wire)?;
    let (_, hex) = writer.commit().map_err(of_cacache)?.to_hex();
    let mut digest = [0; 16];
    hex::decode_to_slice(hex, &mut digest).map_err(io::Error::other)?;
    Ok(Digest(digest))
}

/// The value; `None` where the content is missing, damaged, or another key's.
pub(super) fn read(data: &Path, key: &Key, record: &Record) -> io::Result<Option<Bytes>> {
    if !is_there(data, record)? {
        return Ok(None);
    }
    let integrity = Integrity::from_hex(record.digest.to_hex(), Algorithm::Xxh3).map_err(io::Error::other)?;
    let content = match cacache::read_hash_sync(data, &integrity).map_err(of_cacache) {
        Ok(content) => Bytes::from(content),
        Err(error) if error.kind() == io::ErrorKind::NotFound || is_of_this_file(&error) => return Ok(None),
        Err(error) => return Err(error),
    };
    Ok(value(content, key))
}

/// What stands behind the header, if that is of this key.
fn value(mut content: Bytes, key: &Key) -> Option<Bytes> {
    let (header, rest) = content.split_at_checked(HEADER)?;
    let key_len = usize::from(*header.last()?);
    if !header.starts_with(MAGIC) || rest.get(..key_len)? != key.as_str().as_bytes() {
        return None;
    }
    Some(content.split_off(HEADER + key_len))
}

/// Whether a file of the right size is there. Looked at before reading: what was put there instead may be a pipe, or
/// have no end.
pub(super) fn is_there(data: &Path, record: &Record) -> io::Result<bool> {
    match fs::symlink_metadata(record.digest.path(data)) {
        Ok(found) => Ok(found.is_file() && found.len() == record.size),
        Err(error) if error.kind() == io::ErrorKind::NotFound || is_of_this_file(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

pub(super) fn remove(data: &Path, record: &Record) -> io::Result<()> {
    let path = record.digest.path(data);
    if files::remove(&path)? {
        files::remove_parents(&path);
    }
    Ok(())
}

/// Flushes the file and the directories above it.
pub(super) fn flush(data: &Path, record: &Record) -> io::Result<()> {
    let path = record.digest.path(data);
    File::open(&path)?.sync_data()?;
    files::flush_parents(&path, data)
}
