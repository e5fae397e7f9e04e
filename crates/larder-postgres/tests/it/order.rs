//! What was sent first happens first, whoever still waits for it.

use std::{sync::Arc, time::Duration};

use futures_util::FutureExt as _;
use larder_core::{CacheStore, Expiry, Key, Namespace, Value};
use larder_postgres::{PostgresStore, deadpool_postgres::tokio_postgres::Client};

use crate::{admin, bytes, eventually, fresh, key, put, sessions};

async fn with_four_connections(table: &str) -> Arc<PostgresStore> {
    let store = fresh(table).await.connections(4).sweep_every(Duration::ZERO).build().unwrap();
    eventually("all are connected", || async {
        store.get(&key("a")).await.is_ok() && sessions(table).await >= 4
    })
    .await;
    Arc::new(store)
}

/// Sends writes whose callers go away at once, while one of the connections waits for a lock.
async fn leave_writes_behind(store: &PostgresStore, table: &str, keys: &[Key]) -> Client {
    put(store, "held", "old").await;
    let holder = admin().await;
    let hold = format!("BEGIN; SELECT 1 FROM {table} WHERE k = '1/:held' FOR UPDATE");
    holder.batch_execute(&hold).await.unwrap();
    assert!(store.set(&key("held"), bytes("late"), Expiry::Never).now_or_never().is_none());
    for key in keys {
        assert!(store.set(key, bytes("late"), Expiry::Never).now_or_never().is_none());
    }
    // Those on the other three are through, and would hide what this is about.
    tokio::time::sleep(Duration::from_millis(300)).await;
    holder
}

async fn let_go(holder: Client) {
    tokio::time::sleep(Duration::from_millis(300)).await;
    holder.batch_execute("ROLLBACK").await.unwrap();
}

async fn none_of(store: &PostgresStore, keys: &[Key]) {
    // Whatever is still to come is there by then.
    eventually("the held one is written", || async {
        matches!(store.get(&key("held")).await.unwrap(), Some(Value::Bytes(value)) if value == "late")
    })
    .await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    for seen in store.get_many(keys).await {
        assert!(seen.unwrap().is_none(), "written after it was removed");
    }
}

#[tokio::test]
async fn writes_of_one_key_happen_in_the_order_in_which_they_were_sent() {
    let store = with_four_connections("it_order").await;
    for round in 0..60 {
        let name = key(&round.to_string());
        for number in 0..8 {
            let set = store.set(&name, Value::Int(number), Expiry::Never);
            // Sent, and given up.
            assert!(set.now_or_never().is_none());
        }
        store.set(&name, Value::Int(8), Expiry::Never).await.unwrap();
        tokio::time::sleep(Duration::from_millis(2)).await;
        let seen = store.get(&name).await.unwrap();
        assert!(matches!(seen, Some(Value::Int(8))), "{round}: {seen:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_of_removals_comes_after_the_writes_before_it() {
    let store = with_four_connections("it_order_batch").await;
    let keys: Vec<Key> = (0..40).map(|number| key(&number.to_string())).collect();
    let holder = leave_writes_behind(&store, "it_order_batch", &keys).await;
    // Each begins with a key of another connection than some of the others'.
    let removals = keys.chunks(5).map(|some| {
        let (store, some) = (Arc::clone(&store), some.to_vec());
        tokio::spawn(async move { store.delete_many(&some).await })
    });
    let removals: Vec<_> = removals.collect();
    let_go(holder).await;
    for removal in removals {
        for gone in removal.await.unwrap() {
            assert!(gone.unwrap());
        }
    }
    none_of(&store, &keys).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_single_write_comes_after_the_batches_before_it() {
    let store = with_four_connections("it_order_single").await;
    let keys: Vec<Key> = (0..40).map(|number| key(&number.to_string())).collect();
    let holder = leave_writes_behind(&store, "it_order_single", &[]).await;
    for some in keys.chunks(5) {
        let entries = some.iter().map(|key| (key.clone(), bytes("late"), Expiry::Never)).collect();
        assert!(store.set_many(entries).now_or_never().is_none());
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let removals = keys.iter().map(|key| {
        let (store, key) = (Arc::clone(&store), key.clone());
        tokio::spawn(async move { store.delete(&key).await })
    });
    let removals: Vec<_> = removals.collect();
    let_go(holder).await;
    for removal in removals {
        assert!(removal.await.unwrap().unwrap());
    }
    none_of(&store, &keys).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clear_comes_after_the_writes_before_it() {
    let store = with_four_connections("it_order_clear").await;
    let child = Namespace::root().child("child").unwrap();
    let keys: Vec<Key> = (0..40).map(|number| Key::new(&child, &number.to_string()).unwrap()).collect();
    let holder = leave_writes_behind(&store, "it_order_clear", &keys).await;
    let clear = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.clear(&child).await }
    });
    let_go(holder).await;
    clear.await.unwrap().unwrap();
    none_of(&store, &keys).await;
}
