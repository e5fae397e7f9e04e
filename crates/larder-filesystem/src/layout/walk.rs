//! Looking at every entry of a namespace.

use std::{
    ffi::OsStr,
    fs, io,
    path::{Path, PathBuf},
};

use larder_core::Key;

use super::{
    Layout, Record,
    index::{self, Part, Read},
    paths::{DATA, INDEX, is_hex, is_place_of, space_name},
};
use crate::files::list;

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
            for_each_leaf(&data, INDEX, &mut |bucket| {
                let listed = match index::read(&bucket, Part::Line)? {
                    Read::Nothing => return Ok(()),
                    // A copy under another name is nobody's entry.
                    Read::Line(line) if is_place_of(&bucket, &line.key) => {
                        Listed::Entry(line.key, line.record)
                    }
                    Read::Line(_) | Read::Damaged => Listed::Damaged(bucket),
                };
                visit(&data, listed)
            })?;
        }
        Ok(())
    }

    /// The directory of every namespace. Where it, or what is below it, is a link, that leads to what is not ours.
    pub(super) fn spaces(&self) -> io::Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        for entry in list(&self.spaces)? {
            let path = entry.path();
            if entry.file_type()?.is_dir() && is_directory(&path.join(DATA)) {
                found.push(path);
            }
        }
        Ok(found)
    }
}

/// Every file `<tree>/aa/bb/<name>` in a namespace's data whose name has as many hexadecimal digits as ours have there: no
/// other file is ours, and nothing is that a link leads to.
pub(super) fn for_each_leaf(
    data: &Path,
    tree: &str,
    visit: &mut dyn FnMut(PathBuf) -> io::Result<()>,
) -> io::Result<()> {
    let len = if tree == INDEX { 36 } else { 28 };
    let mut top = data.to_owned();
    for part in tree.split('/') {
        top.push(part);
        if !is_directory(&top) {
            return Ok(());
        }
    }
    for outer in subdirectories(&top)? {
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

/// The temporary files of a namespace.
pub(super) fn temporary_files(data: &Path) -> io::Result<Vec<PathBuf>> {
    let directory = data.join("tmp");
    if !is_directory(&directory) {
        return Ok(Vec::new());
    }
    let ours = list(&directory)?.into_iter().map(|file| file.path());
    let is_temporary = |path: &PathBuf| {
        path.file_name().and_then(OsStr::to_str).is_some_and(|name| name.starts_with(".tmp"))
    };
    Ok(ours.filter(is_temporary).collect())
}

/// Those of our own names; a link is not followed.
fn subdirectories(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in list(path)? {
        if is_named(&entry.file_name(), 2) && entry.file_type()?.is_dir() {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// A link to one is none.
fn is_directory(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.is_dir())
}

fn is_named(name: &OsStr, len: usize) -> bool {
    name.to_str().is_some_and(|name| is_hex(name, len))
}
