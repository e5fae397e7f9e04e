use std::fs;

use larder_core::ErrorKind;
use larder_filesystem::FileSystemStore;

use crate::{open, put, text};

#[tokio::test]
async fn entries_outlive_the_store() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("deep/er/c");
    put(&open(&path).await, "k", "kept").await;
    assert_eq!(text(&open(&path).await, "k").await.as_deref(), Some("kept"));
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_can_look() {
    use std::os::unix::fs::PermissionsExt;
    let home = tempfile::tempdir().unwrap();
    let empty = home.path().join("empty");
    fs::create_dir(&empty).unwrap();
    fs::set_permissions(&empty, fs::Permissions::from_mode(0o755)).unwrap();
    for path in [home.path().join("new"), empty] {
        let _store = open(&path).await;
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700, "{}", path.display());
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_store_stays_where_it_was_opened_whatever_the_link_to_it_becomes() {
    use std::os::unix::fs::symlink;
    let home = tempfile::tempdir().unwrap();
    let (one, other) = (home.path().join("one"), home.path().join("other"));
    let current = home.path().join("current");
    fs::create_dir(&one).unwrap();
    fs::create_dir(&other).unwrap();
    symlink(&one, &current).unwrap();
    let store = open(&current.join("c")).await;
    put(&store, "k", "v").await;
    let neighbour = open(&other.join("c")).await;
    put(&neighbour, "k", "of another release").await;
    fs::remove_file(&current).unwrap();
    symlink(&other, &current).unwrap();
    assert_eq!(text(&store, "k").await.as_deref(), Some("v"));
    put(&store, "k", "w").await;
    assert_eq!(text(&neighbour, "k").await.as_deref(), Some("of another release"));
    assert_eq!(text(&open(&one.join("c")).await, "k").await.as_deref(), Some("w"));
}

#[tokio::test]
async fn a_directory_of_others_is_refused_and_left_alone() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("thesis.txt"), "precious").unwrap();
    let error = FileSystemStore::builder(home.path()).open().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("not empty and not a Larder store"), "{error}");
    let names: Vec<_> = fs::read_dir(home.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["thesis.txt"]);
}

#[tokio::test]
async fn a_file_and_an_unknown_layout_are_refused() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("file");
    fs::write(&file, "").unwrap();
    for path in [file.clone(), file.join("below")] {
        let error = FileSystemStore::builder(path).open().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("not a directory"), "{error}");
    }
    let path = home.path().join("c");
    drop(open(&path).await);
    fs::write(path.join("larder.store"), "Larder file store, layout 2\n").unwrap();
    let error = FileSystemStore::builder(&path).open().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("another layout"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_can_open_a_new_directory_at_once() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("c");
    let opening: Vec<_> = (0..16)
        .map(|_| {
            let path = path.clone();
            tokio::spawn(async move { open(&path).await })
        })
        .collect();
    for store in opening {
        put(&store.await.unwrap(), "k", "v").await;
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn where_no_directory_can_be_made_the_path_is_named() {
    let error = FileSystemStore::builder("/proc/larder/c").open().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(
        error.to_string().starts_with("`path` is /proc/larder/c: no directory can be made there: "),
        "{error}"
    );
}

#[test]
fn outside_a_runtime_it_says_so() {
    let home = tempfile::tempdir().unwrap();
    let mut opening = std::pin::pin!(FileSystemStore::builder(home.path().join("c")).open());
    let polled = opening.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop()));
    let std::task::Poll::Ready(Err(error)) = polled else { panic!("{polled:?}") };
    assert_eq!(error.kind(), ErrorKind::Config);
}

#[tokio::test]
async fn it_says_what_it_promises() {
    use larder_core::{CacheStore, Hazard};
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("c");
    let said = FileSystemStore::builder(&path).max_entries(77).open().await.unwrap().guarantees();
    for hazard in
        [Hazard::Processes, Hazard::Eviction, Hazard::ClockSkew, Hazard::Rollback, Hazard::PowerLoss]
    {
        assert!(said.is_weakened_by(hazard), "{said}");
    }
    assert!(!said.is_weakened_by(Hazard::Restart));
    let text = said.to_string();
    assert!(
        text.contains("NFS") && text.contains("over 77 entries") && text.contains("`durability = data`"),
        "{text}"
    );
    let durable = FileSystemStore::builder(&path).durability(larder_filesystem::Durability::Data);
    let said = durable.open().await.unwrap().guarantees();
    assert!(!said.is_weakened_by(Hazard::PowerLoss), "{said}");
}
