//! What only the file store promises.
#![expect(clippy::disallowed_methods, reason = "a test waits at the outermost edge")]
#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod bounds;
mod directory;
mod faults;
mod files;
mod forged;
mod hostile;
mod time;

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use larder_core::{CacheStore, Expiry, Key, Namespace, Value};
use larder_filesystem::FileSystemStore;

/// A value of so many bytes has a file of its own: what is kept, a byte for its kind included, is over 256 KiB.
const LARGE: usize = (256 << 10) + 1;

fn key(text: &str) -> Key {
    Key::new(&Namespace::root(), text).unwrap()
}

fn bytes(text: &str) -> Value {
    Value::Bytes(text.to_owned().into())
}

async fn open(path: &Path) -> FileSystemStore {
    FileSystemStore::builder(path).open().await.unwrap()
}

async fn put(store: &FileSystemStore, name: &str, text: &str) {
    store.set(&key(name), bytes(text), Expiry::Never).await.unwrap();
}

/// The text under a key.
async fn text(store: &FileSystemStore, name: &str) -> Option<String> {
    match store.get(&key(name)).await.unwrap()? {
        Value::Bytes(bytes) => Some(String::from_utf8(bytes.to_vec()).unwrap()),
        other => panic!("{other:?}"),
    }
}

/// Waits for the background, some seconds at most.
async fn eventually(what: &str, is_true: impl Fn() -> bool) {
    for _ in 0..500 {
        if is_true() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("never: {what}");
}

/// Every file below a directory.
fn files(path: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(&entry.path()));
        } else {
            found.push(entry.path());
        }
    }
    found
}

/// The files of one part of the namespaces' directories: of the index, of the contents, or of those being written.
fn files_in(store: &Path, tree: &str) -> Vec<PathBuf> {
    let tree = format!("/data/{tree}/");
    let is_in = |file: &PathBuf| file.to_string_lossy().contains(&tree);
    files(&store.join("spaces")).into_iter().filter(is_in).collect()
}

/// What a directory takes on the disk, directories included, in blocks of 4 KiB.
fn disk_use(path: &Path) -> u64 {
    let mut total = 4_096;
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        total += if entry.file_type().unwrap().is_dir() {
            disk_use(&entry.path())
        } else {
            entry.metadata().map_or(0, |found| found.len().div_ceil(4_096) * 4_096)
        };
    }
    total
}
