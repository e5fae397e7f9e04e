//! The index file of a key: one line in cacache's format, replaced as a whole.

use std::{
    borrow::Cow,
    fs::{self, File},
    io::{self, Read as _, Write as _},
    path::Path,
};

use cacache::{Algorithm, Integrity};
use larder_core::{Key, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{Place, Record, content::Digest, files};
use crate::{config::Durability, error};

/// A longer file is not ours: a line has at most some hundred bytes.
const MAX_LEN: u64 = 16 << 10;

/// What is in the place of an index file.
pub(super) enum Read {
    Line(Line),
    Nothing,
    /// Something, but no line of ours.
    Damaged,
}

/// A line that was found whole.
pub(super) struct Line {
    pub(super) key: Key,
    pub(super) record: Record,
}

/// The line as cacache has it; `metadata` is for its users.
#[derive(Serialize, Deserialize)]
struct Stored<'a> {
    key: Cow<'a, str>,
    integrity: Cow<'a, str>,
    time: u64,
    size: u64,
    metadata: Metadata<'a>,
    raw_metadata: Option<()>,
}

/// The content's digest is here once more, in the form its path has: cacache's own is not safe to take apart where
/// somebody else wrote it.
#[derive(Serialize, Deserialize)]
struct Metadata<'a> {
    content: Cow<'a, str>,
    deadline: u64,
    version: Cow<'a, str>,
}

pub(super) fn read(bucket: &Path) -> io::Result<Read> {
    // Looked at first: opening a pipe waits for ever, and a link leads elsewhere.
    let found = match fs::symlink_metadata(bucket) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Read::Nothing),
        Err(error) if error::is_of_this_file(&error) => return Ok(Read::Damaged),
        Err(error) => return Err(error),
    };
    if found.is_file() { read_file(bucket) } else { Ok(Read::Damaged) }
}

/// As [`read`], of what is known to be a file.
pub(super) fn read_file(bucket: &Path) -> io::Result<Read> {
    let mut text = Vec::with_capacity(512);
    let read = File::open(bucket).and_then(|file| file.take(MAX_LEN).read_to_end(&mut text));
    match read {
        Ok(_) => Ok(parse(&text).map_or(Read::Damaged, Read::Line)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Read::Nothing),
        Err(error) if error::is_of_this_file(&error) => Ok(Read::Damaged),
        Err(error) => Err(error),
    }
}

fn parse(text: &[u8]) -> Option<Line> {
    let text = std::str::from_utf8(text).ok()?.strip_prefix('\n')?;
    let (hash, json) = text.split_once('\t')?;
    if hex::encode(Sha256::digest(json)) != hash {
        return None;
    }
    let stored: Stored<'_> = serde_json::from_str(json).ok()?;
    let record = Record {
        version: nonce(&stored.metadata.version)?,
        deadline: Timestamp::from_nanos(stored.metadata.deadline),
        written: stored.time,
        digest: Digest(nonce(&stored.metadata.content)?),
        size: stored.size,
    };
    Some(Line { key: Key::parse(&stored.key).ok()?, record })
}

fn nonce(text: &str) -> Option<[u8; 16]> {
    let mut bytes = [0; 16];
    hex::decode_to_slice(text, &mut bytes).ok()?;
    Some(bytes)
}

fn render(key: &Key, record: &Record) -> io::Result<String> {
    let content = record.digest.to_hex();
    let integrity = Integrity::from_hex(&content, Algorithm::Xxh3).map_err(io::Error::other)?.to_string();
    let json = serde_json::to_string(&Stored {
        key: key.as_str().into(),
        integrity: integrity.into(),
        time: record.written,
        size: record.size,
        metadata: Metadata {
            content: content.into(),
            deadline: record.deadline.as_nanos(),
            version: hex::encode(record.version).into(),
        },
        raw_metadata: None,
    })?;
    Ok(format!("\n{}\t{json}", hex::encode(Sha256::digest(&json))))
}

/// Replaces the line: readers see the old or the new one.
pub(super) fn write(place: &Place, key: &Key, record: &Record, durability: Durability) -> io::Result<()> {
    let line = render(key, record)?;
    // No two writes have a version in common.
    let begun = place.data.join("tmp").join(format!(".tmp{}", hex::encode(record.version)));
    let written = write_new(place, &begun, &line, durability).and_then(|()| put(place, &begun));
    if written.is_err() {
        // The first error is the one to tell.
        let _ = files::remove(&begun);
    }
    written
}

fn write_new(place: &Place, begun: &Path, line: &str, durability: Durability) -> io::Result<()> {
    let write = || {
        let mut file = File::create(begun)?;
        file.write_all(line.as_bytes())?;
        if durability == Durability::Data { file.sync_data() } else { Ok(()) }
    };
    match write() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::create_dir_all(place.data.join("tmp"))?;
            write()
        }
        other => other,
    }
}

fn put(place: &Place, begun: &Path) -> io::Result<()> {
    match fs::rename(begun, &place.bucket) {
        // Tried first: for a key that was there before, the directory is too.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::create_dir_all(place.bucket.parent().expect("an index file is in a directory"))?;
            fs::rename(begun, &place.bucket)
        }
        other => other,
    }
}
