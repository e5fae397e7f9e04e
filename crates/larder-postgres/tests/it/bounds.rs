//! What the sweeper removes, and what it leaves.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use larder_core::{CacheStore, EvictionCause, Expiry, Key, StoreEvents, Value};
use larder_postgres::PostgresStore;

use crate::{admin, bytes, eventually, fresh, key, number, put, text};

#[derive(Debug, Default)]
struct Count {
    expired: AtomicU64,
    evicted: AtomicU64,
}

impl StoreEvents for Count {
    fn evicted(&self, cause: EvictionCause) {
        match cause {
            EvictionCause::Capacity => &self.evicted,
            _ => &self.expired,
        }
        .fetch_add(1, Ordering::Relaxed);
    }
}

async fn fill(store: &PostgresStore, keys: impl IntoIterator<Item = u32>, value: &Value, expiry: Expiry) {
    let entries: Vec<(Key, Value, Expiry)> =
        keys.into_iter().map(|number| (key(&format!("{number:05}")), value.clone(), expiry)).collect();
    for result in store.set_many(entries).await {
        result.unwrap();
    }
}

const OFTEN: Duration = Duration::from_millis(100);

#[tokio::test]
async fn what_has_expired_is_removed_a_step_at_a_time_and_reported() {
    let store = fresh("it_sweep").await.sweep_every(OFTEN).build().unwrap();
    let count = Arc::new(Count::default());
    store.subscribe(Arc::clone(&count) as _);
    put(&store, "stays", "here").await;
    fill(&store, 0..2_500, &bytes("brief"), Expiry::After(Duration::from_millis(1))).await;
    let admin = admin().await;
    // One more row says whose turn it is.
    let rows = || number(&admin, "SELECT count(*) FROM it_sweep WHERE k > '\\x00'");
    eventually("only what stays is there", || async { rows().await == 1 }).await;
    assert_eq!(text(&store, "stays").await.as_deref(), Some("here"));
    assert_eq!(store.len().await.unwrap(), 1);
    eventually("all were reported", || async { count.expired.load(Ordering::Relaxed) == 2_500 }).await;
    assert_eq!(count.evicted.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn over_max_entries_the_oldest_written_go() {
    let store = fresh("it_entries").await.sweep_every(OFTEN).max_entries(1_000).build().unwrap();
    let count = Arc::new(Count::default());
    store.subscribe(Arc::clone(&count) as _);
    for hundred in 0..30 {
        fill(&store, hundred * 100..hundred * 100 + 100, &bytes("x"), Expiry::Never).await;
    }
    eventually("the bound holds", || async { store.len().await.unwrap() <= 1_000 }).await;
    let left = store.len().await.unwrap();
    assert!(left >= 900, "{left}");
    assert_eq!(text(&store, "02999").await.as_deref(), Some("x"));
    assert_eq!(text(&store, "02200").await.as_deref(), Some("x"));
    assert_eq!(text(&store, "00000").await, None);
    eventually("all were reported", || async { count.evicted.load(Ordering::Relaxed) == 3_000 - left }).await;
}

#[tokio::test]
async fn over_max_bytes_the_oldest_written_go() {
    let store = fresh("it_bytes").await.sweep_every(OFTEN).max_bytes(1 << 20).build().unwrap();
    let value = Value::Bytes(vec![7; 10_000].into());
    for number in 0..300 {
        fill(&store, [number], &value, Expiry::Never).await;
    }
    eventually("the bound holds", || async { store.len().await.unwrap() <= 104 }).await;
    assert!(store.len().await.unwrap() >= 90);
    assert!(store.has(&key("00299")).await.unwrap());
    assert!(!store.has(&key("00000")).await.unwrap());
}

#[tokio::test]
async fn one_of_many_processes_sweeps() {
    let builder = fresh("it_elected").await.sweep_every(Duration::from_millis(500)).connections(1);
    let stores: Vec<_> = (0..5).map(|_| builder.clone().build().unwrap()).collect();
    stores[0].len().await.unwrap();
    let admin = admin().await;
    let mut turns = BTreeSet::new();
    let query = "SELECT (extract(epoch FROM written) * 1000)::int8 FROM it_elected WHERE k = '\\x00'";
    for _ in 0..200 {
        let rows = admin.query(query, &[]).await.unwrap();
        turns.extend(rows.iter().map(|row| row.get::<_, i64>(0)));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // Five processes woke four times each and more; a turn lasts 450 ms.
    let turns = Vec::from_iter(turns);
    assert!(turns.len() >= 2, "{turns:?}");
    assert!(turns.windows(2).all(|two| two[1] - two[0] >= 449), "{turns:?}");
}

#[tokio::test]
async fn the_sweeper_waits_for_no_lock_of_others() {
    let builder = fresh("it_locked").await;
    let quiet = builder.clone().sweep_every(Duration::ZERO).build().unwrap();
    fill(&quiet, 0..10, &bytes("brief"), Expiry::After(Duration::from_millis(1))).await;
    let admin = admin().await;
    admin.batch_execute("BEGIN; SELECT 1 FROM it_locked WHERE k = '1/:00003' FOR UPDATE").await.unwrap();
    let _store = builder.sweep_every(OFTEN).build().unwrap();
    let count = "SELECT count(*) FROM it_locked WHERE k > '\\x00'";
    eventually("the others are gone", || async { number(&admin, count).await == 1 }).await;
    admin.batch_execute("COMMIT").await.unwrap();
    eventually("this one too", || async { number(&admin, count).await == 0 }).await;
}

#[tokio::test]
async fn of_many_written_at_once_only_as_many_go_as_must() {
    let builder = fresh("it_at_a_time").await.max_entries(600).connections(1);
    let quiet = builder.clone().sweep_every(Duration::ZERO).build().unwrap();
    // One statement, and so one time: all of them are the oldest.
    fill(&quiet, 0..1_000, &bytes("x"), Expiry::Never).await;
    let store = builder.sweep_every(OFTEN).build().unwrap();
    eventually("the bound holds", || async { store.len().await.unwrap() <= 600 }).await;
    tokio::time::sleep(OFTEN * 3).await;
    let left = store.len().await.unwrap();
    assert!(left >= 550, "{left}");
}
