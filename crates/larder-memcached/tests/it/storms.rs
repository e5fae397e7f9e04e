//! Callers that go away by the thousand. Alone, memcache-async gave wrong answers to most of the others.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use larder_core::{CacheStore, Expiry, Value};
use tokio::time::timeout;

use crate::{
    FAR, bytes, key, namespace, store,
    support::{ALONE, THREE},
    text,
};

const KEYS: usize = 200;

#[tokio::test(flavor = "multi_thread")]
async fn twenty_thousand_answers_of_which_some_are_not_waited_for_are_all_right() {
    let store = Arc::new(store(THREE));
    let space = namespace("storm");
    let keys: Arc<Vec<_>> = Arc::new((0..KEYS).map(|n| key(&space, &format!("key {n}"))).collect());
    for (n, key) in keys.iter().enumerate() {
        store.set(key, bytes(&format!("value {n}")), FAR).await.unwrap();
    }
    let (right, given_up) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let tasks: Vec<_> = (0..20)
        .map(|task: usize| {
            let (store, keys) = (Arc::clone(&store), Arc::clone(&keys));
            let (right, given_up) = (Arc::clone(&right), Arc::clone(&given_up));
            tokio::spawn(async move {
                for step in 0..1_100 {
                    let n = (task * 31 + step * 7) % KEYS;
                    if step % 11 == 0 {
                        // Microseconds: before it is sent, on its way, or when the answer is there.
                        let patience = Duration::from_micros((step % 17 * 20) as u64);
                        let abandoned = async {
                            match step % 3 {
                                0 => drop(store.get(&keys[n]).await.unwrap()),
                                1 => drop(store.get_many(&keys[n / 2..n]).await),
                                _ => store.set(&keys[n], bytes(&format!("value {n}")), FAR).await.unwrap(),
                            }
                        };
                        if timeout(patience, abandoned).await.is_err() {
                            given_up.fetch_add(1, Ordering::Relaxed);
                        }
                        continue;
                    }
                    assert_eq!(text(&store, &keys[n]).await, Some(format!("value {n}")));
                    right.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(right.load(Ordering::Relaxed), 20_000);
    assert!(given_up.load(Ordering::Relaxed) > 100, "{given_up:?}: no storm");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_set_given_up_half_way_leaves_the_connection_in_step() {
    let store = support_one_lane();
    let space = namespace("storm");
    let (large, small) = (key(&space, "large"), key(&space, "small"));
    store.set(&small, bytes("small"), FAR).await.unwrap();
    for round in 0..100_u64 {
        let value = Value::Bytes(vec![b'x'; 900_000].into());
        // What matters is what comes after, whether it was given up or not.
        let _given_up = timeout(Duration::from_micros(round * 20), store.set(&large, value, FAR)).await;
        assert_eq!(text(&store, &small).await.as_deref(), Some("small"));
        let seen = store.get(&large).await.unwrap();
        assert!(seen.is_none_or(|seen| matches!(seen, Value::Bytes(bytes) if bytes.len() == 900_000)));
    }
}

fn support_one_lane() -> larder_memcached::MemcachedStore {
    let builder = crate::support::builder(ALONE).unwrap().lanes(1);
    builder.operation_timeout(Duration::from_secs(4)).build().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn counters_of_two_stores_sum_exactly() {
    let stores = [Arc::new(store(ALONE)), Arc::new(store(ALONE))];
    // Once was not enough to see that one of them never won a race any more.
    for round in 0..5 {
        let counter = key(&namespace("storm"), &format!("counter {round}"));
        let tasks: Vec<_> = (0..16)
            .map(|task| {
                let (store, counter) = (Arc::clone(&stores[task % 2]), counter.clone());
                tokio::spawn(async move {
                    for _ in 0..100 {
                        store.increment(&counter, 1, FAR).await.unwrap();
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(stores[0].increment(&counter, 0, FAR).await.unwrap(), 1_600);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_stores_wins_an_add_on_an_expired_key() {
    let stores = [Arc::new(store(ALONE)), Arc::new(store(ALONE))];
    let space = namespace("storm");
    for round in 0..10 {
        let key = key(&space, &round.to_string());
        // Our own deadline has passed, the server's has not.
        stores[0].set(&key, bytes("old"), Expiry::After(Duration::from_millis(5))).await.unwrap();
        tokio::time::sleep(Duration::from_millis(10)).await;
        let tasks: Vec<_> = (0..8)
            .map(|task| {
                let (store, key) = (Arc::clone(&stores[task % 2]), key.clone());
                tokio::spawn(async move { store.add(&key, bytes("new"), FAR).await.unwrap().is_some() })
            })
            .collect();
        let mut winners = 0;
        for task in tasks {
            winners += usize::from(task.await.unwrap());
        }
        assert_eq!(winners, 1);
    }
}
