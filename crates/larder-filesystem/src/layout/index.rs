//! The index file of a key: one line in cacache's format, behind it a small value itself. It is replaced as a whole.

use std::{
    borrow::Cow,
    io::{self, Read as _},
    path::Path,
};

use bytes::Bytes;
use cacache::{Algorithm, Integrity};
use larder_core::{Key, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{Place, Record, digest::Digest};
use crate::{config::Durability, error, error::Refusal, files};

/// A longer line is not ours: it has at most some hundred bytes.
const MAX_LINE: usize = 1 << 10;
/// The largest value, as encoded, that stands in the index file. It is written and read in half the steps, and takes two
/// directories less.
pub(crate) const MAX_INLINE: usize = 256 << 10;
const MAX_FILE: u64 = (MAX_LINE + MAX_INLINE) as u64;
/// Up to here a copy costs less than a second write.
const COPIED: usize = 8 << 10;

/// What is in the place of an index file.
pub(super) enum Read {
    Line(Line),
    Nothing,
    /// Something, but no line of ours.
    Damaged,
}

/// A line that was found whole, and behind it as much as a value of that size takes.
pub(super) struct Line {
    pub(super) key: Key,
    pub(super) record: Record,
    /// The value in the file, where it was asked for and is there; it may be damaged.
    pub(super) inline: Option<Bytes>,
}

/// How much is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Line,
    Whole,
}

/// The line as cacache has it; `metadata` is for its users.
#[derive(Serialize, Deserialize)]
struct Stored<'a> {
    #[serde(borrow)]
    key: Cow<'a, str>,
    #[serde(borrow)]
    integrity: Cow<'a, str>,
    time: u64,
    size: u64,
    #[serde(borrow)]
    metadata: Metadata<'a>,
    raw_metadata: Option<()>,
}

/// The digest is here once more, in the form that its path has: cacache's own is not safe to take apart where somebody
/// else wrote it.
#[derive(Serialize, Deserialize)]
struct Metadata<'a> {
    #[serde(borrow)]
    content: Cow<'a, str>,
    deadline: u64,
    /// Whether the value stands behind the line, and nowhere else.
    inline: bool,
    #[serde(borrow)]
    version: Cow<'a, str>,
}

pub(super) fn read(bucket: &Path, part: Part) -> io::Result<Read> {
    match read_file(bucket, part) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Read::Nothing),
        Err(error) if error::is_of_this_file(&error) => Ok(Read::Damaged),
        other => other,
    }
}

fn read_file(bucket: &Path, part: Part) -> io::Result<Read> {
    let file = files::open(bucket)?;
    let found = file.metadata()?;
    if !found.is_file() || found.len() > MAX_FILE {
        return Ok(Read::Damaged);
    }
    let len = usize::try_from(found.len()).unwrap_or(usize::MAX);
    let wanted = if part == Part::Whole { len } else { len.min(MAX_LINE) };
    let mut text = Vec::with_capacity(wanted);
    file.take(wanted as u64).read_to_end(&mut text)?;
    // Shorter than it was: nobody but a stranger changes a file in its place.
    Ok(if text.len() == wanted { parse(text, len) } else { None }.map_or(Read::Damaged, Read::Line))
}

/// Takes apart the start of a file of `len` bytes, or all of it.
fn parse(text: Vec<u8>, len: usize) -> Option<Line> {
    let (key, record, line) = parse_line(&text)?;
    let behind = if record.is_inline { usize::try_from(record.size).ok()? } else { 0 };
    let expected = line.checked_add(behind)?;
    if expected != len {
        return None;
    }
    let inline = (record.is_inline && text.len() == len).then(|| Bytes::from(text).split_off(line));
    Some(Line { key, record, inline })
}

/// The line, and how long it is.
fn parse_line(text: &[u8]) -> Option<(Key, Record, usize)> {
    let rest = text.strip_prefix(b"\n")?;
    let end = rest.iter().take(MAX_LINE).position(|byte| *byte == b'\n')?;
    let (hash, json) = std::str::from_utf8(&rest[..end]).ok()?.split_once('\t')?;
    let mut expected = [0; 32];
    hex::decode_to_slice(hash, &mut expected).ok()?;
    if Sha256::digest(json)[..] != expected {
        return None;
    }
    let stored: Stored<'_> = serde_json::from_str(json).ok()?;
    let record = Record {
        version: nonce(&stored.metadata.version)?,
        deadline: Timestamp::from_nanos(stored.metadata.deadline),
        written: stored.time,
        digest: Digest(nonce(&stored.metadata.content)?),
        size: stored.size,
        is_inline: stored.metadata.inline,
    };
    Some((Key::parse(&stored.key).ok()?, record, end + 2))
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
            inline: record.is_inline,
            version: hex::encode(record.version).into(),
        },
        raw_metadata: None,
    })?;
    Ok(format!("\n{}\t{json}\n", hex::encode(Sha256::digest(&json))))
}

/// What is put in the place of an index file.
pub(super) struct Change<'a> {
    pub(super) place: &'a Place,
    pub(super) key: &'a Key,
    pub(super) record: &'a Record,
    /// The value, where the record says that it is in the file.
    pub(super) inline: &'a [u8],
    /// Whether a file of ours is there.
    pub(super) is_known: bool,
    pub(super) durability: Durability,
}

impl Change<'_> {
    /// Replaces the file: readers see the old or the new one.
    pub(super) fn make(&self, spaces: &Path) -> Result<(), Refusal> {
        // No two writes have a version in common.
        let temporary = self.place.data.join("tmp");
        let begun = temporary.join(format!(".tmp{}", hex::encode(self.record.version)));
        let written = self.write_new(&begun, &temporary, spaces).map_err(Refusal::from);
        let written = written.and_then(|()| self.put(&begun, spaces));
        if written.is_err() {
            // The first error is the one to tell.
            let _ = files::remove(&begun);
        }
        written
    }

    fn write_new(&self, begun: &Path, temporary: &Path, spaces: &Path) -> io::Result<()> {
        let line = render(self.key, self.record)?;
        let flush = self.durability == Durability::Data;
        let write = |parts: &[&[u8]]| match files::write(begun, parts, flush) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                files::make_directories(temporary, spaces)?;
                files::write(begun, parts, flush)
            }
            other => other,
        };
        if self.inline.is_empty() || self.inline.len() > COPIED {
            let both = [line.as_bytes(), self.inline];
            return write(if self.inline.is_empty() { &both[..1] } else { &both });
        }
        let mut whole = line.into_bytes();
        whole.extend_from_slice(self.inline);
        write(&[&whole])
    }

    fn put(&self, begun: &Path, spaces: &Path) -> Result<(), Refusal> {
        let bucket = &self.place.bucket;
        // What must survive a power loss was flushed, and is put in one step.
        if self.is_known && self.durability == Durability::None {
            match files::exchange(begun, bucket) {
                Ok(()) => {
                    // The old file: where it stays, a sweep removes it.
                    let _ = files::remove(begun);
                    return Ok(());
                }
                Err(error) => match error.kind() {
                    // The file system cannot do it, or the old file has just gone.
                    io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported | io::ErrorKind::NotFound => {}
                    _ => return Err(Refusal::of_the_step(error)),
                },
            }
        }
        match files::rename(begun, bucket) {
            // Tried first: for a key that was there before, the directory is too.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let parent = bucket.parent().expect("an index file is in a directory");
                files::make_directories(parent, spaces)?;
                files::rename(begun, bucket).map_err(Refusal::of_the_step)
            }
            other => other.map_err(Refusal::of_the_step),
        }
    }
}
