//! The directory: whether it is ours, and who else has it open.

use std::{
    fs::{self, DirBuilder, File},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::{Duration, SystemTime},
};

use larder_core::{Clock as _, Error, ErrorKind, Result, SystemClock};

use crate::{config::Durability, error, files, locks, random::Random, trash::Trash};

/// What makes a directory ours.
const MARKER: &str = "larder.store";
const MARKER_TEXT: &str = "Larder file store, layout 1\n\
    This directory belongs to a cache: whatever is in it may be removed at any time.\n\
    To empty it, stop the programs that use it and delete the whole directory.\n";
/// The first line alone decides.
const LAYOUT: &str = "Larder file store, layout 1\n";

/// The directories in it.
const PARTS: [&str; 3] = ["locks", "spaces", "trash"];

/// How often, a millisecond apart, the next tick of the file system's clock is looked for.
const TICK_TRIES: usize = 30;

/// An opened directory.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    trash: Trash,
    /// Holds the shared lock for as long as the store lives.
    _presence: File,
    /// Where nobody else had it open: when that was, by the file system's own clock. What is older was left by the dead.
    pub(crate) alone_at: Option<SystemTime>,
}

impl Directory {
    /// Opens the directory, making it where it is missing.
    pub(crate) fn open(
        path: &Path,
        durability: Durability,
        random: &Arc<dyn Random>,
        patience: Duration,
    ) -> Result<Self> {
        claim(path, &**random)?;
        let enter = || {
            let path = resolved(path)?;
            if durability == Durability::Data {
                files::flush_directory(&path)?;
                path.parent().map_or(Ok(()), files::flush_directory)?;
            }
            Self::enter(&path, Trash::new(&path, Arc::clone(random)), patience)
        };
        enter().map_err(|cause| error::not_opened(path, cause))
    }

    fn enter(path: &Path, trash: Trash, patience: Duration) -> io::Result<Self> {
        let lock = path.join("lock");
        // Where nothing can be written, reading what is there still works.
        let presence =
            files::open_or_make(&lock, &trash).or_else(|refusal| files::open(&lock).map_err(|_| refusal))?;
        let mut directory =
            Self { path: path.to_owned(), trash, _presence: presence.try_clone()?, alone_at: None };
        if presence.try_lock().is_ok() {
            directory.alone_at = directory.next_tick().ok();
        }
        // From exclusive to shared, where it was had; another opener may come between, alone in its turn.
        let clock = SystemClock::new();
        locks::wait_for(&clock, clock.now(), patience, || presence.try_lock_shared())?;
        Ok(directory)
    }

    /// The time by the file system's own clock: files are dated by that, whatever the store's clock says.
    pub(crate) fn now(&self) -> io::Result<SystemTime> {
        // Not in what others made where it was.
        self.check()?;
        let mut file = files::open_or_make(&self.path.join("stamp"), &self.trash)?;
        file.write_all(b".")?;
        file.metadata()?.modified()
    }

