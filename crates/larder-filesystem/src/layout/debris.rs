//! What is left by writers that were killed, and what was cleared. Only files under names that this store gives are ever
//! removed.

use std::{
    collections::HashSet,
    fs, io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use larder_core::Key;

use super::{
    Layout, Record, content,
    digest::Digest,
    paths::{CONTENTS, DATA, INDEX},
    walk::{for_each_leaf, temporary_files},
};
use crate::files;

/// Contents that are old enough to be known as left behind, unless an index line leads to them.
#[derive(Debug, Default)]
pub(crate) struct Suspects(HashSet<(PathBuf, Digest)>);

impl Suspects {
    pub(crate) fn clear(&mut self, data: &Path, record: &Record) {
        if !self.0.is_empty() && !record.is_inline {
            self.0.remove(&(data.to_owned(), record.digest));
        }
    }
}

/// A content that no index line was found for.
#[derive(Debug)]
pub(crate) struct Orphan {
    data: PathBuf,
    digest: Digest,
    /// Whose it is, where it says that: a line that leads to it may have been missed.
    pub(crate) key: Option<Key>,
}

#[expect(clippy::unused_self, reason = "a seam: another layout may need what this one does not")]
impl Layout {
    /// Removes temporary files from before `cutoff`.
    pub(crate) fn remove_temporary(&self, cutoff: SystemTime) -> io::Result<()> {
        for space in self.spaces()? {
            for path in temporary_files(&space.join(DATA))? {
                if is_older(&path, cutoff)? {
                    files::remove(&path)?;
                }
            }
        }
        Ok(())
    }

    /// The contents from before `cutoff`: to be asked before the index is walked.
    pub(crate) fn suspects(
        &self,
        cutoff: SystemTime,
        go_on: &dyn Fn() -> io::Result<()>,
    ) -> io::Result<Suspects> {
        let mut suspects = Suspects::default();
        for space in self.spaces()? {
            let data = space.join(DATA);
            for_each_leaf(&data, CONTENTS, &mut |path| {
                go_on()?;
                if let Some(digest) = Digest::from_path(&path)
                    && is_older(&path, cutoff)?
                {
                    suspects.0.insert((data.clone(), digest));
                }
                Ok(())
            })?;
        }
        Ok(suspects)
    }

    /// The suspects that are left, and whose they are.
    pub(crate) fn orphans(&self, suspects: Suspects) -> impl Iterator<Item = io::Result<Orphan>> {
        suspects.0.into_iter().map(|(data, digest)| {
            let key = content::owner(&digest.path(&data))?;
            Ok(Orphan { data, digest, key })
        })
    }

    /// Removes a content unless the entry of its key, whose lock is held, leads to it.
    pub(crate) fn remove_orphan(&self, orphan: &Orphan) -> io::Result<()> {
        if let Some(key) = &orphan.key {
            let place = self.place(key);
            let leads_to_it = |record: Record| !record.is_inline && record.digest == orphan.digest;
            if place.data == orphan.data && self.find(&place, key)?.is_some_and(leads_to_it) {
                return Ok(());
            }
        }
        content::remove(&orphan.data, orphan.digest)
    }

    /// Removes a file that stands in the place of an index file, if it is still no line and from before `cutoff`. The
    /// lock of its stripe is held.
    pub(crate) fn remove_damaged(&self, bucket: &Path, cutoff: SystemTime) -> io::Result<()> {
        if is_older(bucket, cutoff)? && files::remove(bucket)? {
            files::remove_parents(bucket, 2);
        }
        Ok(())
    }

    /// Removes what was cleared. Foreign files in it stay.
    pub(crate) fn empty_trash(&self, go_on: &dyn Fn() -> io::Result<()>) -> io::Result<()> {
        for cleared in files::list(self.trash.path())? {
            let data = cleared.path();
            if !cleared.file_type()?.is_dir() {
                continue;
            }
            for path in temporary_files(&data)? {
                files::remove(&path)?;
            }
            for tree in [INDEX, CONTENTS] {
                for_each_leaf(&data, tree, &mut |path| {
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
pub(super) fn prune(path: &Path) -> io::Result<()> {
    for entry in files::list(path)? {
        if entry.file_type()?.is_dir() {
            prune(&entry.path())?;
        }
    }
    // Not empty, or another process empties it too.
    let _ = fs::remove_dir(path);
    Ok(())
}

fn is_older(path: &Path, cutoff: SystemTime) -> io::Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(found) => Ok(found.is_file() && found.modified()? < cutoff),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use larder_core::{Namespace, Timestamp};

    use super::*;
    use crate::{
        config::Durability,
        layout::{Facts, MAX_INLINE},
        random::OsRandom,
    };

    #[test]
    fn a_value_whose_line_a_walk_has_missed_stays() {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join("spaces")).unwrap();
        fs::write(home.path().join("larder.store"), "").unwrap();
        let layout = Layout::new(home.path(), Durability::None, Arc::new(OsRandom));
        let key = Key::new(&Namespace::root(), "k").unwrap();
        let place = layout.place(&key);
        let facts = Facts { version: [1; 16], deadline: Timestamp::MAX, written: 0 };
        let record = layout.write(&place, &key, &vec![0; MAX_INLINE + 1], facts, None).unwrap();
        let later = fs::metadata(home.path()).unwrap().modified().unwrap() + Duration::from_hours(1);
        let suspects = || layout.suspects(later, &|| Ok(())).unwrap();
        for orphan in layout.orphans(suspects()) {
            layout.remove_orphan(&orphan.unwrap()).unwrap();
        }
        assert!(layout.has_value(&place, &record).unwrap());
        fs::remove_file(&place.bucket).unwrap();
        for orphan in layout.orphans(suspects()) {
            layout.remove_orphan(&orphan.unwrap()).unwrap();
        }
        assert!(!layout.has_value(&place, &record).unwrap());
    }
}
