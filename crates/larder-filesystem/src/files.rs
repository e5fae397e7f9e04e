//! Small steps on files. What is missing is no error where that is said.

use std::{
    fs::{self, DirEntry, File, OpenOptions},
    io::{self, Write as _},
    path::Path,
};

use crate::{error, faults, trash::Trash};

/// Opens a file to read it. Neither follows a link in its last place nor waits for the other end of a pipe.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    faults::before()?;
    careful(OpenOptions::new().read(true)).open(path)
}

/// Opens a file of ours to lock or date it, making it where it is missing. What is in its place and no file is moved
/// away.
pub(crate) fn open_or_make(path: &Path, trash: &Trash) -> io::Result<File> {
    faults::before()?;
    let open = || {
        // Making one locks the directory, also where it is there already.
        match careful(OpenOptions::new().read(true).write(true)).open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                careful(OpenOptions::new().read(true).write(true).create(true).truncate(false)).open(path)
            }
            other => other,
        }
    };
    match open() {
        Err(error) if error::is_of_this_file(&error) && is_no_file(path) => {
            fs::rename(path, trash.place()?)?;
            open()
        }
        other => other,
    }
}

/// Whether an open file is still the one under that name.
#[cfg(unix)]
pub(crate) fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    faults::before()?;
    let here = file.metadata()?;
    match fs::symlink_metadata(path) {
        Ok(there) => Ok((here.dev(), here.ino()) == (there.dev(), there.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// An open file cannot be removed there.
#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "elsewhere it fails")]
pub(crate) fn is_at(_file: &File, _path: &Path) -> io::Result<bool> {
    Ok(true)
}

fn is_no_file(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| !found.is_file())
}

#[cfg(unix)]
fn careful(options: &mut OpenOptions) -> &mut OpenOptions {
    use std::os::unix::fs::OpenOptionsExt;

    use rustix::fs::OFlags;
    options.custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed())
}

#[cfg(not(unix))]
fn careful(options: &mut OpenOptions) -> &mut OpenOptions {
    options
}

/// Writes a new file of several parts.
pub(crate) fn write(path: &Path, parts: &[&[u8]], flush: bool) -> io::Result<()> {
    faults::before()?;
    let mut file = File::create(path)?;
    for part in parts {
        faults::before()?;
        file.write_all(part)?;
    }
    if flush {
        faults::before_flush()?;
        file.sync_data()?;
    }
    Ok(())
}

/// Puts a file in the place of what may be there.
pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    faults::before()?;
    fs::rename(from, to)?;
    faults::after()
}

/// Swaps two files, where the file system can. Unlike a rename over a file, it is not taken by ext4 as a wish to have the
/// new one written to the disk at once, which costs ten times as much as all the rest.
#[cfg(target_os = "linux")]
pub(crate) fn exchange(one: &Path, other: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    faults::before()?;
    renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE)?;
    faults::after()
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn exchange(_one: &Path, _other: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Removes a file; `true` if it was there. What is not a file stays.
pub(crate) fn remove(path: &Path) -> io::Result<bool> {
    use io::ErrorKind as Io;
    faults::before_removal()?;
    match fs::remove_file(path) {
        Ok(()) => faults::after().map(|()| true),
        Err(error) if matches!(error.kind(), Io::NotFound | Io::NotADirectory | Io::IsADirectory) => {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// Removes the directories above a file, so many at most, as long as they are empty: thousands of empty ones take more
/// space than the values did. A writer that has just made one of them tries again.
pub(crate) fn remove_parents(path: &Path, levels: usize) {
    for directory in path.ancestors().skip(1).take(levels) {
        // Not empty is the usual answer.
        if fs::remove_dir(directory).is_err() {
            return;
        }
    }
}

/// Makes a directory with those above it, up to one that must be there.
pub(crate) fn make_directories(path: &Path, top: &Path) -> io::Result<()> {
    let mut missing: Vec<_> = path.ancestors().take_while(|directory| *directory != top).collect();
    while let Some(directory) = missing.pop() {
        faults::before()?;
        match fs::create_dir(directory) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            other => other?,
        }
    }
    Ok(())
}

/// What is in a directory; nothing where it is none.
pub(crate) fn list(path: &Path) -> io::Result<Vec<DirEntry>> {
    faults::before()?;
    match fs::read_dir(path) {
        Ok(entries) => entries.collect(),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(Vec::new())
        }
        Err(error) => Err(error),
    }
}

/// Whether anything is there.
pub(crate) fn exists(path: &Path) -> io::Result<bool> {
    faults::before()?;
    match fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

pub(crate) fn flush_directory(path: &Path) -> io::Result<()> {
    faults::before_flush()?;
    File::open(path)?.sync_all()
}

/// Flushes the directories above a file, up to `top`.
pub(crate) fn flush_parents(path: &Path, top: &Path) -> io::Result<()> {
    for directory in path.ancestors().skip(1) {
        flush_directory(directory)?;
        if directory == top {
            break;
        }
    }
    Ok(())
}
