use std::{sync::Arc, time::Duration};

use larder_core::{CacheStore, Clock, Expiry, ManualClock, Timestamp};
use larder_filesystem::FileSystemStore;

use crate::{LARGE, bytes, eventually, files_in, key, put, text};

#[tokio::test]
async fn deadlines_hold_across_a_restart() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("c");
    let clock = ManualClock::default();
    let open = || FileSystemStore::builder(&path).clock(Arc::new(clock.clone())).open();
    let store = open().await.unwrap();
    for (name, expiry) in
        [("short", Duration::from_secs(10)), ("long", Duration::from_secs(20)), ("forever", Duration::MAX)]
    {
        store.set(&key(name), bytes("x"), Expiry::After(expiry)).await.unwrap();
    }
    drop(store);
    clock.advance(Duration::from_secs(10));
    let store = open().await.unwrap();
    assert_eq!(text(&store, "short").await, None);
    assert_eq!(store.expiry(&key("long")).await.unwrap(), Some(Expiry::After(Duration::from_secs(10))));
    assert!(text(&store, "forever").await.is_some());
}

#[tokio::test]
async fn an_idle_store_lets_go_of_what_has_expired() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("c");
    let clock = ManualClock::new(Timestamp::from_nanos(1_700_000_000_000_000_000));
    let builder = FileSystemStore::builder(&path).clock(Arc::new(clock.clone()));
    let store = builder.sweep_every(Duration::from_mins(1)).open().await.unwrap();
    for number in 0..20 {
        let expiry = Expiry::After(Duration::from_secs(30));
        let value = bytes(&"x".repeat(number % 2 * LARGE + 1));
        store.set(&key(&number.to_string()), value, expiry).await.unwrap();
    }
    put(&store, "stays", &"x".repeat(LARGE)).await;
    eventually("swept", || {
        clock.advance(Duration::from_secs(20));
        // An entry goes first, and then what it stood for.
        files_in(&path, "index-v5").len() == 1 && files_in(&path, "content-v2").len() == 1
    })
    .await;
    assert!(text(&store, "stays").await.is_some());
    assert!(clock.now() > Timestamp::from_nanos(1_700_000_030_000_000_000));
}

#[test]
fn a_store_outlives_the_runtime_that_opened_it() {
    let runtime =
        || tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let home = tempfile::tempdir().unwrap();
    let store = runtime().block_on(crate::open(&home.path().join("c")));
    runtime().block_on(async {
        put(&store, "k", "v").await;
        assert_eq!(text(&store, "k").await.as_deref(), Some("v"));
    });
}
