//! The content of a large entry: nonce, key and value in one file that cacache keeps under its checksum.

use std::{
    fs::{self, File},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
};

use bytes::Bytes;
use cacache::{Algorithm, WriteOpts};
use larder_core::Key;
use xxhash_rust::xxh3::Xxh3;

use super::{Record, digest::Digest};
use crate::{
    error::{is_of_this_file, of_cacache},
    faults, files,
    random::Nonce,
};

const MAGIC: &[u8; 4] = b"lrd1";
/// Magic, nonce, and one byte for the length of the key.
const HEADER: usize = MAGIC.len() + size_of::<Nonce>() + 1;
/// How much is read before its checksum is taken: while it is in the processor's cache.
const CHUNK: u64 = 256 << 10;

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
    faults::before()?;
    // Its size is not announced: cacache would write through a memory map, which a full disk turns into a signal.
    let mut writer = WriteOpts::new().algorithm(Algorithm::Xxh3).open_hash_sync(data).map_err(of_cacache)?;
    faults::before()?;
    writer.write_all(&header)?;
    faults::before()?;
    writer.write_all(content.wire)?;
    faults::before()?;
    let (_, hex) = writer.commit().map_err(of_cacache)?.to_hex();
    faults::after()?;
    let mut digest = [0; 16];
    hex::decode_to_slice(hex, &mut digest).map_err(io::Error::other)?;
    Ok(Digest(digest))
}

/// The value; `None` where the content is missing, damaged, or another key's.
pub(super) fn read(data: &Path, key: &Key, record: &Record) -> io::Result<Option<Bytes>> {
    match read_whole(data, record) {
        Ok(content) => Ok(content.and_then(|content| value(content, key))),
        Err(error) if error.kind() == io::ErrorKind::NotFound || is_of_this_file(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The file's bytes, if they have the size and the checksum of the record.
fn read_whole(data: &Path, record: &Record) -> io::Result<Option<Bytes>> {
    let file = files::open(&record.digest.path(data))?;
    let found = file.metadata()?;
    if !found.is_file() || found.len() != record.size {
        return Ok(None);
    }
    let Ok(size) = usize::try_from(record.size) else { return Ok(None) };
    let mut content = Vec::new();
    content.try_reserve_exact(size).map_err(|_| io::ErrorKind::OutOfMemory)?;
    let mut checksum = Xxh3::new();
    while content.len() < size {
        let start = content.len();
        let chunk = CHUNK.min((size - start) as u64);
        if (&file).take(chunk).read_to_end(&mut content)? == 0 {
            return Ok(None);
        }
        checksum.update(&content[start..]);
    }
    Ok((Digest::finish(&checksum) == record.digest).then(|| content.into()))
}

/// What stands behind the header, if that is of this key.
fn value(mut content: Bytes, key: &Key) -> Option<Bytes> {
    let whose = key_of(&content)?;
    if whose != key.as_str().as_bytes() {
        return None;
    }
    let start = HEADER + whose.len();
    Some(content.split_off(start))
}

/// Whose content this is the start of.
fn key_of(start: &[u8]) -> Option<&[u8]> {
    let (header, rest) = start.split_at_checked(HEADER)?;
    if header.starts_with(MAGIC) { rest.get(..usize::from(*header.last()?)) } else { None }
}

/// Whose content a file is, by what it says itself.
pub(super) fn owner(path: &Path) -> io::Result<Option<Key>> {
    let mut start = Vec::with_capacity(HEADER + usize::from(u8::MAX));
    let limit = start.capacity() as u64;
    match files::open(path).and_then(|file| file.take(limit).read_to_end(&mut start)) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound || is_of_this_file(&error) => return Ok(None),
        Err(error) => return Err(error),
    }
    let key = key_of(&start).and_then(|key| Key::parse(std::str::from_utf8(key).ok()?).ok());
    Ok(key)
}

/// Whether a file of the right size is there.
pub(super) fn is_there(data: &Path, record: &Record) -> io::Result<bool> {
    faults::before()?;
    match fs::symlink_metadata(record.digest.path(data)) {
        Ok(found) => Ok(found.is_file() && found.len() == record.size),
        Err(error) if error.kind() == io::ErrorKind::NotFound || is_of_this_file(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

pub(super) fn remove(data: &Path, digest: Digest) -> io::Result<()> {
    let path = digest.path(data);
    if files::remove(&path)? {
        files::remove_parents(&path, 2);
    }
    Ok(())
}

/// Flushes the file and the directories above it.
pub(super) fn flush(data: &Path, record: &Record) -> io::Result<()> {
    let path = record.digest.path(data);
    faults::before_flush()?;
    File::open(&path)?.sync_data()?;
    files::flush_parents(&path, data)
}
