use std::{sync::Arc, time::Duration};

use larder_core::{CacheStore, Clock, Expiry, ManualClock, Timestamp, Value};
use larder_simple::SimpleStore;

use crate::{bytes, key};

#[tokio::test]
async fn every_operation_sees_the_same_deadline() {
    let clock = ManualClock::default();
    let store = SimpleStore::builder().clock(Arc::new(clock.clone())).build().unwrap();
    let key = key("k");
    store.set(&key, Value::Int(1), Expiry::After(Duration::from_nanos(10))).await.unwrap();
    let version = store.get_versioned(&key).await.unwrap().unwrap().1;
    clock.advance(Duration::from_nanos(9));
    assert_eq!(store.expiry(&key).await.unwrap(), Some(Expiry::After(Duration::from_nanos(1))));
    assert!(store.peek(&key, clock.now()).unwrap().is_some());
    clock.advance(Duration::from_nanos(1));
    assert!(store.peek(&key, clock.now()).unwrap().is_none());
    assert!(store.get(&key).await.unwrap().is_none());
    assert!(store.get_versioned(&key).await.unwrap().is_none());
    assert_eq!(store.expiry(&key).await.unwrap(), None);
    assert!(!store.touch(&key, Expiry::Never).await.unwrap());
    assert!(store.replace(&key, &version, bytes(1), Expiry::Never).await.unwrap().is_none());
    assert_eq!(store.len().await.unwrap(), 0);
    assert!(!store.delete(&key).await.unwrap());
}

#[tokio::test]
async fn peek_judges_by_the_time_it_is_given() {
    let clock = ManualClock::default();
    let store = SimpleStore::builder().clock(Arc::new(clock.clone())).build().unwrap();
    store.set(&key("k"), bytes(1), Expiry::After(Duration::from_secs(1))).await.unwrap();
    assert!(store.peek(&key("k"), clock.now()).unwrap().is_some());
    assert!(store.peek(&key("k"), clock.now().saturating_add(Duration::from_secs(1))).unwrap().is_none());
    store.set(&key("n"), bytes(1), Expiry::Never).await.unwrap();
    assert!(store.peek(&key("n"), Timestamp::from_nanos(u64::MAX - 1)).unwrap().is_some());
}

#[tokio::test]
async fn versions_of_two_stores_differ() {
    let mut seen = std::collections::HashSet::new();
    for _ in 0..3 {
        // As after a restart, at a later time.
        let store = SimpleStore::new();
        for _ in 0..10 {
            let version = store.add(&key("k"), bytes(1), Expiry::Never).await.unwrap().unwrap();
            assert!(seen.insert(version));
            store.delete(&key("k")).await.unwrap();
        }
    }
}
