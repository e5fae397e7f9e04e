//! Where the servers' programs are, and which Debian package brings one that is missing.

use std::fmt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// When set, programs are looked for in this directory alone.
const ONLY: &str = "LARDER_TESTBED_PROGRAMS";

/// A program of a server, and the Debian package it comes with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Program {
    name: &'static str,
    package: &'static str,
}

/// `redis-server`, which is Sentinel too.
pub const REDIS: Program = Program { name: "redis-server", package: "redis-server" };
/// `memcached`.
pub const MEMCACHED: Program = Program { name: "memcached", package: "memcached" };
/// `initdb`, which makes a data directory.
pub const INITDB: Program = Program { name: "initdb", package: "postgresql" };
/// `postgres`.
pub const POSTGRES: Program = Program { name: "postgres", package: "postgresql" };
/// `pgbouncer`.
pub const PGBOUNCER: Program = Program { name: "pgbouncer", package: "pgbouncer" };

/// A program that is not there.
#[derive(Clone, Copy, Debug)]
pub struct Missing(Program);

impl Program {
    /// In `PATH`, or where Debian puts it.
    pub fn find(self) -> Result<PathBuf, Missing> {
        search(self.name).ok_or(Missing(self))
    }
}

impl Missing {
    /// The Debian package that brings it.
    pub fn package(&self) -> &'static str {
        self.0.package
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Program { name, package } = self.0;
        write!(f, "`{name}` is not installed; it comes with the Debian package `{package}`")
    }
}

impl std::error::Error for Missing {}

/// A program by its name.
pub(crate) fn search(name: &str) -> Option<PathBuf> {
    if let Some(only) = std::env::var_os(ONLY) {
        return Some(Path::new(&only).join(name)).filter(|path| is_program(path));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/bin", "/usr/sbin", "/bin", "/sbin", "/usr/local/bin"].map(PathBuf::from);
    let mut directories = std::env::split_paths(&path).chain(usual).chain(postgresql());
    directories.find_map(|directory| Some(directory.join(name)).filter(|path| is_program(path)))
}

/// Debian keeps each version of PostgreSQL apart; the newest comes first.
fn postgresql() -> Vec<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let number = |path: &PathBuf| path.file_name()?.to_str()?.parse::<u32>().ok();
    let mut versions: Vec<PathBuf> = versions.map(|entry| entry.path()).collect();
    versions.sort_by_key(|path| std::cmp::Reverse(number(path)));
    versions.into_iter().map(|path| path.join("bin")).collect()
}

fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}
