//! Files that somebody else put there, or damaged.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use larder_core::{CacheStore, Expiry, Namespace};

use crate::{eventually, files_in, key, open, put, text};

fn only(path: &Path, tree: &str) -> PathBuf {
    let files = files_in(path, tree);
    assert_eq!(files.len(), 1, "{files:?}");
    files[0].clone()
}

/// What is done to the file of an index, or of a content.
type Damage = fn(&Path);

const DAMAGES: [(&str, Damage); 9] = [
    ("emptied", |file| fs::write(file, "").unwrap()),
    ("cut", |file| fs::write(file, &fs::read(file).unwrap()[..30]).unwrap()),
    ("one bit", |file| {
        let mut bytes = fs::read(file).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        fs::write(file, bytes).unwrap();
    }),
    ("other bytes", |file| fs::write(file, [0xff, 0, b'\n', 0xfe].repeat(50)).unwrap()),
    ("enormous", |file| fs::File::options().write(true).open(file).unwrap().set_len(1 << 40).unwrap()),
    ("gone", |file| fs::remove_file(file).unwrap()),
    ("a directory", |file| {
        fs::remove_file(file).unwrap();
        fs::create_dir(file).unwrap();
        fs::write(file.join("inside"), "x").unwrap();
    }),
    ("a link elsewhere", |file| {
        fs::remove_file(file).unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink("/dev/zero", file).unwrap();
    }),
    ("a pipe", |file| {
        fs::remove_file(file).unwrap();
        assert!(Command::new("mkfifo").arg(file).status().unwrap().success());
    }),
];

#[tokio::test]
async fn what_is_damaged_is_a_miss_and_is_repaired() {
    for tree in ["index-v5", "content-v2"] {
        for (name, damage) in DAMAGES {
            let home = tempfile::tempdir().unwrap();
            let path = home.path().join("c");
            let store = open(&path).await;
            put(&store, "neighbour", "other").await;
            let before = files_in(&path, tree);
            put(&store, "k", "first").await;
            let file = files_in(&path, tree).into_iter().find(|file| !before.contains(file)).unwrap();
            damage(&file);
            assert_eq!(text(&store, "k").await, None, "{tree} {name}");
            assert!(!store.has(&key("k")).await.unwrap(), "{tree} {name}");
            assert!(!store.delete(&key("k")).await.unwrap(), "{tree} {name}");
            assert!(
                store.add(&key("k"), crate::bytes("second"), Expiry::Never).await.unwrap().is_some(),
                "{tree} {name}"
            );
            assert_eq!(text(&store, "k").await.as_deref(), Some("second"), "{tree} {name}");
            put(&store, "k", "third").await;
            assert_eq!(text(&store, "k").await.as_deref(), Some("third"), "{tree} {name}");
            assert_eq!(text(&store, "neighbour").await.as_deref(), Some("other"), "{tree} {name}");
            assert_eq!(store.keys(&Namespace::root()).await.unwrap().len(), 2, "{tree} {name}");
        }
    }
}

#[tokio::test]
async fn damaged_files_take_part_in_nothing() {
    for (name, damage) in DAMAGES {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("c");
        let store = open(&path).await;
        put(&store, "k", "first").await;
        damage(&only(&path, "index-v5"));
        assert_eq!(store.len().await.unwrap(), 0, "{name}");
        assert_eq!(store.keys(&Namespace::root()).await.unwrap(), [], "{name}");
        assert_eq!(store.expiry(&key("k")).await.unwrap(), None, "{name}");
        assert!(!store.touch(&key("k"), Expiry::Never).await.unwrap(), "{name}");
        assert_eq!(store.increment(&key("k"), 2, Expiry::Never).await.unwrap(), 2, "{name}");
        store.clear(&Namespace::root()).await.unwrap();
        assert_eq!(store.len().await.unwrap(), 0, "{name}");
    }
}

#[tokio::test]
async fn another_keys_files_give_no_value() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("c");
    let store = open(&path).await;
    put(&store, "a", "of a").await;
    let index_of_a = only(&path, "index-v5");
    put(&store, "b", "of b").await;
    let index_of_b = files_in(&path, "index-v5").into_iter().find(|file| *file != index_of_a).unwrap();
    fs::copy(&index_of_a, &index_of_b).unwrap();
    assert_eq!(text(&store, "b").await, None);
    assert_eq!(text(&store, "a").await.as_deref(), Some("of a"));
    assert_eq!(store.keys(&Namespace::root()).await.unwrap(), [key("a")]);
}

#[tokio::test]
async fn files_where_directories_belong_are_moved_out_of_the_way() {
    for blocked in [
        "spaces/1_",
        "spaces/1_/data",
        "spaces/1_/data/index-v5",
        "spaces/1_/data/content-v2",
        "spaces/1_/data/tmp",
    ] {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("c");
        let store = open(&path).await;
        let blocked = path.join(blocked);
        fs::create_dir_all(blocked.parent().unwrap()).unwrap();
        fs::write(&blocked, "mine").unwrap();
        assert_eq!(text(&store, "k").await, None, "{}", blocked.display());
        put(&store, "k", "v").await;
        assert_eq!(text(&store, "k").await.as_deref(), Some("v"), "{}", blocked.display());
        let kept = crate::files(&path.join("trash"));
        assert_eq!(kept.len(), 1, "{}", blocked.display());
        assert_eq!(fs::read_to_string(&kept[0]).unwrap(), "mine");
    }
}

#[tokio::test]
async fn old_debris_goes_with_a_sweep() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("c");
    drop(open(&path).await);
    let data = path.join("spaces/1_/data");
    let index = data.join("index-v5/ab/cd/ef0123456789abcdef0123456789abcdef01");
    let content = data.join("content-v2/xxh3/ab/cd/ef0123456789abcdef0123456789");
    let temporary = data.join("tmp/.tmpx");
    let foreign = data.join("index-v5/ab/cd/README");
    for file in [&index, &content, &temporary, &foreign] {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, "x").unwrap();
    }
    tokio::time::sleep(Duration::from_millis(20)).await;
    let store = open(&path).await;
    assert!(!temporary.exists(), "gone at once: nobody else has it open");
    eventually("the debris is gone", || !index.exists() && !content.exists()).await;
    assert!(foreign.exists());
    assert_eq!(store.len().await.unwrap(), 0);
}