    /// A time that is after every file there is, and not after any that is made from now on: files are dated in ticks of
    /// some milliseconds, so that one left just before could look like one of ours. Where a tick takes longer, what is as
    /// old as this is left to the sweeps.
    fn next_tick(&self) -> io::Result<SystemTime> {
        let now = self.now()?;
        let mut next = now;
        for _ in 0..TICK_TRIES {
            if next > now {
                break;
            }
            #[expect(
                clippy::disallowed_methods,
                reason = "on a thread that may block, for a clock of its own"
            )]
            thread::sleep(Duration::from_millis(1));
            next = self.now()?;
        }
        Ok(next)
    }

    /// Whether it is still there. A miss in a directory that is gone would be a lie.
    pub(crate) fn check(&self) -> io::Result<()> {
        check(&self.path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// Whether a directory is still there, with its mark.
pub(crate) fn check(path: &Path) -> io::Result<()> {
    if files::exists(&path.join(MARKER))? { Ok(()) } else { Err(io::ErrorKind::NotFound.into()) }
}

/// The directory itself, whatever the program's working directory, or a link on the way, becomes later: half of an operation
/// elsewhere would be under no lock.
#[cfg(unix)]
fn resolved(path: &Path) -> io::Result<PathBuf> {
    fs::canonicalize(path)
}

#[cfg(not(unix))]
fn resolved(path: &Path) -> io::Result<PathBuf> {
    std::path::absolute(path)
}

/// Makes sure that the directory is ours, or makes it ours where it is empty.
fn claim(path: &Path, random: &dyn Random) -> Result<()> {
    match read_mark(path) {
        Ok(text) => return check_layout(path, &text).and_then(|()| complete(path)),
        Err(refusal) if refusal.kind() == io::ErrorKind::NotFound => {}
        Err(refusal) if refusal.kind() == io::ErrorKind::NotADirectory => return Err(no_directory(path)),
        Err(refusal) => return Err(error::not_opened(path, refusal)),
    }
    create(path).map_err(|refusal| match refusal.kind() {
        io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => no_directory(path),
        _ => error::not_opened(path, refusal),
    })?;
    if !is_empty(path).map_err(|cause| error::not_opened(path, cause))? {
        // Another process may have claimed it since.
        return match read_mark(path) {
            Ok(text) => check_layout(path, &text).and_then(|()| complete(path)),
            Err(_) => Err(not_ours(path)),
        };
    }
    mark(path, random).map_err(|cause| error::not_opened(path, cause))?;
    complete(path)
}

/// The start of the mark, whatever was put in its place: a text without end, or a pipe.
fn read_mark(path: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    let mark = match files::open(&path.join(MARKER)) {
        // Something is there, and is no file.
        Err(refusal) if error::is_of_this_file(&refusal) && is_marked(path) => return Ok(text),
        other => other?,
    };
    if mark.metadata()?.is_file() {
        mark.take(LAYOUT.len() as u64).read_to_end(&mut text)?;
    }
    Ok(text)
}

/// Whether something that is no file is in the place of the mark.
fn is_marked(path: &Path) -> bool {
    fs::symlink_metadata(path.join(MARKER)).is_ok_and(|found| !found.is_file())
}

fn not_ours(path: &Path) -> Error {
    let rest = PARTS.iter().any(|part| path.join(part).is_dir());
    let what = if rest {
        "what is left of a Larder store without its mark; if it is that, delete the whole directory"
    } else {
        "not empty and not a Larder store; give one of its own"
    };
    Error::new(ErrorKind::Config, format!("`path` is {}: that directory is {what}", path.display()))
}

fn check_layout(path: &Path, text: &[u8]) -> Result<()> {
    if text.starts_with(LAYOUT.as_bytes()) {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Config,
        format!(
            "`path` is {}: its `{MARKER}` is of another layout or damaged; delete the directory or give another",
            path.display()
        ),
    ))
}

fn no_part(path: &Path, part: &str) -> Error {
    Error::new(
        ErrorKind::Config,
        format!(
            "`path` is {}: its `{part}` is not a directory; delete the directory or give another",
            path.display()
        ),
    )
}

fn no_directory(path: &Path) -> Error {
    Error::new(ErrorKind::Config, format!("`path` is {}: that is not a directory", path.display()))
}

#[cfg(unix)]
fn create(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    let permissions = fs::metadata(path)?.permissions();
    if permissions.mode() & 0o077 != 0 && is_empty(path)? {
        fs::set_permissions(path, fs::Permissions::from_mode(0o700))?;
    }
    Ok(())
}

#[cfg(not(unix))]
fn create(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).create(path)
}

/// Whether nothing is there, but for what others that claim it at this moment may have begun, and for empty directories
/// of ours, which a write leaves that a removal of the whole came between.
fn is_empty(path: &Path) -> io::Result<bool> {
    for entry in fs::read_dir(path)? {
        let name = entry?.file_name();
        let is_ours = PARTS.iter().any(|part| name == **part) && holds_no_file(&path.join(&name))?;
        if !is_ours && !name.to_string_lossy().starts_with(MARKER) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn holds_no_file(path: &Path) -> io::Result<bool> {
    if !fs::symlink_metadata(path)?.is_dir() {
        return Ok(false);
    }
    for entry in files::list(path)? {
        if !holds_no_file(&entry.path())? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whole or not at all, also after a power loss: another opener must not read half of it, and refuse what is ours.
fn mark(path: &Path, random: &dyn Random) -> io::Result<()> {
    let begun = path.join(format!("{MARKER}.{}", hex::encode(random.nonce()?)));
    let written = files::write(&begun, &[MARKER_TEXT.as_bytes()], true)
        .and_then(|()| files::rename(&begun, &path.join(MARKER)));
    if written.is_err() {
        // The first error is the one to tell.
        let _ = files::remove(&begun);
    }
    written
}

/// The parts that operations take for granted.
fn complete(path: &Path) -> Result<()> {
    for part in PARTS {
        match fs::create_dir(path.join(part)) {
            Err(refusal) if refusal.kind() == io::ErrorKind::AlreadyExists => {
                if !path.join(part).is_dir() {
                    return Err(no_part(path, part));
                }
            }
            // A store that is there can be read where nothing can be made.
            Err(refusal) if refusal.kind() == io::ErrorKind::ReadOnlyFilesystem => {}
            other => other.map_err(|cause| error::not_opened(path, cause))?,
        }
    }
    Ok(())
}
