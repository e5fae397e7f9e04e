//! Every operation of a cache, over a store that does all.

use std::{sync::Arc, time::Duration};

use larder_core::{
    EntryOptions, ErrorKind, Expiry, Kept, Key, Namespace, NotKept, Operations, Source, Timeout,
};

use crate::support::{Act, Rig, Scripted, fine, settle};

const SEC: Duration = Duration::from_secs(1);

#[tokio::test]
async fn set_get_has_delete_on_every_kind_of_store() {
    for rig in [Rig::new(), Rig::bytes(), Rig::with(Scripted::peeking(), |b| b)] {
        let cache = &rig.cache;
        assert!(cache.get::<String>("a").await.unwrap().is_none());
        cache.set("a", "1".to_owned()).await.unwrap();
        cache.set("a", "2".to_owned()).await.unwrap();
        assert_eq!(cache.get::<String>("a").await.unwrap().unwrap().as_str(), "2");
        assert!(cache.has("a").await.unwrap());
        assert!(cache.delete("a").await.unwrap());
        assert!(!cache.delete("a").await.unwrap());
        assert!(!cache.has("a").await.unwrap());
        let stats = cache.stats();
        assert_eq!((stats.hits, stats.misses), (1, 1));
        rig.at_rest().await;
    }
}

#[tokio::test]
async fn entries_expire_when_asked_to_and_set_replaces_the_expiry() {
    for rig in [Rig::new(), Rig::bytes()] {
        let cache = &rig.cache;
        cache.set_with("a", 1_u8, 10 * SEC).await.unwrap();
        cache.set_with("text", "x".to_owned(), 10 * SEC).await.unwrap();
        cache.set("default", "x".to_owned()).await.unwrap();
        cache.set_with("gone", "x".to_owned(), Duration::ZERO).await.unwrap();
        cache.set_with("ever", "x".to_owned(), Duration::MAX).await.unwrap();
        assert!(!cache.has("gone").await.unwrap());
        assert_eq!(cache.expiry("a").await.unwrap(), Some(Expiry::After(10 * SEC)));
        assert_eq!(cache.expiry("text").await.unwrap(), Some(Expiry::After(10 * SEC)));
        assert_eq!(cache.expiry("default").await.unwrap(), Some(Expiry::After(300 * SEC)));
        assert_eq!(cache.expiry("nothing").await.unwrap(), None);
        rig.clock.advance((10 * SEC).saturating_sub(Duration::from_nanos(1)));
        assert!(cache.has("a").await.unwrap() && cache.has("text").await.unwrap());
        rig.clock.advance(Duration::from_nanos(1));
        assert!(!cache.has("a").await.unwrap() && !cache.has("text").await.unwrap());
        cache.set_with("text", "y".to_owned(), SEC).await.unwrap();
        cache.set_with("text", "z".to_owned(), Timeout::Never).await.unwrap();
        rig.clock.advance(1_000_000 * SEC);
        assert_eq!(cache.expiry("text").await.unwrap(), Some(Expiry::Never));
        assert!(cache.has("ever").await.unwrap());
    }
}

#[tokio::test]
async fn what_expires_on_its_way_here_is_not_served() {
    let rig = Rig::new();
    rig.cache.set_with("a", "x".to_owned(), SEC).await.unwrap();
    let gate = crate::support::Gate::new();
    rig.store.once("get", Act::HoldAfter(Arc::clone(&gate)));
    let (cache, clock) = (rig.cache.clone(), rig.clock.clone());
    let read = tokio::spawn(async move { cache.get::<String>("a").await });
    gate.reached().await;
    clock.advance(Duration::from_millis(400));
    settle().await;
    gate.open();
    assert!(read.await.unwrap().unwrap().is_some());

    rig.store.once("get", Act::HoldAfter(Arc::clone(&gate)));
    rig.clock.advance(Duration::from_millis(400));
    let cache = rig.cache.clone();
    let read = tokio::spawn(async move { cache.get::<String>("a").await });
    gate.reached().await;
    rig.clock.advance(Duration::from_millis(200));
    gate.open();
    assert!(read.await.unwrap().unwrap().is_none());
}

