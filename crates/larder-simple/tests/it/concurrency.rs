use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use larder_core::{CacheStore, Clock, Expiry, ManualClock, Namespace, SystemClock, Timestamp, Value};
use larder_simple::SimpleStore;

use crate::{bytes, key};

fn counter(value: Option<Value>) -> Option<i64> {
    match value {
        Some(Value::Int(count)) => Some(count),
        None => None,
        other => panic!("{other:?}"),
    }
}

/// A writer only ever raises the counter, so what a reader sees by `peek` and by `get` in turn never falls.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peek_and_get_agree_while_the_entry_changes() {
    let store = Arc::new(SimpleStore::new());
    let key = key("k");
    store.set(&key, Value::Int(0), Expiry::Never).await.unwrap();
    let done = Arc::new(AtomicBool::new(false));
    let reader = tokio::task::spawn_blocking({
        let (store, key, done) = (Arc::clone(&store), key.clone(), Arc::clone(&done));
        move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let clock = SystemClock::new();
            let (mut last, mut reads) = (0, 0_u64);
            while !done.load(Ordering::Relaxed) || reads < 1_000 {
                let peeked = counter(store.peek(&key, clock.now()).expect("always answers")).unwrap();
                let got = counter(runtime.block_on(store.get(&key)).unwrap()).unwrap();
                assert!(last <= peeked && peeked <= got, "{last} {peeked} {got}");
                (last, reads) = (got, reads + 1);
            }
        }
    });
    for round in 1..=20_000 {
        assert_eq!(store.increment(&key, 1, Expiry::Never).await.unwrap(), round);
    }
    done.store(true, Ordering::Relaxed);
    reader.await.unwrap();
    let now = store.clock().unwrap().now();
    assert_eq!(counter(store.peek(&key, now).unwrap()), counter(store.get(&key).await.unwrap()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replace_and_set_never_lose_each_other() {
    let store = Arc::new(SimpleStore::new());
    let key = key("k");
    store.set(&key, Value::Int(0), Expiry::Never).await.unwrap();
    // Each task adds one by compare-and-swap; a plain `set` of the same value in between only voids versions.
    let add = |store: Arc<SimpleStore>| {
        let key = key.clone();
        async move {
            for _ in 0..2_000 {
                loop {
                    let (value, version) = store.get_versioned(&key).await.unwrap().unwrap();
                    let next = Value::Int(counter(Some(value)).unwrap() + 1);
                    if store.replace(&key, &version, next, Expiry::Never).await.unwrap().is_some() {
                        break;
                    }
                }
            }
        }
    };
    let tasks: tokio::task::JoinSet<()> = (0..4).map(|_| add(Arc::clone(&store))).collect();
    tasks.join_all().await;
    assert_eq!(counter(store.get(&key).await.unwrap()), Some(8_000));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clear_takes_all_that_was_there_while_others_write() {
    let store = Arc::new(SimpleStore::builder().clock(Arc::new(ManualClock::default())).build().unwrap());
    let old = Namespace::root().child("old").unwrap();
    let new = Namespace::root().child("new").unwrap();
    for round in 0..20 {
        for number in 0..300 {
            let key = larder_core::Key::new(&old, &number.to_string()).unwrap();
            store.set(&key, bytes(1), Expiry::Never).await.unwrap();
        }
        let writer = tokio::task::spawn({
            let (store, new) = (Arc::clone(&store), new.clone());
            async move {
                for number in 0..300 {
                    let key = larder_core::Key::new(&new, &format!("{round}/{number}")).unwrap();
                    store.set(&key, bytes(1), Expiry::Never).await.unwrap();
                }
            }
        });
        store.clear(&old).await.unwrap();
        assert!(store.keys(&old).await.unwrap().is_empty());
        writer.await.unwrap();
        assert_eq!(store.keys(&new).await.unwrap().len(), 300 * (round + 1));
    }
    assert!(store.peek(&key("other"), Timestamp::from_nanos(1)).unwrap().is_none());
}
