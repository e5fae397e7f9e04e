//! Starting this program again, and looking at files.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use larder_core::{Key, Namespace};
use tokio::runtime::{Builder, Runtime};

pub(crate) const ROLE: &str = "LARDER_FILESYSTEM_ROLE";
const PATH: &str = "LARDER_FILESYSTEM_PATH";
const NUMBER: &str = "LARDER_FILESYSTEM_NUMBER";

/// This program once more, in a role, as one of several.
pub(crate) fn start(role: &str, path: &Path, number: usize) -> Child {
    command(&env::current_exe().unwrap(), role, path, number).stdout(Stdio::null()).spawn().unwrap()
}

pub(crate) fn command(program: &Path, role: &str, path: &Path, number: usize) -> Command {
    let mut command = Command::new(program);
    command.env(ROLE, role).env(PATH, path).env(NUMBER, number.to_string());
    // For the role that is a test program itself: four of them share the processors.
    command.arg("--test-threads=2");
    command
}

pub(crate) fn path() -> PathBuf {
    env::var_os(PATH).unwrap().into()
}

pub(crate) fn number() -> usize {
    env::var(NUMBER).unwrap().parse().unwrap()
}

pub(crate) fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

pub(crate) fn key(text: &str) -> Key {
    Key::new(&Namespace::root(), text).unwrap()
}

/// Every file below a directory.
fn files(path: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(path).into_iter().flatten() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(&entry.path()));
        } else {
            found.push(entry.path());
        }
    }
    found
}

/// How many files below a store's directory are in directories of that name.
pub(crate) fn count(store: &Path, directory: &str) -> usize {
    let is_in = |file: &PathBuf| file.strip_prefix(store).unwrap().iter().any(|part| part == directory);
    files(store).iter().filter(|file| is_in(file)).count()
}