#[tokio::test]
async fn namespaces_are_apart_and_clear_is_exact() {
    for rig in [Rig::new(), Rig::bytes()] {
        let root = &rig.cache;
        let shop = root.namespace("shop").unwrap();
        let carts = shop.namespace("carts").unwrap();
        let shop2 = root.namespace("shop2").unwrap();
        let wild = root.namespace("sh*p").unwrap();
        let all = [root, &shop, &carts, &shop2, &wild];
        for cache in all {
            cache.set("x", format!("{:?}", cache.path())).await.unwrap();
            cache.set("shop/x", 1_u8).await.unwrap();
        }
        for cache in all {
            assert_eq!(*cache.get::<String>("x").await.unwrap().unwrap(), format!("{:?}", cache.path()));
        }
        wild.clear().await.unwrap();
        assert!(!wild.has("x").await.unwrap() && shop.has("x").await.unwrap());
        carts.clear().await.unwrap();
        assert!(
            !carts.has("x").await.unwrap() && shop.has("x").await.unwrap() && root.has("x").await.unwrap()
        );
        carts.set("x", 1_u8).await.unwrap();
        shop.clear().await.unwrap();
        assert!(!shop.has("x").await.unwrap() && !carts.has("x").await.unwrap());
        assert!(shop2.has("x").await.unwrap() && root.has("shop/x").await.unwrap());
        shop.clear().await.unwrap();
        root.clear().await.unwrap();
        assert!(!shop2.has("x").await.unwrap() && !root.has("x").await.unwrap());
        assert_eq!(rig.store.calls("clear"), 5);
        rig.at_rest().await;
    }
}

#[tokio::test]
async fn keys_work_in_every_operation() {
    let rig = Rig::new();
    let shop = rig.cache.namespace("shop").unwrap();
    rig.cache.set("elsewhere", 1_u8).await.unwrap();
    let long = "x".repeat(5000);
    shop.set("a b", "1".to_owned()).await.unwrap();
    shop.set(long.as_str(), "2".to_owned()).await.unwrap();
    shop.namespace("deep").unwrap().set("c", "3".to_owned()).await.unwrap();
    let mut keys = shop.keys().await.unwrap();
    keys.sort();
    assert_eq!(keys.len(), 3);
    let texts: Vec<_> = keys.iter().map(|key| key.text().map(std::borrow::Cow::into_owned)).collect();
    assert!(
        texts.contains(&Some("a b".to_owned()))
            && texts.contains(&None)
            && texts.contains(&Some("c".to_owned()))
    );
    for key in &keys {
        assert!(shop.has(key).await.unwrap());
        assert!(shop.touch(key, SEC).await.unwrap());
        assert!(shop.expiry(key).await.unwrap().is_some());
        assert!(shop.get_or_load(key, || async { fine(String::new()) }).await.unwrap().is_hit());
        assert!(shop.get_many::<String>([key]).await[0].as_ref().unwrap().is_some());
        assert!(shop.take::<String>(key).await.unwrap().is_some());
        shop.set(key, "again".to_owned()).await.unwrap();
        assert!(!shop.add(key, "lost".to_owned()).await.unwrap());
        assert!(rig.cache.delete(key).await.unwrap(), "a key of a child works in its parents");
    }
    assert!(!shop.has(long.as_str()).await.unwrap());
}

#[tokio::test]
async fn keys_are_those_that_get_finds() {
    for store in [Scripted::default(), Scripted::without(Operations::VERSIONS)] {
        let rig = Rig::with(store, |b| b);
        let window = EntryOptions::new().timeout(SEC).stale_if_error(100 * SEC);
        rig.cache.set_with("stale", "x".to_owned(), window).await.unwrap();
        rig.cache.set("fresh", "x".to_owned()).await.unwrap();
        rig.clock.advance(2 * SEC);
        assert!(rig.stored("stale").await.is_some() && !rig.cache.has("stale").await.unwrap());
        assert_eq!(rig.cache.keys().await.unwrap(), [rig.cache.key("fresh").unwrap()]);
    }
}

#[tokio::test]
async fn a_key_of_another_namespace_is_refused() {
    let rig = Rig::new();
    let shop = rig.cache.namespace("shop").unwrap();
    let key = Key::new(&Namespace::root(), "x").unwrap();
    rig.cache.set(&key, 1_u8).await.unwrap();
    assert_eq!(shop.get::<u8>(&key).await.unwrap_err().kind(), ErrorKind::InvalidKey);
    assert_eq!(shop.set(&key, 1_u8).await.unwrap_err().kind(), ErrorKind::InvalidKey);
    assert_eq!(shop.delete(&key).await.unwrap_err().kind(), ErrorKind::InvalidKey);
    assert_eq!(shop.take::<u8>(&key).await.unwrap_err().kind(), ErrorKind::InvalidKey);
    let load = shop.get_or_load(&key, || async { fine(1_u8) }).await;
    assert_eq!(load.unwrap_err().kind(), ErrorKind::InvalidKey);
    assert!(shop.peek::<u8>(&key).is_err() && shop.seat::<u8>(&key).await.is_err());
    assert!(rig.cache.has(&key).await.unwrap());
}

