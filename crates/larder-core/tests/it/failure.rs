//! What callers get where the store fails or hangs.

use std::time::Duration;

use larder_core::{ErrorKind, FailurePolicy, Kept, NotKept, Source, Timeout};

use crate::support::{Act, Rig, Scripted, fine, settle, until};

const TIMEOUT: Duration = Duration::from_millis(500);

fn fail(rig: &Rig, operations: &[&'static str]) {
    for operation in operations {
        rig.store.always(operation, Act::Fail(ErrorKind::Unavailable));
    }
}

#[tokio::test]
async fn explicit_operations_return_the_stores_error() {
    let rig = Rig::new();
    fail(&rig, &["get", "set", "add", "increment", "clear", "keys", "get_versioned"]);
    let cache = &rig.cache;
    let kinds = [
        cache.get::<u8>("a").await.unwrap_err().kind(),
        cache.has("a").await.unwrap_err().kind(),
        cache.expiry("a").await.unwrap_err().kind(),
        cache.add("b", 1_u8).await.unwrap_err().kind(),
        cache.increment("c", 1).await.unwrap_err().kind(),
        cache.keys().await.unwrap_err().kind(),
        cache.take::<u8>("d").await.unwrap_err().kind(),
        cache.touch("e", Timeout::Never).await.unwrap_err().kind(),
        cache.set("f", 1_u8).await.unwrap_err().kind(),
        cache.namespace("g").unwrap().clear().await.unwrap_err().kind(),
    ];
    assert!(kinds.iter().all(|kind| *kind == ErrorKind::Unavailable), "{kinds:?}");
    assert_eq!(cache.stats().store_errors, 10);
    assert_eq!(rig.events.count("store error"), 10);
    assert_eq!((cache.stats().hits, cache.stats().misses), (0, 0));
    rig.at_rest().await;
}

#[tokio::test]
async fn reads_can_be_told_to_miss_and_writes_cannot() {
    let rig = Rig::with(Scripted::default(), |b| b.explicit_errors(FailurePolicy::Miss));
    fail(&rig, &["get", "set", "delete", "get_many"]);
    assert!(rig.cache.get::<u8>("a").await.unwrap().is_none());
    assert!(!rig.cache.has("a").await.unwrap());
    assert_eq!(rig.cache.expiry("a").await.unwrap(), None);
    assert!(rig.cache.get_many::<u8>(["a"]).await[0].as_ref().unwrap().is_none());
    assert_eq!(rig.cache.stats().store_errors, 4, "and they are counted all the same");
    assert!(rig.cache.set("a", 1_u8).await.is_err());
    assert!(rig.cache.delete("a").await.is_err());
}

#[tokio::test]
async fn loads_go_on_without_the_store() {
    let rig = Rig::new();
    fail(&rig, &["get", "set", "get_many", "set_many"]);
    let loaded = rig.cache.get_or_load("a", || async { fine("x".to_owned()) }).await.unwrap();
    assert_eq!((loaded.as_str(), loaded.source()), ("x", Source::Loaded(Kept::No(NotKept::StoreFailed))));
    let scoped = rig.cache.get_or_load_scoped("b", || async { fine("y".to_owned()) }).await.unwrap();
    assert_eq!(scoped.source(), Source::Loaded(Kept::No(NotKept::StoreFailed)));
    let many = rig
        .cache
        .get_or_load_many(["c", "d"], |keys| async move {
            fine(keys.into_iter().map(|k| (k, 1_u8)).collect::<std::collections::HashMap<_, _>>())
        })
        .await;
    for one in many {
        assert_eq!(one.unwrap().unwrap().source(), Source::Loaded(Kept::No(NotKept::StoreFailed)));
    }
    assert_eq!(rig.cache.stats().not_kept, 4);
    rig.at_rest().await;
}

#[tokio::test]
async fn loads_can_be_told_to_return_the_stores_error() {
    let rig = Rig::with(Scripted::default(), |b| b.load_errors(FailurePolicy::Return));
    fail(&rig, &["get", "get_many"]);
    let error = rig.cache.get_or_load("a", || async { fine(1_u8) }).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let many = rig
        .cache
        .get_or_load_many(["b"], |_| async { fine(std::collections::HashMap::<String, u8>::new()) })
        .await;
    assert_eq!(many[0].as_ref().unwrap_err().kind(), ErrorKind::Unavailable);
    assert!(rig.cache.seat::<u8>("a").await.is_err());
    assert_eq!(rig.cache.stats().loads, 0);
    rig.at_rest().await;
}

#[tokio::test]
async fn a_store_that_hangs_is_a_timeout_or_an_ambiguity() {
    for (operation, kind) in [
        ("get", ErrorKind::Timeout),
        ("set", ErrorKind::Timeout),
        ("delete", ErrorKind::Timeout),
        ("get_many", ErrorKind::Timeout),
        ("set_many", ErrorKind::Timeout),
        ("delete_many", ErrorKind::Timeout),
        ("add", ErrorKind::Ambiguous),
        ("increment", ErrorKind::Ambiguous),
    ] {
        let rig = Rig::new();
        rig.store.always(operation, Act::Hang);
        let cache = rig.cache.clone();
        let call = tokio::spawn(async move {
            match operation {
                "get" => cache.get::<u8>("a").await.map(drop),
                "set" => cache.set("a", 1_u8).await,
                "delete" => cache.delete("a").await.map(drop),
                "get_many" => cache.get_many::<u8>(["a"]).await.remove(0).map(drop),
                "set_many" => cache.set_many([("a", 1_u8)]).await.remove(0),
                "delete_many" => cache.delete_many(["a"]).await.remove(0).map(drop),
                "add" => cache.add("a", 1_u8).await.map(drop),
                _ => cache.increment("a", 1).await.map(drop),
            }
        });
        settle().await;
        rig.clock.advance(TIMEOUT.saturating_sub(Duration::from_nanos(1)));
        settle().await;
        assert!(!call.is_finished(), "{operation}");
        rig.clock.advance(Duration::from_nanos(1));
        let error = call.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), kind, "{operation}");
        assert!(error.to_string().contains(&format!("`{operation}`")), "{error}");
        assert_eq!(error.is_retryable(), kind == ErrorKind::Timeout);
        assert_eq!(rig.cache.stats().store_errors, 1);
        rig.at_rest().await;
    }
}

