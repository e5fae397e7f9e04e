//! How entries lie on the disk: the one place that knows. Another layout would have the same methods.
//!
//! ```text
//! spaces/<namespace>/data/          one cacache directory per namespace; `clear` renames it
//!     index-v5/aa/bb/<sha1 of key>  one line: the key, when it ends, its version, where its content is; a small value
//!     content-v2/xxh3/aa/bb/<hash>  nonce, key, value: of a large one
//!     tmp/                          files that are being written
//! trash/<nonce>/                    what was cleared, until it is removed
//! ```
//!
//! The contents are cacache's. The index is in its format, but written whole and put in place at once: appending, as
//! cacache does, makes the file longer with each write, and a line after a damaged one is not seen. A small value stands
//! behind the line: one file to write and to read instead of two.

mod content;
mod debris;
mod digest;
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
    content::Content,
    digest::Digest,
    index::{Change, Part, Read},
};
pub(crate) use self::{
    debris::Suspects,
    index::MAX_INLINE,
    paths::{Place, slot_of},
    walk::Listed,
};
use crate::{
    config::Durability,
    directory,
    error::Refusal,
    files,
    random::{Nonce, Random},
    trash::Trash,
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
    /// The size of its value, as encoded; of a content, nonce and key included.
    pub(crate) size: u64,
    /// Whether the value stands in the index file, and not in a content.
    pub(crate) is_inline: bool,
}

impl Record {
    /// Of a state that was over before it was written.
    pub(crate) fn unwritten(facts: Facts) -> Self {
        Self::new(facts, Digest([0; 16]), 0, true)
    }

    #[cfg(test)]
    pub(crate) fn of_size(size: u64) -> Self {
        Self { size, ..Self::unwritten(Facts { version: [0; 16], deadline: Timestamp::MAX, written: 0 }) }
    }

    fn new(Facts { version, deadline, written }: Facts, digest: Digest, size: u64, is_inline: bool) -> Self {
        Self { version, deadline, written, digest, size, is_inline }
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
    /// Whether a link is in its place.
    is_link: bool,
    /// Which locks are for it.
    pub(crate) group: u8,
}

/// How often a write begins again when a directory vanished under it, or something stood in its way.
const ATTEMPTS: usize = 10;

/// The files of a store, behind the methods that another layout would have too. Every method blocks. What changes an entry needs its lock held.
#[derive(Debug)]
pub(crate) struct Layout {
    root: PathBuf,
    spaces: PathBuf,
    trash: Trash,
    durability: Durability,
    random: Arc<dyn Random>,
}

#[expect(clippy::unused_self, reason = "a seam: another layout may need what this one does not")]
impl Layout {
    pub(crate) fn new(directory: &Path, durability: Durability, random: Arc<dyn Random>) -> Self {
        let trash = Trash::new(directory, Arc::clone(&random));
        Self { root: directory.to_owned(), spaces: directory.join("spaces"), trash, durability, random }
    }

    pub(crate) fn durability(&self) -> Durability {
        self.durability
    }

    /// Where a key has its files.
    pub(crate) fn place(&self, key: &Key) -> Place {
        Place::new(&self.spaces, key)
    }

    /// What the index says. Whatever is not a line for this key is nothing.
    pub(crate) fn find(&self, place: &Place, key: &Key) -> io::Result<Option<Record>> {
        Ok(self.read(place, key, Part::Line)?.map(|(record, _)| record))
    }

    /// What the index says, and what of the value was read along.
    pub(crate) fn find_whole(&self, place: &Place, key: &Key) -> io::Result<Option<(Record, Option<Bytes>)>> {
        self.read(place, key, Part::Whole)
    }

    fn read(&self, place: &Place, key: &Key, part: Part) -> io::Result<Option<(Record, Option<Bytes>)>> {
        match index::read(&place.bucket, part)? {
            Read::Line(line) if line.key == *key => Ok(Some((line.record, line.inline))),
            _ => Ok(None),
        }
    }

