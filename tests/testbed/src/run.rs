//! The temporary directory of a run: sockets, data, logs and certificates lie in it, and go with it.

use std::fs::{File, Permissions, TryLockError};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::account::Account;

const PREFIX: &str = "larder-testbed-";
/// Held for as long as the run lives, so that what a killed run left behind can be told from a run at work.
const LOCK: &str = "lock";
/// A socket's path ends at 107 bytes; this leaves room for what we append.
const LONGEST_BASE: usize = 40;

/// One run: a temporary directory, removed with the last clone. Servers hold clones.
#[derive(Clone, Debug)]
pub struct Run(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    directory: TempDir,
    account: Option<Account>,
    _lock: File,
}

impl Run {
    /// A new, empty directory that the servers' user owns.
    pub fn new() -> Result<Self> {
        let account = Account::for_servers()?;
        let base = base();
        sweep(&base);
        let directory = tempfile::Builder::new().prefix(PREFIX).tempdir_in(&base);
        let directory =
            directory.with_context(|| format!("cannot make a directory in {}", base.display()))?;
        let lock = File::create(directory.path().join(LOCK)).context("cannot make the run's lock")?;
        lock.lock().context("cannot take the run's lock")?;
        let run = Self(Arc::new(Inner { directory, account, _lock: lock }));
        run.hand_over(run.path(), 0o700)?;
        Ok(run)
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        self.0.directory.path()
    }

    /// Whose servers these are: `None` when they run as whoever we are.
    pub(crate) fn account(&self) -> Option<Account> {
        self.0.account
    }

    /// A subdirectory for one server.
    pub(crate) fn directory(&self, name: &str) -> Result<PathBuf> {
        let path = self.path().join(name);
        std::fs::create_dir(&path).with_context(|| format!("cannot make {}", path.display()))?;
        self.hand_over(&path, 0o700)?;
        Ok(path)
    }

    /// Writes a file that only the servers' user (and root) may read.
    pub(crate) fn secret_file(&self, path: &Path, text: &str) -> Result<()> {
        std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
        self.hand_over(path, 0o600)
    }

    fn hand_over(&self, path: &Path, mode: u32) -> Result<()> {
        let context = || format!("cannot give {} to the servers", path.display());
        std::fs::set_permissions(path, Permissions::from_mode(mode)).with_context(context)?;
        if let Some(account) = self.0.account {
            std::os::unix::fs::chown(path, Some(account.uid), Some(account.gid)).with_context(context)?;
        }
        Ok(())
    }
}

/// The system's temporary directory, unless sockets in it would have too long a path or others could not enter it.
fn base() -> PathBuf {
    let base = std::env::temp_dir();
    let all_may_enter =
        |path: &Path| path.metadata().is_ok_and(|metadata| metadata.permissions().mode() & 0o001 != 0);
    let fits = base.is_absolute() && base.as_os_str().len() <= LONGEST_BASE;
    if fits && base.ancestors().all(all_may_enter) { base } else { PathBuf::from("/tmp") }
}

/// Removes what killed runs left. A run that cannot be removed (another user's) does not concern this one.
fn sweep(base: &Path) {
    for entry in std::fs::read_dir(base).into_iter().flatten().flatten() {
        let path = entry.path();
        let is_run = entry.file_name().to_string_lossy().starts_with(PREFIX);
        if is_run && is_abandoned(&path) {
            let _ = std::fs::remove_dir_all(&path);
        }
    }
}

fn is_abandoned(directory: &Path) -> bool {
    // A young one may not have its lock yet.
    let young = |metadata: std::fs::Metadata| {
        let made = Duration::from_secs(u64::try_from(metadata.mtime()).unwrap_or(0));
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        now.saturating_sub(made) < Duration::from_mins(1)
    };
    let Ok(lock) = File::open(directory.join(LOCK)) else { return false };
    !matches!(lock.try_lock(), Err(TryLockError::WouldBlock | TryLockError::Error(_)))
        && !directory.metadata().is_ok_and(young)
}
