//! How entries lie on the disk: the one place that knows. Another layout would have the same methods.
//!
//! ```text
//! spaces/<namespace>/data/          one cacache directory per namespace; `clear` renames it
//!     index-v5/aa/bb/<sha1 of key>  one line: the key, when it ends, its version, where its content is
//!     content-v2/xxh3/aa/bb/<hash>  nonce, key, value
//!     tmp/                          files that are being written
//! trash/<nonce>/                    what was cleared, until it is removed
//! ```
//!
//! The contents are cacache's. The index is in its format, but written whole by a rename: appending, as cacache does,
//! makes the file longer with each write, and a line after a damaged one is not seen.

mod content;
mod debris;
mod files;
mod index;
mod paths;
mod walk;

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use larder_core::{Key, Namespace, Timestamp};

use self::{
    content::{Content, Digest},
    files::remove,
    index::Read,
};
pub(crate) use self::{
    debris::Suspects,
    paths::{Place, slot_of},
    walk::Listed,
};
use crate::{
    config::Durability,
    random::{Nonce, Random},
};

/// What is known of an entry without its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) version: Nonce,
    /// When it ends by the store's clock; `Timestamp::MAX` is never.
    pub(crate) deadline: Timestamp,
    /// When it was written by the store's clock, in milliseconds since 1970.
    pub(crate) written: u64,
    digest: Digest,
    /// The size of its content: nonce, key and value.
    pub(crate) size: u64,
}

impl Record {
    /// Of a state that was over before it was written.
    pub(crate) fn unwritten(facts: Facts) -> Self {
        let Facts { version, deadline, written } = facts;
        Self { version, deadline, written, digest: Digest([0; 16]), size: 0 }
    }
}

/// What a write sets besides the value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts {
    pub(crate) version: Nonce,
    pub(crate) deadline: Timestamp,
    pub(crate) written: u64,
}

/// The directory of one namespace.
#[derive(Debug)]
pub(crate) struct Space {
    name: String,
    /// Which locks are for it.
    pub(crate) group: u8,
}

/// How often a write begins again when a directory vanished under it, or something stood in its way.
const ATTEMPTS: usize = 10;

/// The files of a store, behind the methods that another layout would have too. Every method blocks. What changes an entry needs its lock held.
#[derive(Debug)]
pub(crate) struct Layout {
    spaces: PathBuf,
    trash: PathBuf,
    durability: Durability,
    random: Arc<dyn Random>,
}

#[expect(clippy::unused_self, reason = "a seam: another layout may need what this one does not")]
impl Layout {
    pub(crate) fn new(directory: &Path, durability: Durability, random: Arc<dyn Random>) -> Self {
        Self { spaces: directory.join("spaces"), trash: directory.join("trash"), durability, random }
    }

    /// Where a key has its files.
    pub(crate) fn place(&self, key: &Key) -> Place {
        Place::new(&self.spaces, key)
    }

    /// What the index says. Whatever is not a line for this key is nothing.
    pub(crate) fn find(&self, place: &Place, key: &Key) -> io::Result<Option<Record>> {
        match index::read(&place.bucket)? {
            Read::Line(line) if line.key == *key => Ok(Some(line.record)),
            _ => Ok(None),
        }
    }

    /// The value, as encoded; `None` where it is not there whole.
    pub(crate) fn value(&self, place: &Place, key: &Key, record: &Record) -> io::Result<Option<Bytes>> {
        content::read(&place.data, key, record)
    }

    /// Whether the content of an entry is there, by its size.
    pub(crate) fn has_value(&self, place: &Place, record: &Record) -> io::Result<bool> {
        content::is_there(&place.data, record)
    }

    /// Puts an entry where `old`, or nothing, was. Readers see the old one or the new one, also after a crash.
    pub(crate) fn write(
        &self,
        place: &Place,
        key: &Key,
        wire: &[u8],
        facts: Facts,
        old: Option<&Record>,
    ) -> io::Result<Record> {
        let record = self.again(place, || {
            let content = Content { nonce: self.random.nonce()?, key, wire };
            let digest = content::write(&place.data, &content)?;
            let Facts { version, deadline, written } = facts;
            let record = Record { version, deadline, written, digest, size: content.size() };
            let indexed = self
                .flush_content(place, &record)
                .and_then(|()| index::write(place, key, &record, self.durability))
                .and_then(|()| self.flush_index(place));
            if indexed.is_err() {
                // The error of the write is the one to tell; a sweep removes what stays.
                let _ = content::remove(&place.data, &record);
            }
            indexed.map(|()| record)
        })?;
        if let Some(old) = old {
            // The write is done: what stays of the old one is removed by a sweep.
            let _ = content::remove(&place.data, old);
        }
        Ok(record)
    }

