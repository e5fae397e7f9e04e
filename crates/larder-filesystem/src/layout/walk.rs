//! Looking at every entry of a namespace.

use std::{
    ffi::OsStr,
    fs, io,
    path::{Path, PathBuf},
};

use larder_core::Key;

use super::{
    Layout, Place, Record,
    files::list,
    index::{self, Read},
    paths::{DATA, INDEX, is_hex, space_name},
};

/// What a walk meets.
pub(crate) enum Listed {
    /// An entry, which may have expired.
    Entry(Key, Record),
    /// A file under the name of an index file, that is none.
    Damaged(PathBuf),
}

impl Layout {
    /// Shows every entry of the namespaces with this encoded path as a start: of those that come or go meanwhile, some.
    /// Stops with the error of `visit`.
    pub(crate) fn walk(
        &self,
        start: &str,
        visit: &mut dyn FnMut(&Path, Listed) -> io::Result<()>,
    ) -> io::Result<()> {
        let prefix = space_name(start);
        for space in self.spaces()? {
            if !space.file_name().and_then(OsStr::to_str).is_some_and(|name| name.starts_with(&prefix)) {
                continue;
            }
            let data = space.join(DATA);
            for_each_leaf(&data.join(INDEX), 36, &mut |bucket| {
                let listed = match index::read_file(&bucket)? {
                    Read::Nothing => return Ok(()),
                    Read::Damaged => Listed::Damaged(bucket),
                    Read::Line(line) => {
                        let place = Place::new(&self.spaces, &line.key);
                        // A copy under another name is nobody's entry.
                        if place.bucket == bucket {
                            Listed::Entry(line.key, line.record)
                        } else {
                            Listed::Damaged(bucket)
                        }
                    }
                };
                visit(&data, listed)
            })?;
        }
        Ok(())
    }

    /// The directory of every namespace.
    pub(super) fn spaces(&self) -> io::Result<Vec<PathBuf>> {
        Ok(list(&self.spaces)?.into_iter().map(|entry| entry.path()).collect())
    }
}

/// Every file `top/aa/bb/<name>` whose name has so many hexadecimal digits: no other file is ours.
pub(super) fn for_each_leaf(
    top: &Path,
    len: usize,
    visit: &mut dyn FnMut(PathBuf) -> io::Result<()>,
) -> io::Result<()> {
    for outer in subdirectories(top)? {
        for inner in subdirectories(&outer)? {
            for file in list(&inner)? {
                if is_named(&file.file_name(), len) && file.file_type()?.is_file() {
                    visit(file.path())?;
                }
            }
        }
    }
    Ok(())
}

/// Those of our own names; a link is not followed.
fn subdirectories(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    if !fs::symlink_metadata(path).is_ok_and(|found| found.is_dir()) {
        return Ok(found);
    }
    for entry in list(path)? {
        if is_named(&entry.file_name(), 2) && entry.file_type()?.is_dir() {
            found.push(entry.path());
        }
    }
    Ok(found)
}

fn is_named(name: &OsStr, len: usize) -> bool {
    name.to_str().is_some_and(|name| is_hex(name, len))
}
