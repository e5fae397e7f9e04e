use larder_core::{CacheStore, ErrorKind, Expiry, Value};
use larder_simple::SimpleStore;

use crate::{bytes, key};

#[tokio::test]
async fn entries_are_bounded() {
    let store = SimpleStore::builder().max_entries(100).build().unwrap();
    for number in 0..5_000 {
        store.set(&key(&number.to_string()), bytes(1), Expiry::Never).await.unwrap();
    }
    assert_eq!(store.len().await.unwrap(), 100);
}

#[tokio::test]
async fn bytes_are_bounded() {
    let store = SimpleStore::builder().max_bytes(100_000).build().unwrap();
    for number in 0..1_000 {
        store.set(&key(&format!("{number:04}")), bytes(593), Expiry::Never).await.unwrap();
    }
    // 593 bytes of value, 7 of key, 400 of the store's own.
    assert_eq!(store.len().await.unwrap(), 100);
}

#[tokio::test]
async fn both_bounds_hold_together() {
    let store = SimpleStore::builder().max_bytes(100_001).max_entries(10).build().unwrap();
    for number in 0..1_000 {
        store.set(&key(&format!("{number:04}")), bytes(1), Expiry::Never).await.unwrap();
    }
    assert_eq!(store.len().await.unwrap(), 10, "small entries: the bound on entries");
    for number in 0..1_000 {
        store.set(&key(&format!("{number:04}")), bytes(49_000), Expiry::Never).await.unwrap();
    }
    assert_eq!(store.len().await.unwrap(), 2, "large entries: the bound on bytes");
}

#[tokio::test]
async fn a_value_that_grows_in_place_is_charged_anew() {
    let store = SimpleStore::builder().max_bytes(100_000).build().unwrap();
    for number in 0..50 {
        store.set(&key(&number.to_string()), bytes(1), Expiry::Never).await.unwrap();
    }
    assert_eq!(store.len().await.unwrap(), 50);
    store.set(&key("0"), bytes(90_000), Expiry::Never).await.unwrap();
    assert!(store.len().await.unwrap() < 25);
    assert!(store.has(&key("0")).await.unwrap(), "the entry just written is the last to go");
}

#[tokio::test]
async fn a_value_over_the_limit_is_refused_and_the_old_one_stays() {
    let store = SimpleStore::builder().max_bytes(10_000).build().unwrap();
    let limit = store.capabilities().max_value_bytes().unwrap();
    let (key, small) = (key("k"), Value::Int(7));
    store.set(&key, small, Expiry::Never).await.unwrap();
    let version = store.get_versioned(&key).await.unwrap().unwrap().1;
    let error = store.set(&key, bytes(limit + 1), Expiry::Never).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert_eq!(error.to_string(), "a value of 9401 bytes, the limit under `max_bytes=10000` is 9400");
    let replaced = store.replace(&key, &version, bytes(limit + 1), Expiry::Never).await;
    assert_eq!(replaced.unwrap_err().kind(), ErrorKind::TooLarge);
    assert!(matches!(store.get(&key).await.unwrap(), Some(Value::Int(7))));
    store.set(&key, bytes(limit), Expiry::Never).await.unwrap();
    assert_eq!(store.len().await.unwrap(), 1, "the largest value fits");
    assert!(store.has(&key).await.unwrap());
}
