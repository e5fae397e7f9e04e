use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use larder_core::{CacheStore, ErrorKind, EvictionCause, Expiry, Namespace, StoreEvents, Value};
use larder_filesystem::FileSystemStore;

use crate::{disk_use, eventually, files_in, key, open, put, text};

#[derive(Debug, Default)]
struct Count(AtomicUsize);

impl StoreEvents for Count {
    fn evicted(&self, cause: EvictionCause) {
        assert_eq!(cause, EvictionCause::Capacity);
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn what_was_written_longest_ago_goes_first() {
    let home = tempfile::tempdir().unwrap();
    let store = FileSystemStore::builder(home.path().join("c")).max_entries(10).open().await.unwrap();
    let count = Arc::new(Count::default());
    store.subscribe(Arc::<Count>::clone(&count));
    for number in 0..30 {
        put(&store, &number.to_string(), "x").await;
        // Rewritten each time: never the oldest.
        put(&store, "fresh", "x").await;
    }
    assert_eq!(store.len().await.unwrap(), 10);
    assert_eq!(count.0.load(Ordering::Relaxed), 21);
    for number in 0..30 {
        assert_eq!(text(&store, &number.to_string()).await.is_some(), number >= 21, "{number}");
    }
    assert!(text(&store, "fresh").await.is_some());
}

#[tokio::test]
async fn what_another_process_wrote_anew_is_not_the_oldest_any_more() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("c");
    let small = FileSystemStore::builder(&path).max_entries(2).open().await.unwrap();
    let other = open(&path).await;
    let next = || tokio::time::sleep(std::time::Duration::from_millis(5));
    for name in ["a", "b"] {
        put(&small, name, "x").await;
        next().await;
    }
    put(&other, "a", "new").await;
    next().await;
    put(&small, "c", "x").await;
    assert_eq!(text(&other, "a").await.as_deref(), Some("new"));
    assert_eq!(text(&other, "b").await, None);
    assert_eq!(text(&other, "c").await.as_deref(), Some("x"));
}

#[tokio::test]
async fn what_is_cleared_and_what_another_process_deleted_is_counted_no_more() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("c");
    let every = std::time::Duration::from_millis(50);
    let store = FileSystemStore::builder(&path).sweep_every(every).open().await.unwrap();
    let other = open(&path).await;
    put(&store, "a", "x").await;
    put(&store, "b", "x").await;
    assert!(other.delete(&key("a")).await.unwrap());
    eventually("swept", || format!("{store:?}").contains("entries: 1,")).await;
    let cleared = FileSystemStore::builder(home.path().join("d")).open().await.unwrap();
    // The first sweep, which would count it no more either, comes half a second after opening, and the next much later.
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    put(&cleared, "a", "x").await;
    assert!(format!("{cleared:?}").contains("entries: 1,"));
    cleared.clear(&Namespace::root()).await.unwrap();
    eventually("forgotten", || format!("{cleared:?}").contains("entries: 0,")).await;
}

#[tokio::test]
async fn a_touch_is_no_write() {
    let home = tempfile::tempdir().unwrap();
    let store = FileSystemStore::builder(home.path().join("c")).max_entries(2).open().await.unwrap();
    for name in ["a", "b"] {
        put(&store, name, "x").await;
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    assert!(store.touch(&key("a"), Expiry::Never).await.unwrap());
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    put(&store, "c", "x").await;
    assert_eq!(text(&store, "a").await, None);
    assert!(text(&store, "b").await.is_some() && text(&store, "c").await.is_some());
}

#[tokio::test]
async fn disk_use_stays_within_the_budget() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("c");
    let budget = 4 << 20;
    let store = FileSystemStore::builder(&path).max_bytes(budget).open().await.unwrap();
    for number in 0..600 {
        let value = Value::Bytes(vec![1; 1_000 * (number % 40)].into());
        store.set(&key(&number.to_string()), value, Expiry::Never).await.unwrap();
    }
    let used = disk_use(&path.join("spaces"));
    assert!(used <= budget * 12 / 10, "{used} bytes on disk");
    assert!(used >= budget / 2, "{used} bytes on disk: more went than had to");
}

#[tokio::test]
async fn twenty_thousand_overwrites_leave_one_small_entry() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("c");
    let store = open(&path).await;
    for number in 0..20_000 {
        put(&store, "hot", &format!("{number:01024}")).await;
    }
    assert_eq!(text(&store, "hot").await.unwrap(), format!("{:01024}", 19_999));
    let index = files_in(&path, "index-v5");
    assert_eq!((index.len(), files_in(&path, "content-v2").len()), (1, 0));
    assert!(index[0].metadata().unwrap().len() < 2_048);
    assert!(disk_use(&path.join("spaces")) < 100_000, "{}", disk_use(&path.join("spaces")));
}

#[tokio::test]
async fn what_was_there_is_counted_behind_and_brought_within_the_bounds() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("c");
    let store = open(&path).await;
    for number in 0..50 {
        put(&store, &number.to_string(), "x").await;
    }
    drop(store);
    let smaller = FileSystemStore::builder(&path).max_entries(20).open().await.unwrap();
    eventually("within the bounds", || files_in(&path, "index-v5").len() == 20).await;
    assert_eq!(smaller.len().await.unwrap(), 20);
    eventually("counted", || format!("{smaller:?}").contains("entries: 20,")).await;
}

#[tokio::test]
async fn over_the_largest_value_nothing_changes() {
    let home = tempfile::tempdir().unwrap();
    let store = FileSystemStore::builder(home.path().join("c")).max_bytes(100_000).open().await.unwrap();
    let limit = store.capabilities().max_value_bytes().unwrap();
    put(&store, "k", "old").await;
    let over = Value::Bytes(vec![0; limit + 1].into());
    let error = store.set(&key("k"), over, Expiry::Never).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert_eq!(text(&store, "k").await.as_deref(), Some("old"));
    store.set(&key("k"), Value::Bytes(vec![0; limit].into()), Expiry::Never).await.unwrap();
    assert_eq!(store.keys(&Namespace::root()).await.unwrap().len(), 1);
}

#[tokio::test]
async fn bounds_that_hold_nothing_are_refused_by_name() {
    let home = tempfile::tempdir().unwrap();
    let builder = || FileSystemStore::builder(home.path().join("c"));
    for (builder, name) in [
        (builder().max_entries(0), "`max_entries` is 0"),
        (builder().max_bytes(0), "`max_bytes` is 0"),
        (builder().max_bytes(16_383), "`max_bytes` is 16383"),
        (builder().sweep_every(std::time::Duration::ZERO), "`sweep_every` is 0"),
        (builder().operation_timeout(std::time::Duration::ZERO), "`operation_timeout` is 0"),
    ] {
        let error = builder.open().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().starts_with(name), "{error}");
    }
}
