use std::{sync::Arc, time::Duration};

use larder_core::{CacheStore, Clock, Expiry, ManualClock};
use larder_simple::{Eviction, SimpleStore};

use crate::{bytes, key};

const FULL: usize = 200;

async fn hot_and_full(eviction: Eviction) -> SimpleStore {
    let store = SimpleStore::builder().max_entries(FULL as u64).eviction(eviction).build().unwrap();
    for round in 0..20 {
        for number in 0..FULL {
            let key = key(&format!("hot {number}"));
            if round == 0 {
                store.set(&key, bytes(1), Expiry::Never).await.unwrap();
            } else {
                store.get(&key).await.unwrap();
            }
        }
        // Lets the engine take note of the reads.
        store.len().await.unwrap();
    }
    store
}

/// How many of a hundred new entries are there after they were set in a full store.
async fn admitted(store: &SimpleStore) -> usize {
    let mut there = 0;
    for number in 0..100 {
        let key = key(&format!("new {number}"));
        store.set(&key, bytes(1), Expiry::Never).await.unwrap();
        store.len().await.unwrap();
        there += usize::from(store.has(&key).await.unwrap());
    }
    there
}

#[tokio::test]
async fn under_lru_a_set_that_returned_is_there() {
    assert_eq!(admitted(&hot_and_full(Eviction::Lru).await).await, 100);
}

#[tokio::test]
async fn under_tiny_lfu_a_hot_store_may_refuse_a_set() {
    assert!(admitted(&hot_and_full(Eviction::TinyLfu).await).await < 100, "else the docs warn for nothing");
}

#[tokio::test]
async fn a_set_is_there_even_in_a_store_of_one() {
    let store = SimpleStore::builder().max_entries(1).build().unwrap();
    for number in 0..1_000 {
        let key = key(&number.to_string());
        store.set(&key, bytes(1), Expiry::Never).await.unwrap();
        assert!(store.has(&key).await.unwrap(), "{number}");
    }
    assert_eq!(store.len().await.unwrap(), 1);
}

#[tokio::test]
async fn the_order_of_use_decides_not_the_expiry() {
    let store = SimpleStore::builder().max_entries(100).build().unwrap();
    let expiries = [Expiry::Never, Expiry::After(Duration::from_hours(1))];
    for number in 0..100 {
        store.set(&key(&number.to_string()), bytes(1), expiries[number % 2]).await.unwrap();
    }
    store.len().await.unwrap();
    // The first ten are read, by each way a read can come.
    let now = store.clock().unwrap().now();
    for number in 0..10 {
        let key = key(&number.to_string());
        match number % 4 {
            0 => assert!(store.get(&key).await.unwrap().is_some()),
            1 => assert!(store.peek(&key, now).unwrap().is_some()),
            2 => assert!(store.has(&key).await.unwrap()),
            _ => assert!(store.get_many(std::slice::from_ref(&key)).await[0].as_ref().unwrap().is_some()),
        }
    }
    store.len().await.unwrap();
    for number in 100..150 {
        store.set(&key(&number.to_string()), bytes(1), expiries[number % 2]).await.unwrap();
    }
    let mut left = store.keys(&larder_core::Namespace::root()).await.unwrap();
    left.sort_by_key(|key| key.text().unwrap().parse::<usize>().unwrap());
    let left: Vec<usize> = left.iter().map(|key| key.text().unwrap().parse().unwrap()).collect();
    let expected: Vec<usize> = (0..10).chain(60..150).collect();
    assert_eq!(left, expected);
}

#[tokio::test]
async fn an_entry_expired_on_a_manual_clock_gives_way_when_the_store_is_full() {
    let clock = ManualClock::default();
    let store = SimpleStore::builder().max_entries(100).clock(Arc::new(clock.clone())).build().unwrap();
    for number in 0..100 {
        store.set(&key(&number.to_string()), bytes(1), Expiry::After(Duration::from_secs(1))).await.unwrap();
    }
    clock.advance(Duration::from_secs(2));
    assert!(clock.now() > ManualClock::default().now());
    assert_eq!(store.len().await.unwrap(), 0);
    for number in 100..200 {
        store.set(&key(&number.to_string()), bytes(1), Expiry::Never).await.unwrap();
    }
    assert_eq!(store.len().await.unwrap(), 100);
}