#[tokio::test]
async fn add_has_one_winner_of_many_and_follows_an_expired_one() {
    let rig = Rig::with(Scripted::default(), |b| b);
    rig.store.always("add", Act::Yield);
    for round in 0..20 {
        let key = format!("k{round}");
        let tries: Vec<_> = (0..50_u8)
            .map(|me| {
                let (cache, key) = (rig.cache.clone(), key.clone());
                tokio::spawn(
                    async move { cache.add_with(key, format!("{me}"), SEC).await.unwrap().then_some(me) },
                )
            })
            .collect();
        let mut winners = Vec::new();
        for one in tries {
            winners.extend(one.await.unwrap());
        }
        assert_eq!(winners.len(), 1);
        assert_eq!(*rig.cache.get::<String>(&key).await.unwrap().unwrap(), winners[0].to_string());
        assert_eq!(rig.cache.expiry(&key).await.unwrap(), Some(Expiry::After(SEC)));
        assert!(!rig.cache.add(&key, "late".to_owned()).await.unwrap());
        rig.clock.advance(SEC);
        assert!(rig.cache.add(&key, "next".to_owned()).await.unwrap());
    }
    rig.at_rest().await;
}

#[tokio::test]
async fn take_gives_the_value_to_exactly_one() {
    for rig in [Rig::new(), Rig::bytes()] {
        rig.store.always("replace", Act::Yield);
        rig.store.always("get_versioned", Act::Yield);
        for _ in 0..20 {
            rig.cache.set("token", "once".to_owned()).await.unwrap();
            let takers: Vec<_> = (0..20)
                .map(|_| {
                    let cache = rig.cache.clone();
                    tokio::spawn(async move { cache.take::<String>("token").await.unwrap() })
                })
                .collect();
            let mut taken = 0;
            for taker in takers {
                if let Some(value) = taker.await.unwrap() {
                    assert_eq!(value.as_str(), "once");
                    taken += 1;
                }
            }
            assert_eq!(taken, 1);
            assert!(!rig.cache.has("token").await.unwrap());
        }
        // A counter, too, and what is of another type stays.
        rig.cache.set("n", 7).await.unwrap();
        assert_eq!(*rig.cache.take::<i32>("n").await.unwrap().unwrap(), 7);
        assert_eq!(rig.number("n").await, None);
        rig.cache.set("text", "x".to_owned()).await.unwrap();
        assert!(rig.cache.take::<Vec<u8>>("text").await.unwrap().is_none());
        assert!(rig.cache.has("text").await.unwrap());
        rig.at_rest().await;
    }
}

#[tokio::test]
async fn touch_keeps_the_value_and_extends_past_the_first_expiry() {
    for rig in [Rig::new(), Rig::bytes()] {
        let cache = &rig.cache;
        cache.set_with("a", "x".to_owned(), SEC).await.unwrap();
        cache.set_with("n", 5, SEC).await.unwrap();
        assert!(cache.touch("a", 100 * SEC).await.unwrap());
        assert!(cache.touch("n", 100 * SEC).await.unwrap());
        assert!(!cache.touch("nothing", SEC).await.unwrap());
        rig.clock.advance(50 * SEC);
        assert_eq!(cache.get::<String>("a").await.unwrap().unwrap().as_str(), "x");
        assert_eq!(*cache.get::<u8>("n").await.unwrap().unwrap(), 5);
        assert_eq!(cache.expiry("a").await.unwrap(), Some(Expiry::After(50 * SEC)));
        assert!(cache.touch("a", Timeout::Default).await.unwrap());
        assert_eq!(cache.expiry("a").await.unwrap(), Some(Expiry::After(300 * SEC)));
        assert!(cache.touch("a", Duration::ZERO).await.unwrap());
        assert!(!cache.has("a").await.unwrap());
        rig.clock.advance(50 * SEC);
        assert!(!cache.touch("n", SEC).await.unwrap());
    }
}

#[tokio::test]
async fn operations_that_lose_for_ever_end_with_overloaded() {
    let rig = Rig::new();
    rig.cache.set("a", "x".to_owned()).await.unwrap();
    // Every replace finds another version: the gate's keeper writes in between.
    let gate = crate::support::Gate::new();
    rig.store.always("replace", Act::Hold(Arc::clone(&gate)));
    let cache = rig.cache.clone();
    let touch = tokio::spawn(async move { cache.touch("a", SEC).await });
    for _ in 0..32 {
        gate.reached().await;
        rig.cache.set("a", "x".to_owned()).await.unwrap();
        gate.open();
    }
    assert_eq!(touch.await.unwrap().unwrap_err().kind(), ErrorKind::Overloaded);
    rig.at_rest().await;
}

