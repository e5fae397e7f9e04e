use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use larder_core::{CacheStore, EvictionCause, Expiry, ManualClock, StoreEvents};
use larder_simple::SimpleStore;

use crate::{bytes, key, settle};

#[derive(Debug, Default)]
struct Count {
    capacity: AtomicUsize,
    expired: AtomicUsize,
}

impl StoreEvents for Count {
    fn evicted(&self, cause: EvictionCause) {
        match cause {
            EvictionCause::Capacity => &self.capacity,
            EvictionCause::Expired => &self.expired,
            _ => panic!("another cause"),
        }
        .fetch_add(1, Ordering::Relaxed);
    }
}

fn watched(builder: larder_simple::SimpleStoreBuilder) -> (SimpleStore, Arc<Count>) {
    let (store, count) = (builder.build().unwrap(), Arc::new(Count::default()));
    store.subscribe(Arc::<Count>::clone(&count));
    (store, count)
}

#[tokio::test]
async fn what_capacity_takes_is_reported() {
    let (store, count) = watched(SimpleStore::builder().max_entries(10));
    for number in 0..25 {
        store.set(&key(&number.to_string()), bytes(1), Expiry::Never).await.unwrap();
    }
    store.len().await.unwrap();
    assert_eq!(count.capacity.load(Ordering::Relaxed), 15);
    assert_eq!(count.expired.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn what_expiry_takes_is_reported_and_what_the_user_takes_is_not() {
    let clock = ManualClock::default();
    let (store, count) = watched(SimpleStore::builder().clock(Arc::new(clock.clone())));
    for number in 0..10 {
        store.set(&key(&number.to_string()), bytes(1), Expiry::Never).await.unwrap();
        store
            .set(&key(&number.to_string()), bytes(1), Expiry::After(Duration::from_millis(1)))
            .await
            .unwrap();
    }
    for number in 0..3 {
        store.delete(&key(&number.to_string())).await.unwrap();
    }
    settle().await;
    clock.advance(Duration::from_secs(1));
    settle().await;
    assert_eq!(count.expired.load(Ordering::Relaxed), 7);
    assert_eq!(count.capacity.load(Ordering::Relaxed), 0);
}
