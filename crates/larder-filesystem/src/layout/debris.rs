//! What is left by writers that were killed, and what was cleared. Only files under names that this store gives are ever
//! removed.

use std::{
    collections::HashSet,
    fs, io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use super::{
    Layout, Record,
    content::Digest,
    files,
    paths::{DATA, INDEX},
    walk::for_each_leaf,
};

/// Contents that are old enough to be known as left behind, unless an index line leads to them.
#[derive(Debug, Default)]
pub(crate) struct Suspects(HashSet<(PathBuf, Digest)>);

impl Suspects {
    pub(crate) fn clear(&mut self, data: &Path, record: &Record) {
        if !self.0.is_empty() {
            self.0.remove(&(data.to_owned(), record.digest));
        }
    }
}

#[expect(clippy::unused_self, reason = "a seam: another layout may need what this one does not")]
impl Layout {
    /// Removes temporary files from before `cutoff`.
    pub(crate) fn remove_temporary(&self, cutoff: SystemTime) -> io::Result<()> {
        for space in self.spaces()? {
            for file in files::list(&space.join(DATA).join("tmp"))? {
                if is_temporary(&file.path()) && is_older(&file.path(), cutoff)? {
                    files::remove(&file.path())?;
                }
            }
        }
        Ok(())
    }

    /// The contents from before `cutoff`: to be asked before the index is walked.
    pub(crate) fn suspects(&self, cutoff: SystemTime) -> io::Result<Suspects> {
        let mut suspects = Suspects::default();
        for space in self.spaces()? {
            let data = space.join(DATA);
            for_each_leaf(&data.join("content-v2/xxh3"), 28, &mut |path| {
                if let Some(digest) = digest_of(&path)
                    && is_older(&path, cutoff)?
                {
                    suspects.0.insert((data.clone(), digest));
                }
                Ok(())
            })?;
        }
        Ok(suspects)
    }

    /// Removes the contents that no index line was found for.
    pub(crate) fn remove_orphans(&self, suspects: Suspects) -> io::Result<()> {
        for (data, digest) in suspects.0 {
            let path = digest.path(&data);
            if files::remove(&path)? {
                files::remove_parents(&path);
            }
        }
        Ok(())
    }

    /// Removes a file that stands in the place of an index file, if it is still no line and from before `cutoff`. The
    /// lock of its stripe is held.
    pub(crate) fn remove_damaged(&self, bucket: &Path, cutoff: SystemTime) -> io::Result<()> {
        if is_older(bucket, cutoff)? && files::remove(bucket)? {
            files::remove_parents(bucket);
        }
        Ok(())
    }

    /// Removes what was cleared. Foreign files in it stay.
    pub(crate) fn empty_trash(&self, go_on: &dyn Fn() -> io::Result<()>) -> io::Result<()> {
        for cleared in files::list(&self.trash)? {
            let data = cleared.path();
            if !cleared.file_type()?.is_dir() {
                continue;
            }
            for file in files::list(&data.join("tmp"))? {
                if is_temporary(&file.path()) {
                    files::remove(&file.path())?;
                }
            }
            for (top, len) in [(INDEX, 36), ("content-v2/xxh3", 28)] {
                for_each_leaf(&data.join(top), len, &mut |path| {
                    go_on()?;
                    files::remove(&path).map(drop)
                })?;
            }
            prune(&data)?;
        }
        Ok(())
    }
}

/// Removes the directories that are empty. What holds something foreign stays.
fn prune(path: &Path) -> io::Result<()> {
    for entry in files::list(path)? {
        if entry.file_type()?.is_dir() {
            prune(&entry.path())?;
        }
    }
    // Not empty, or another process empties it too.
    let _ = fs::remove_dir(path);
    Ok(())
}

fn is_temporary(path: &Path) -> bool {
    path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(".tmp"))
}

fn is_older(path: &Path, cutoff: SystemTime) -> io::Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(found) => Ok(found.is_file() && found.modified()? < cutoff),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn digest_of(path: &Path) -> Option<Digest> {
    let mut name = String::new();
    for part in path.components().rev().take(3).collect::<Vec<_>>().into_iter().rev() {
        name.push_str(part.as_os_str().to_str()?);
    }
    let mut digest = [0; 16];
    hex::decode_to_slice(name, &mut digest).ok()?;
    Some(Digest(digest))
}
