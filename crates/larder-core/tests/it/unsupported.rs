//! A store that does nothing optional: each operation that needs more says so, and nothing is emulated.

use larder_core::{ErrorKind, Operations, Result};

use crate::support::{Rig, Scripted, fine};

fn says_so<T: std::fmt::Debug>(result: Result<T>, operation: &str) {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains(operation), "{error}");
}

#[tokio::test]
async fn what_the_store_cannot_do_is_unsupported() {
    let rig = Rig::with(Scripted::without(Operations::ALL), |b| b);
    let cache = &rig.cache;
    cache.set("a", 1_u8).await.unwrap();
    says_so(cache.add("a", 1_u8).await, "add");
    says_so(cache.take::<u8>("a").await, "take");
    says_so(cache.touch("a", larder_core::Timeout::Never).await, "touch");
    says_so(cache.increment("a", 1).await, "increment");
    says_so(cache.decrement("a", 1).await, "increment");
    says_so(cache.clear().await, "clear");
    says_so(cache.keys().await, "keys");
    says_so(cache.expiry("a").await, "expiry");
    for operation in ["add", "get_versioned", "replace", "touch", "increment", "clear", "keys", "expiry"] {
        assert_eq!(rig.store.calls(operation), 0, "{operation} reached a store that never declared it");
    }
    assert_eq!(rig.cache.stats().store_errors, 0);
    // What needs nothing optional works.
    assert!(cache.has("a").await.unwrap());
    assert!(cache.get_or_load("b", || async { fine("x".to_owned()) }).await.is_ok());
    assert!(cache.get_or_load("b", || async { fine("y".to_owned()) }).await.unwrap().is_hit());
    assert!(cache.expiry("b").await.unwrap().is_some(), "an entry knows its own expiry");
    assert!(cache.delete("b").await.unwrap());
    rig.at_rest().await;
}

#[tokio::test]
async fn a_counter_is_touched_only_where_the_store_can() {
    let rig = Rig::with(Scripted::without(Operations::TOUCH), |b| b);
    rig.cache.set("n", 1).await.unwrap();
    rig.cache.set("text", "x".to_owned()).await.unwrap();
    says_so(rig.cache.touch("n", larder_core::Timeout::Never).await, "touch");
    assert!(rig.cache.touch("text", larder_core::Timeout::Never).await.unwrap());
}