    /// The value, as encoded; `None` where it is not there whole. `inline` is what was read along with the record.
    pub(crate) fn value(
        &self,
        place: &Place,
        key: &Key,
        record: &Record,
        inline: Option<Bytes>,
    ) -> io::Result<Option<Bytes>> {
        if record.is_inline {
            return Ok(inline.filter(|value| Digest::of(value) == record.digest));
        }
        content::read(&place.data, key, record)
    }

    /// Whether the value of an entry that was found is there, by its size.
    pub(crate) fn has_value(&self, place: &Place, record: &Record) -> io::Result<bool> {
        if record.is_inline { Ok(true) } else { content::is_there(&place.data, record) }
    }

    /// Puts an entry where `old`, or nothing, was. Readers see the old one or the new one, also after a crash.
    pub(crate) fn write(
        &self,
        place: &Place,
        key: &Key,
        wire: &[u8],
        facts: Facts,
        old: Option<&Record>,
    ) -> Result<Record, Refusal> {
        let record = if wire.len() <= MAX_INLINE {
            let record = Record::new(facts, Digest::of(wire), wire.len() as u64, true);
            self.again(place, || self.index(place, key, &record, wire, old.is_some()))?;
            record
        } else {
            self.again(place, || self.write_content(place, key, wire, facts, old.is_some()))?
        };
        if let Some(old) = old {
            // The write is done: what stays of the old one is removed by a sweep.
            let _ = self.remove_value(place, old);
        }
        Ok(record)
    }

    fn write_content(
        &self,
        place: &Place,
        key: &Key,
        wire: &[u8],
        facts: Facts,
        is_known: bool,
    ) -> Result<Record, Refusal> {
        let content = Content { nonce: self.random.nonce()?, key, wire };
        let digest = content::write(&place.data, &content);
        // Where the directory was removed meanwhile, cacache has made it anew, and without what marks it as ours.
        if let Err(gone) = directory::check(&self.root) {
            if let Ok(digest) = digest {
                let _ = content::remove(&place.data, digest);
            }
            if gone.kind() == io::ErrorKind::NotFound {
                self.unmake(place);
            }
            return Err(gone.into());
        }
        let digest = digest?;
        let record = Record::new(facts, digest, content.size(), false);
        let flushed = if self.durability == Durability::Data {
            content::flush(&place.data, &record).map_err(Refusal::from)
        } else {
            Ok(())
        };
        let indexed = flushed.and_then(|()| self.index(place, key, &record, &[], is_known));
        if let Err(refusal) = &indexed
            && refusal.nothing_done().is_some()
        {
            // The error of the write is the one to tell; a sweep removes what stays.
            let _ = content::remove(&place.data, digest);
        }
        indexed.map(|()| record)
    }

    fn index(
        &self,
        place: &Place,
        key: &Key,
        record: &Record,
        inline: &[u8],
        is_known: bool,
    ) -> Result<(), Refusal> {
        let change = Change { place, key, record, inline, is_known, durability: self.durability };
        change.make(&self.spaces)?;
        self.flush_index(place).map_err(Refusal::unknown)
    }

    /// Removes the empty directories of a namespace, and those above it up to the store's own.
    fn unmake(&self, place: &Place) {
        // What it meets is told by whoever finds the directory like this.
        let _ = debris::prune(&place.data);
        files::remove_parents(&place.data, place.data.components().count() - self.root.components().count());
    }

    /// Gives an entry other facts; its value stays what it is. `false` if the entry is not there whole.
    pub(crate) fn retime(
        &self,
        place: &Place,
        key: &Key,
        old: &Record,
        facts: Facts,
    ) -> Result<Option<Record>, Refusal> {
        let inline = match self.find_whole(place, key)? {
            Some((record, inline)) if record == *old => inline.unwrap_or_default(),
            _ => return Ok(None),
        };
        let record = Record::new(facts, old.digest, old.size, old.is_inline);
        self.again(place, || self.index(place, key, &record, &inline, true))?;
        Ok(Some(record))
    }