    /// Gives an entry other facts; its content stays where it is.
    pub(crate) fn retime(&self, place: &Place, key: &Key, old: &Record, facts: Facts) -> io::Result<Record> {
        let Facts { version, deadline, written } = facts;
        let record = Record { version, deadline, written, ..*old };
        self.again(place, || {
            index::write(place, key, &record, self.durability).and_then(|()| self.flush_index(place))
        })?;
        Ok(record)
    }

    /// Removes an entry, or whatever is in the place of one.
    pub(crate) fn remove(&self, place: &Place, record: Option<&Record>) -> io::Result<()> {
        if remove(&place.bucket)? {
            self.flush_index(place)?;
            files::remove_parents(&place.bucket);
        }
        if let Some(record) = record {
            content::remove(&place.data, record)?;
        }
        Ok(())
    }

    /// The directories of a namespace and its children.
    pub(crate) fn spaces_in(&self, namespace: &Namespace) -> io::Result<Vec<Space>> {
        let prefix = paths::space_name(namespace.as_str());
        let names =
            files::list(&self.spaces)?.into_iter().filter_map(|entry| entry.file_name().into_string().ok());
        let ours = names.filter(|name| name.starts_with(&prefix));
        let ours = ours.map(|name| Space { group: paths::group(&name), name });
        Ok(ours.collect())
    }

    /// Takes everything in one namespace out of sight, into the trash. All locks of its group are held.
    pub(crate) fn clear(&self, space: &Space) -> io::Result<()> {
        let path = self.spaces.join(&space.name);
        self.discard(&path.join(paths::DATA))?;
        // Not where a foreign file is in it.
        let _ = fs::remove_dir(path);
        if self.durability == Durability::Data {
            files::flush_directory(&self.spaces)?;
        }
        Ok(())
    }

    /// Moves something into the trash.
    fn discard(&self, path: &Path) -> io::Result<()> {
        let place = self.trash.join(hex::encode(self.random.nonce()?));
        match fs::rename(path, place) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && !exists(path)? => Ok(()),
            other => other,
        }
    }

    /// Runs a write again if a directory was removed as empty at the wrong moment, or something foreign stood in the way.
    fn again<T>(&self, place: &Place, attempt: impl Fn() -> io::Result<T>) -> io::Result<T> {
        use io::ErrorKind as Io;
        let mut result = attempt();
        for _ in 1..ATTEMPTS {
            match &result {
                Err(error) if error.kind() == Io::NotFound && exists(&self.spaces)? => {}
                Err(error)
                    if matches!(
                        error.kind(),
                        Io::AlreadyExists | Io::IsADirectory | Io::NotADirectory | Io::DirectoryNotEmpty
                    ) =>
                {
                    self.unblock(place)?;
                }
                _ => break,
            }
            result = attempt();
        }
        result
    }

    /// Moves out of the way what is no directory where one belongs, or is one where a file belongs.
    fn unblock(&self, place: &Place) -> io::Result<()> {
        for directory in place.directories() {
            if fs::symlink_metadata(&directory).is_ok_and(|found| !found.is_dir()) {
                self.discard(&directory)?;
            }
        }
        for parent in content::directories(&place.data) {
            if fs::symlink_metadata(&parent).is_ok_and(|found| !found.is_dir()) {
                self.discard(&parent)?;
            }
        }
        if fs::symlink_metadata(&place.bucket).is_ok_and(|found| found.is_dir()) {
            self.discard(&place.bucket)?;
        }
        Ok(())
    }

    fn flush_content(&self, place: &Place, record: &Record) -> io::Result<()> {
        if self.durability == Durability::Data { content::flush(&place.data, record) } else { Ok(()) }
    }

    fn flush_index(&self, place: &Place) -> io::Result<()> {
        if self.durability == Durability::Data {
            files::flush_parents(&place.bucket, &self.spaces)
        } else {
            Ok(())
        }
    }
}

fn exists(path: &Path) -> io::Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}
