//! Expired entries are let go while nobody asks for anything. Seen from outside by the value being dropped.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use larder_core::{CacheStore, EntryMeta, Expiry, ManualClock, Object, Value};
use larder_simple::SimpleStore;

use crate::{key, settle};

fn store(clock: &ManualClock) -> SimpleStore {
    SimpleStore::builder().clock(Arc::new(clock.clone())).build().unwrap()
}

/// Stores an object; the pointer dangles once the store let it go.
async fn put(store: &SimpleStore, name: &str, expiry: Expiry) -> Weak<String> {
    let now = store.clock().unwrap().now();
    let object = Object::new("x".to_owned(), EntryMeta::new(now, Expiry::Never));
    let pointer = Arc::downgrade(&object.read::<String>().unwrap());
    store.set(&key(name), Value::Object(object), expiry).await.unwrap();
    // Lets the background task begin its rest.
    settle().await;
    pointer
}

const SHORT: Expiry = Expiry::After(Duration::from_millis(10));
const ROUND: Duration = Duration::from_secs(1);

/// Whether the store has let it go. The map beneath frees what was taken out a few operations later.
async fn is_gone(store: &SimpleStore, pointer: &Weak<String>) -> bool {
    for _ in 0..1_000 {
        if pointer.strong_count() == 0 {
            return true;
        }
        store.len().await.unwrap();
        tokio::task::yield_now().await;
    }
    false
}

async fn pass(clock: &ManualClock, time: Duration) {
    clock.advance(time);
    settle().await;
}

#[tokio::test]
async fn an_idle_store_reclaims_within_a_second_and_again_after_it_was_empty() {
    let clock = ManualClock::default();
    let store = store(&clock);
    let first = put(&store, "first", SHORT).await;
    pass(&clock, ROUND).await;
    assert!(is_gone(&store, &first).await);
    // The task has ended with the last entry: the next one starts another.
    let second = put(&store, "second", SHORT).await;
    assert_eq!(second.strong_count(), 1);
    pass(&clock, ROUND).await;
    assert!(is_gone(&store, &second).await);
}

#[tokio::test]
async fn what_has_not_expired_stays() {
    let clock = ManualClock::default();
    let store = store(&clock);
    let (short, long) =
        (put(&store, "short", SHORT).await, put(&store, "long", Expiry::After(3 * ROUND)).await);
    let never = put(&store, "never", Expiry::Never).await;
    pass(&clock, ROUND).await;
    assert!(is_gone(&store, &short).await);
    assert_eq!((long.strong_count(), never.strong_count()), (1, 1));
    pass(&clock, ROUND).await;
    pass(&clock, ROUND).await;
    assert!(is_gone(&store, &long).await);
    assert_eq!(never.strong_count(), 1);
}

#[tokio::test]
async fn a_value_that_took_the_place_of_an_expired_one_is_not_reclaimed_with_it() {
    let clock = ManualClock::default();
    let store = store(&clock);
    put(&store, "k", SHORT).await;
    clock.advance(ROUND / 2);
    let renewed = put(&store, "k", Expiry::Never).await;
    pass(&clock, ROUND).await;
    assert_eq!(renewed.strong_count(), 1);
}

#[test]
fn a_store_outlives_the_runtime_that_wrote_first() {
    let runtime = || tokio::runtime::Builder::new_current_thread().build().unwrap();
    let clock = ManualClock::default();
    let store = store(&clock);
    let first = runtime().block_on(put(&store, "first", SHORT));
    runtime().block_on(async {
        let second = put(&store, "second", SHORT).await;
        pass(&clock, ROUND).await;
        assert!(is_gone(&store, &first).await);
        assert!(is_gone(&store, &second).await);
    });
}

#[tokio::test]
async fn the_task_does_not_keep_the_store() {
    let clock = ManualClock::default();
    let store = store(&clock);
    let pointer = put(&store, "k", Expiry::Never).await;
    drop(store);
    // Other stores share the collector that frees what this one held.
    assert!(is_gone(&self::store(&clock), &pointer).await);
}

#[test]
fn without_a_runtime_everything_works_but_the_background() {
    let store = SimpleStore::new();
    let (key, now) = (key("k"), store.clock().unwrap().now());
    let write = store.set(&key, Value::Int(1), Expiry::Never);
    let waker = std::task::Waker::noop();
    let mut write = std::pin::pin!(write);
    let polled = write.as_mut().poll(&mut std::task::Context::from_waker(waker));
    assert!(matches!(polled, std::task::Poll::Ready(Ok(()))));
    assert!(store.peek(&key, now).unwrap().is_some());
}

#[test]
fn in_a_runtime_without_a_timer_everything_works_but_the_background() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let store = SimpleStore::new();
    runtime.block_on(async {
        for number in 0..3 {
            store.set(&key(&number.to_string()), Value::Int(1), Expiry::Never).await.unwrap();
            // Lets the task fail.
            tokio::task::yield_now().await;
        }
        assert_eq!(store.len().await.unwrap(), 3);
    });
}