#[tokio::test]
async fn increments_sum_exactly_and_keep_their_expiry() {
    let rig = Rig::with(Scripted::default(), |b| b.default_timeout(10 * SEC));
    rig.store.always("increment", Act::Yield);
    let tasks: Vec<_> = (0..20)
        .map(|_| {
            let cache = rig.cache.clone();
            tokio::spawn(async move {
                for _ in 0..10 {
                    cache.increment("n", 3).await.unwrap();
                    cache.decrement("n", 1).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(rig.number("n").await, Some(400));
    rig.clock.advance(4 * SEC);
    rig.cache.increment("n", 1).await.unwrap();
    assert_eq!(rig.cache.expiry("n").await.unwrap(), Some(Expiry::After(6 * SEC)));
    rig.at_rest().await;
}

#[tokio::test]
async fn peek_answers_only_where_the_store_does() {
    let rig = Rig::with(Scripted::peeking(), |b| b);
    rig.cache.set("a", "x".to_owned()).await.unwrap();
    assert_eq!(rig.cache.peek::<String>("a").unwrap().unwrap().as_str(), "x");
    assert!(rig.cache.peek::<String>("b").unwrap().is_none());
    assert_eq!((rig.cache.stats().hits, rig.cache.stats().misses), (1, 0));
    assert_eq!(rig.store.calls("get"), 0);
    rig.clock.advance(300 * SEC);
    assert!(rig.cache.peek::<String>("a").unwrap().is_none());
    let slow = Rig::new();
    slow.cache.set("a", 1_u8).await.unwrap();
    assert!(slow.cache.peek::<u8>("a").unwrap().is_none());
}

#[tokio::test]
async fn health_asks_the_store() {
    let rig = Rig::new();
    assert_eq!(rig.cache.health().await.unwrap().latency, Duration::ZERO);
    rig.store.once("get", Act::Fail(ErrorKind::Unavailable));
    assert_eq!(rig.cache.health().await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert!(rig.cache.keys().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_value_over_the_limit_is_refused_where_bytes_are_kept() {
    let rig = Rig::with(Scripted::keeping_bytes(), |b| b.max_value_bytes(100));
    rig.cache.set("a", "old".to_owned()).await.unwrap();
    let error = rig.cache.set("a", "x".repeat(200)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert!(error.to_string().contains("limit of this cache is 100"), "{error}");
    assert_eq!(rig.cache.get::<String>("a").await.unwrap().unwrap().as_str(), "old");
    let loaded = rig.cache.get_or_load("b", || async { fine("x".repeat(200)) }).await.unwrap();
    assert_eq!(loaded.source(), Source::Loaded(Kept::No(NotKept::TooLarge)));
    assert!(rig.cache.keys().await.unwrap().iter().all(|key| key.text().as_deref() != Some("b")));
    rig.at_rest().await;
}

#[tokio::test]
async fn settings_out_of_range_are_named() {
    let build = |set: fn(larder_core::CacheBuilder) -> larder_core::CacheBuilder| {
        let error = set(larder_core::Cache::builder(Scripted::default())).build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        error.to_string()
    };
    assert!(build(|b| b.operation_timeout(Duration::ZERO)).contains("operation_timeout"));
    assert!(build(|b| b.bulk_timeout(Duration::ZERO)).contains("bulk_timeout"));
    assert!(build(|b| b.load_timeout(Duration::ZERO)).contains("load_timeout"));
    let lease = build(|b| b.lease_timeout(Duration::from_millis(99)));
    assert!(lease.starts_with("`lease_timeout` is 99ms: it must be at least 100 ms"), "{lease}");
    assert!(build(|b| b.lease_timeout(Duration::ZERO)).contains("lease_timeout"));
    let shortest = larder_core::Cache::builder(Scripted::default()).lease_timeout(Duration::from_millis(100));
    assert!(shortest.build().is_ok());
    assert!(build(|b| b.max_concurrent_loads(0)).contains("max_concurrent_loads"));
    assert!(build(|b| b.max_concurrent_loads(usize::MAX)).contains("max_concurrent_loads"));
    assert!(build(|b| b.max_value_bytes(0)).contains("max_value_bytes"));
    assert!(build(|b| b.default_timeout(Timeout::Default)).contains("default_timeout"));
}