    /// Removes an entry, or whatever is in the place of one.
    pub(crate) fn remove(&self, place: &Place, record: Option<&Record>) -> Result<(), Refusal> {
        if files::remove(&place.bucket).map_err(Refusal::of_the_step)? {
            self.flush_index(place).map_err(Refusal::unknown)?;
            files::remove_parents(&place.bucket, 2);
        }
        if let Some(record) = record {
            // It is gone: what stays of its value is removed by a sweep.
            let _ = self.remove_value(place, record);
        }
        Ok(())
    }

    fn remove_value(&self, place: &Place, record: &Record) -> io::Result<()> {
        if record.is_inline { Ok(()) } else { content::remove(&place.data, record.digest) }
    }

    /// The directories of a namespace and its children.
    pub(crate) fn spaces_in(&self, namespace: &Namespace) -> io::Result<Vec<Space>> {
        let prefix = paths::space_name(namespace.as_str());
        let mut found = Vec::new();
        for entry in files::list(&self.spaces)? {
            let Ok(name) = entry.file_name().into_string() else { continue };
            let kind = entry.file_type()?;
            if name.starts_with(&prefix) && (kind.is_dir() || kind.is_symlink()) {
                found.push(Space { group: paths::group(&name), is_link: kind.is_symlink(), name });
            }
        }
        Ok(found)
    }

    /// Takes everything in one namespace out of sight, into the trash. All locks of its group are held. `false` where
    /// nothing was there.
    pub(crate) fn clear(&self, space: &Space) -> Result<bool, Refusal> {
        let path = self.spaces.join(&space.name);
        // Where a link leads is not ours, but what is to be read through it has to go: the link does.
        let was_there = self.discard(&if space.is_link { path.clone() } else { path.join(paths::DATA) })?;
        if self.durability == Durability::Data && files::exists(&path).map_err(Refusal::unknown)? {
            files::flush_directory(&path).map_err(Refusal::unknown)?;
        }
        // Not where a foreign file is in it.
        let _ = fs::remove_dir(path);
        if self.durability == Durability::Data {
            files::flush_directory(&self.spaces).map_err(Refusal::unknown)?;
        }
        Ok(was_there)
    }

    /// Moves something into the trash; `false` where nothing was there.
    fn discard(&self, path: &Path) -> Result<bool, Refusal> {
        match files::rename(path, &self.trash.place()?) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound && !files::exists(path)? => Ok(false),
            Err(error) => Err(Refusal::of_the_step(error)),
        }
    }

    /// Runs a write again if a directory was removed as empty at the wrong moment, or something foreign stood in the way.
    fn again<T>(&self, place: &Place, attempt: impl Fn() -> Result<T, Refusal>) -> Result<T, Refusal> {
        use io::ErrorKind as Io;
        let mut result = attempt();
        for _ in 1..ATTEMPTS {
            match result.as_ref().err().and_then(Refusal::nothing_done) {
                Some(Io::NotFound) if files::exists(&self.spaces)? => {}
                Some(Io::AlreadyExists | Io::IsADirectory | Io::NotADirectory | Io::DirectoryNotEmpty) => {
                    self.unblock(place)?;
                }
                _ => break,
            }
            result = attempt();
        }
        result
    }

    /// Moves out of the way what is no directory where one belongs, or is one where a file belongs.
    fn unblock(&self, place: &Place) -> Result<(), Refusal> {
        for directory in place.directories().into_iter().chain(content::directories(&place.data)) {
            if fs::symlink_metadata(&directory).is_ok_and(|found| !found.is_dir()) {
                self.discard(&directory)?;
            }
        }
        if fs::symlink_metadata(&place.bucket).is_ok_and(|found| found.is_dir()) {
            self.discard(&place.bucket)?;
        }
        Ok(())
    }

    fn flush_index(&self, place: &Place) -> io::Result<()> {
        if self.durability == Durability::Data {
            files::flush_parents(&place.bucket, &self.spaces)
        } else {
            Ok(())
        }
    }
}