#[tokio::test]
async fn clear_and_keys_have_a_time_of_their_own() {
    let rig = Rig::with(Scripted::default(), |b| b.bulk_timeout(Duration::from_secs(5)));
    rig.store.always("clear", Act::Hang);
    rig.store.always("keys", Act::Hang);
    let shop = rig.cache.namespace("shop").unwrap();
    let clear = tokio::spawn({
        let shop = shop.clone();
        async move { shop.clear().await }
    });
    let keys = tokio::spawn(async move { shop.keys().await });
    settle().await;
    rig.clock.advance(Duration::from_secs(4));
    settle().await;
    assert!(!clear.is_finished() && !keys.is_finished());
    rig.clock.advance(Duration::from_secs(1));
    assert_eq!(clear.await.unwrap().unwrap_err().kind(), ErrorKind::Timeout);
    assert_eq!(keys.await.unwrap().unwrap_err().kind(), ErrorKind::Timeout);
    rig.at_rest().await;
}

#[tokio::test]
async fn a_load_over_a_store_that_hangs_takes_its_timeouts_and_no_more() {
    let rig = Rig::new();
    for operation in ["get", "set", "get_many", "set_many"] {
        rig.store.always(operation, Act::Hang);
    }
    let cache = rig.cache.clone();
    let load = tokio::spawn(async move { cache.get_or_load("a", || async { fine("x".to_owned()) }).await });
    settle().await;
    rig.clock.advance(TIMEOUT);
    settle().await;
    rig.clock.advance(TIMEOUT);
    let loaded = load.await.unwrap().unwrap();
    assert_eq!(loaded.source(), Source::Loaded(Kept::No(NotKept::StoreFailed)));

    // The write that was given up is deleted in the background, lest that makes the batch read again.
    settle().await;
    rig.clock.advance(TIMEOUT);
    until(|| rig.cache.stats().in_doubt == 0).await;
    rig.at_rest().await;

    // A batch, too: one timeout to read and one to write, not one for each key.
    let cache = rig.cache.clone();
    let keys: Vec<String> = (0..100).map(|n| n.to_string()).collect();
    let batch = tokio::spawn(async move {
        cache
            .get_or_load_many(keys, |keys| async move {
                fine(keys.into_iter().map(|k| (k, 1_u8)).collect::<std::collections::HashMap<_, _>>())
            })
            .await
    });
    settle().await;
    rig.clock.advance(TIMEOUT);
    settle().await;
    rig.clock.advance(TIMEOUT);
    until(|| batch.is_finished()).await;
    assert!(batch.await.unwrap().into_iter().all(|one| one.unwrap().is_some()));
    rig.at_rest().await;
}

#[tokio::test]
async fn errors_that_are_the_callers_own_are_no_store_errors() {
    let rig = Rig::new();
    rig.cache.set("text", "x".to_owned()).await.unwrap();
    assert_eq!(rig.cache.increment("text", 1).await.unwrap_err().kind(), ErrorKind::WrongType);
    rig.cache.set("n", i64::MIN).await.unwrap();
    assert_eq!(rig.cache.decrement("n", 1).await.unwrap_err().kind(), ErrorKind::Overflow);
    assert_eq!(rig.cache.stats().store_errors, 0);
    assert_eq!(rig.cache.get::<String>("text").await.unwrap().unwrap().as_str(), "x", "and leave no doubt");
}
