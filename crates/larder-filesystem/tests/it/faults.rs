//! A disk that refuses, and a directory that goes away.

use std::{
    error::Error as _,
    fs, io,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use larder_core::{CacheStore, Error, ErrorKind, Expiry, Namespace, Value};
use larder_filesystem::FileSystemStore;

use crate::{bytes, files_in, key, open, put, text};

/// A small file system of its own, unmounted at the end. `None`, with the reason printed, where none may be mounted.
struct Mount(tempfile::TempDir);

impl Mount {
    fn tmpfs(size: &str) -> Option<Self> {
        let home = tempfile::tempdir().unwrap();
        let options = format!("size={size}");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(home.path()).output();
        match mounted {
            Ok(output) if output.status.success() => Some(Self(home)),
            Ok(output) => skip(&String::from_utf8_lossy(&output.stderr)),
            Err(error) => skip(&error.to_string()),
        }
    }

    fn remount(&self, mode: &str) {
        let options = format!("remount,{mode}");
        assert!(Command::new("mount").args(["-o", &options]).arg(self.0.path()).status().unwrap().success());
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Lazily: the store may not have closed its files yet.
        let unmounted = Command::new("umount").arg("-l").arg(self.0.path()).status();
        assert!(unmounted.is_ok_and(|status| status.success()), "{} stays mounted", self.0.path().display());
    }
}

#[expect(clippy::print_stderr, reason = "a test that cannot run says why")]
fn skip<T>(reason: &str) -> Option<T> {
    eprintln!("skipped: no file system can be mounted here: {}", reason.trim());
    None
}

fn is_kept(error: &Error, wanted: io::ErrorKind) {
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    assert!(error.source().is_some());
    assert_eq!(error.downcast_ref::<io::Error>().unwrap().kind(), wanted, "{error:?}");
}

#[tokio::test]
async fn a_full_disk_is_an_error_and_keeps_the_old_value() {
    let Some(mount) = Mount::tmpfs("2m") else { return };
    let path = mount.path().join("c");
    let store = open(&path).await;
    put(&store, "k", "old").await;
    let mut refused = None;
    for number in 0..200 {
        let value = Value::Bytes(vec![0; 50_000].into());
        if let Err(error) = store.set(&key(&number.to_string()), value, Expiry::Never).await {
            refused = Some(error);
            break;
        }
    }
    let refused = refused.expect("2 MB do not hold 10");
    is_kept(&refused, io::ErrorKind::StorageFull);
    assert!(refused.is_retryable());
    let error = store.set(&key("k"), Value::Bytes(vec![0; 200_000].into()), Expiry::Never).await.unwrap_err();
    is_kept(&error, io::ErrorKind::StorageFull);
    assert_eq!(text(&store, "k").await.as_deref(), Some("old"));
    assert_eq!(files_in(&path, "tmp"), Vec::<std::path::PathBuf>::new(), "nothing half written");
    // Deleting needs no space, and gives some back.
    for number in 0..5 {
        assert!(store.delete(&key(&number.to_string())).await.unwrap());
    }
    put(&store, "k", "new").await;
    assert_eq!(text(&store, "k").await.as_deref(), Some("new"));
    store.clear(&Namespace::root()).await.unwrap();
}

#[tokio::test]
async fn a_read_only_directory_can_be_read() {
    let Some(mount) = Mount::tmpfs("4m") else { return };
    let path = mount.path().join("c");
    let store = open(&path).await;
    put(&store, "k", "v").await;
    drop(store);
    // The background of the one before still closes its files.
    tokio::time::sleep(Duration::from_millis(300)).await;
    mount.remount("ro");
    let store = open(&path).await;
    assert_eq!(text(&store, "k").await.as_deref(), Some("v"));
    assert_eq!(text(&store, "missing").await, None);
    assert_eq!(store.len().await.unwrap(), 1);
    let error = store.set(&key("k"), bytes("new"), Expiry::Never).await.unwrap_err();
    is_kept(&error, io::ErrorKind::ReadOnlyFilesystem);
    assert!(!error.is_retryable());
    is_kept(&store.delete(&key("k")).await.unwrap_err(), io::ErrorKind::ReadOnlyFilesystem);
    is_kept(&store.clear(&Namespace::root()).await.unwrap_err(), io::ErrorKind::ReadOnlyFilesystem);
    let new = FileSystemStore::builder(mount.path().join("new")).open().await.unwrap_err();
    is_kept(&new, io::ErrorKind::ReadOnlyFilesystem);
    mount.remount("rw");
    put(&store, "k", "new").await;
    assert_eq!(text(&store, "k").await.as_deref(), Some("new"));
}

#[tokio::test]
async fn a_directory_removed_under_it_is_an_error_until_it_is_there_again() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("c");
    let store = open(&path).await;
    put(&store, "k", "v").await;
    fs::remove_dir_all(&path).unwrap();
    let errors = [
        store.get(&key("k")).await.map(drop),
        store.set(&key("k"), bytes("v"), Expiry::Never).await,
        store.delete(&key("k")).await.map(drop),
        store.has(&key("k")).await.map(drop),
        store.increment(&key("n"), 1, Expiry::Never).await.map(drop),
        store.touch(&key("k"), Expiry::Never).await.map(drop),
        store.expiry(&key("k")).await.map(drop),
        store.clear(&Namespace::root()).await,
        store.keys(&Namespace::root()).await.map(drop),
        store.len().await.map(drop),
    ];
    for (number, result) in errors.into_iter().enumerate() {
        is_kept(&result.expect_err(&number.to_string()), io::ErrorKind::NotFound);
    }
    assert!(!path.exists(), "nothing is made again behind the back of whoever removed it");
    let again = open(&path).await;
    put(&store, "k", "back").await;
    assert_eq!(text(&again, "k").await.as_deref(), Some("back"));
}

