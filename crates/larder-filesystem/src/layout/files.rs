//! Small steps on files, where what is missing is no error.

use std::{
    fs::{self, DirEntry, File},
    io,
    path::Path,
};

/// Removes a file; `true` if it was there. What is not a file stays.
pub(super) fn remove(path: &Path) -> io::Result<bool> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(false)
        }
        Err(error) if error.kind() == io::ErrorKind::IsADirectory => Ok(false),
        Err(error) => Err(error),
    }
}

/// Removes the two directories above a file where they are empty now: thousands of empty ones take more space than the
/// values did. A writer that has just made one of them tries again.
pub(super) fn remove_parents(path: &Path) {
    for directory in path.ancestors().skip(1).take(2) {
        // Not empty is the usual answer.
        if fs::remove_dir(directory).is_err() {
            return;
        }
    }
}

/// What is in a directory; nothing where it is none.
pub(super) fn list(path: &Path) -> io::Result<Vec<DirEntry>> {
    match fs::read_dir(path) {
        Ok(entries) => entries.collect(),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(Vec::new())
        }
        Err(error) => Err(error),
    }
}

pub(super) fn flush_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Flushes the directories above a file, up to `top`.
pub(super) fn flush_parents(path: &Path, top: &Path) -> io::Result<()> {
    for directory in path.ancestors().skip(1) {
        flush_directory(directory)?;
        if directory == top {
            break;
        }
    }
    Ok(())
}
