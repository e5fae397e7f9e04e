//! Files that somebody else put there, or damaged.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use larder_core::{CacheStore, Expiry, Namespace};
use larder_filesystem::FileSystemStore;

use crate::{LARGE, eventually, files_in, key, open, put, text};

pub(crate) fn only(path: &Path, tree: &str) -> PathBuf {
    let files = files_in(path, tree);
    assert_eq!(files.len(), 1, "{files:?}");
    files[0].clone()
}

/// What is done to a file: that of an index, with the value in it or without, or that of a content.
type Damage = fn(&Path);

const DAMAGES: [(&str, Damage); 11] = [
    ("emptied", |file| fs::write(file, "").unwrap()),
    ("cut", |file| fs::write(file, &fs::read(file).unwrap()[..30]).unwrap()),
    ("cut by one", |file| fs::write(file, fs::read(file).unwrap().split_last().unwrap().1).unwrap()),
    ("one bit of its start", |file| flip(file, 100)),
    ("one byte more", |file| {
        let mut bytes = fs::read(file).unwrap();
        bytes.push(b'x');
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

fn flip(file: &Path, at: usize) {
    let mut bytes = fs::read(file).unwrap();
    bytes[at] ^= 1;
    fs::write(file, bytes).unwrap();
}

/// Values that lie in the index file, and in one of their own.
fn values() -> [String; 3] {
    ["first".to_owned(), "first".repeat(10_000), "first".repeat(LARGE)]
}

#[tokio::test]
async fn what_is_damaged_is_a_miss_and_is_repaired() {
    for value in values() {
        for (name, damage) in DAMAGES {
            is_a_miss_and_repaired("index-v5", name, damage, &value).await;
        }
    }
    for (name, damage) in DAMAGES {
        is_a_miss_and_repaired("content-v2", name, damage, &"first".repeat(LARGE)).await;
    }
    let last: Damage =
        |file| flip(file, fs::metadata(file).unwrap().len().try_into().map(|len: usize| len - 1).unwrap());
    let [small, medium, large] = values();
    is_a_miss_and_repaired("index-v5", "last bit", last, &small).await;
    is_a_miss_and_repaired("index-v5", "last bit", last, &medium).await;
    is_a_miss_and_repaired("content-v2", "last bit", last, &large).await;
}

async fn is_a_miss_and_repaired(tree: &str, name: &str, damage: Damage, value: &str) {
    let what = format!("{tree} {name} {}", value.len());
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("c");
    let store = open(&path).await;
    put(&store, "neighbour", &value.replace("first", "other")).await;
    let before = files_in(&path, tree);
    put(&store, "k", value).await;
    let file = files_in(&path, tree).into_iter().find(|file| !before.contains(file)).unwrap();
    damage(&file);
    assert_eq!(text(&store, "k").await, None, "{what}");
    assert!(!store.has(&key("k")).await.unwrap(), "{what}");
    assert!(!store.delete(&key("k")).await.unwrap(), "{what}");
    for second in ["second".to_owned(), "second".repeat(LARGE)] {
        assert!(
            store.add(&key("k"), crate::bytes(&second), Expiry::Never).await.unwrap().is_some(),
            "{what}"
        );
        assert!(text(&store, "k").await == Some(second), "{what}");
        assert!(store.delete(&key("k")).await.unwrap(), "{what}");
    }
    put(&store, "k", "third").await;
    assert_eq!(text(&store, "k").await.as_deref(), Some("third"), "{what}");
    assert!(text(&store, "neighbour").await.unwrap().starts_with("other"), "{what}");
    assert_eq!(store.keys(&Namespace::root()).await.unwrap().len(), 2, "{what}");
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
        for value in ["v".to_owned(), "v".repeat(LARGE)] {
            put(&store, "k", &value).await;
            assert!(text(&store, "k").await == Some(value), "{}", blocked.display());
        }
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

/// What may stand where a file of the store itself belongs. `elsewhere` is where a link leads.
const OBSTACLES: [&str; 4] = ["a directory", "a pipe", "a link", "a link to nothing"];

fn put_in_the_way(what: &str, place: &Path, elsewhere: &Path) {
    let _ = fs::remove_file(place);
    match what {
        "a directory" => fs::create_dir(place).unwrap(),
        "a pipe" => assert!(Command::new("mkfifo").arg(place).status().unwrap().success()),
        _ => {
            if what == "a link" {
                fs::write(elsewhere, "mine").unwrap();
            }
            #[cfg(unix)]
            std::os::unix::fs::symlink(elsewhere, place).unwrap();
        }
    }
}

fn is_untouched(what: &str, elsewhere: &Path) {
    if what == "a link" {
        assert_eq!(fs::read_to_string(elsewhere).unwrap(), "mine");
    } else {
        assert!(!elsewhere.exists(), "{what}: nothing is made where a link leads");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn what_stands_in_the_place_of_a_lock_is_no_hindrance() {
    for what in OBSTACLES {
        let home = tempfile::tempdir().unwrap();
        let (path, elsewhere) = (home.path().join("c"), home.path().join("elsewhere"));
        drop(open(&path).await);
        for name in ["lock", "stamp"] {
            put_in_the_way(what, &path.join(name), &elsewhere);
        }
        let store = open(&path).await;
        put(&store, "k", "v").await;
        let locks: Vec<_> =
            fs::read_dir(path.join("locks")).unwrap().map(|lock| lock.unwrap().path()).collect();
        assert_eq!(locks.len(), 1);
        put_in_the_way(what, &locks[0], &elsewhere);
        put(&store, "k", "w").await;
        assert_eq!(text(&store, "k").await.as_deref(), Some("w"), "{what}");
        is_untouched(what, &elsewhere);
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_mark_that_is_none_is_refused_at_once() {
    for what in OBSTACLES.into_iter().chain(["nothing", "without end"]) {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("c");
        put(&open(&path).await, "k", "v").await;
        let mark = path.join("larder.store");
        match what {
            "nothing" => fs::write(&mark, "").unwrap(),
            "without end" => fs::File::create(&mark).unwrap().set_len(1 << 40).unwrap(),
            other => put_in_the_way(other, &mark, &home.path().join("elsewhere")),
        }
        let began = std::time::Instant::now();
        let error = FileSystemStore::builder(&path).open().await.unwrap_err();
        assert_eq!(error.kind(), larder_core::ErrorKind::Config, "{what}: {error}");
        assert!(
            error.to_string().contains("`larder.store` is of another layout or damaged"),
            "{what}: {error}"
        );
        assert!(began.elapsed() < Duration::from_secs(3), "{what}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn what_is_read_through_a_link_is_cleared_and_what_it_leads_to_stays() {
    let home = tempfile::tempdir().unwrap();
    let (path, elsewhere) = (home.path().join("c"), home.path().join("elsewhere"));
    let store = open(&path).await;
    put(&store, "k", "v").await;
    fs::rename(path.join("spaces/1_"), &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, path.join("spaces/1_")).unwrap();
    assert_eq!(text(&store, "k").await.as_deref(), Some("v"));
    store.clear(&Namespace::root()).await.unwrap();
    assert_eq!(text(&store, "k").await, None, "cleared is cleared");
    put(&store, "k", "new").await;
    assert_eq!(text(&store, "k").await.as_deref(), Some("new"));
    assert_eq!(crate::files(&elsewhere).len(), 1);
}

#[tokio::test]
async fn a_file_in_the_place_of_a_part_is_said_at_once() {
    for part in ["locks", "spaces", "trash"] {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("c");
        drop(open(&path).await);
        fs::remove_dir_all(path.join(part)).unwrap();
        fs::write(path.join(part), "mine").unwrap();
        let error = FileSystemStore::builder(&path).open().await.unwrap_err();
        assert_eq!(error.kind(), larder_core::ErrorKind::Config, "{error}");
        assert!(error.to_string().contains(&format!("its `{part}` is not a directory")), "{error}");
        assert_eq!(fs::read_to_string(path.join(part)).unwrap(), "mine");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn neither_a_sweep_nor_a_clear_follows_a_link() {
    use std::os::unix::fs::symlink;
    for (link, leads_to) in [
        ("spaces/1_", ""),
        ("spaces/1_/data", "data"),
        ("spaces/1_/data/tmp", "data/tmp"),
        ("spaces/1_/data/index-v5", "data/index-v5"),
        ("spaces/1_/data/content-v2", "data/content-v2"),
        ("spaces/1_/data/content-v2/xxh3", "data/content-v2/xxh3"),
        ("trash/mine", "data"),
        ("trash/mine/tmp", "data/tmp"),
        ("trash/mine/content-v2", "data/content-v2"),
    ] {
        let home = tempfile::tempdir().unwrap();
        let (path, mine) = (home.path().join("c"), home.path().join("mine"));
        drop(open(&path).await);
        let files = [
            mine.join("data/tmp/.tmpx"),
            mine.join("data/index-v5/ab/cd/ef0123456789abcdef0123456789abcdef01"),
            mine.join("data/content-v2/xxh3/ab/cd/ef0123456789abcdef0123456789"),
        ];
        for file in &files {
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, "mine").unwrap();
        }
        let link = path.join(link);
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        symlink(mine.join(leads_to), &link).unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
        // What the first sweep removes shows that it was there.
        let debris = path.join("spaces/1_other_/data/content-v2/xxh3/ab/cd/ef0123456789abcdef0123456789");
        fs::create_dir_all(debris.parent().unwrap()).unwrap();
        fs::write(&debris, "x").unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
        let store = open(&path).await;
        eventually("swept", || !debris.exists()).await;
        store.clear(&Namespace::root()).await.unwrap();
        eventually("cleared", || {
            fs::read_dir(path.join("trash"))
                .unwrap()
                .all(|entry| entry.unwrap().path() == path.join("trash/mine"))
                || link.starts_with(path.join("spaces"))
        })
        .await;
        drop(store);
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(files.iter().all(|file| fs::read_to_string(file).unwrap() == "mine"), "{}", link.display());
    }
}