#[tokio::test]
async fn a_lock_that_is_not_given_back_ends_in_an_error_in_time() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("c");
    let limit = Duration::from_millis(500);
    let store = FileSystemStore::builder(&path).operation_timeout(limit).open().await.unwrap();
    put(&store, "k", "v").await;
    // As a process that was stopped in the middle of a write.
    let held: Vec<_> = fs::read_dir(path.join("locks"))
        .unwrap()
        .map(|entry| {
            let file = fs::File::open(entry.unwrap().path()).unwrap();
            file.lock().unwrap();
            file
        })
        .collect();
    let began = Instant::now();
    let error = store.set(&key("k"), bytes("new"), Expiry::Never).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Timeout | ErrorKind::Ambiguous), "{error:?}");
    assert!(began.elapsed() < 10 * limit);
    assert_eq!(text(&store, "k").await.as_deref(), Some("v"), "readers wait for nobody");
    let error = store.clear(&Namespace::root()).await.unwrap_err();
    assert_eq!(
        error.kind(),
        ErrorKind::Timeout,
        "who writes meanwhile would write what was cleared: {error:?}"
    );
    assert_eq!(text(&store, "k").await.as_deref(), Some("v"));
    drop(held);
    tokio::time::sleep(2 * limit).await;
    put(&store, "k", "newest").await;
    assert_eq!(text(&store, "k").await.as_deref(), Some("newest"));
}

#[tokio::test]
async fn a_lock_that_is_not_given_back_keeps_no_reader_waiting_and_soon_no_writer() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("c");
    let limit = Duration::from_secs(2);
    let store = FileSystemStore::builder(&path).operation_timeout(limit).open().await.unwrap();
    put(&store, "k", "v").await;
    let store = std::sync::Arc::new(store);
    let held =
        fs::File::open(fs::read_dir(path.join("locks")).unwrap().next().unwrap().unwrap().path()).unwrap();
    held.lock().unwrap();
    // More than there are places for.
    let writers: Vec<_> = (0..100)
        .map(|_| {
            let store = std::sync::Arc::clone(&store);
            tokio::spawn(async move { store.set(&key("k"), bytes("new"), Expiry::Never).await })
        })
        .collect();
    tokio::time::sleep(limit / 10).await;
    let began = Instant::now();
    assert_eq!(text(&store, "k").await.as_deref(), Some("v"));
    assert!(began.elapsed() < limit * 3 / 4, "{:?}", began.elapsed());
    for writer in writers {
        let error = writer.await.unwrap().unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Timeout | ErrorKind::Ambiguous), "{error:?}");
    }
    // Whoever got a place at the last moment waits for as long again.
    tokio::time::sleep(limit + limit / 2).await;
    drop(held);
    tokio::time::sleep(limit / 4).await;
    assert_eq!(text(&store, "k").await.as_deref(), Some("v"), "nobody writes so long after its caller left");
    put(&store, "k", "next").await;
    assert_eq!(text(&store, "k").await.as_deref(), Some("next"));
}
