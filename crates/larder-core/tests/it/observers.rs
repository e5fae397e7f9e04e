//! What observers are told, and what is counted.

use std::{sync::Arc, time::Duration};

use larder_core::{ErrorKind, EvictionCause, Observer};

use crate::support::{Act, Events, Gate, Rig, fine, settle};

#[tokio::test]
async fn each_thing_that_happens_is_told_once() {
    let rig = Rig::new();
    let cache = &rig.cache;
    let a = "Key(1/:a)";
    cache.get::<String>("a").await.unwrap();
    assert_eq!(rig.events.take(), [format!("miss {a}")]);
    cache.set("a", "x".to_owned()).await.unwrap();
    assert!(rig.events.take().is_empty());
    cache.get::<String>("a").await.unwrap();
    assert_eq!(rig.events.take(), [format!("hit {a} saved 0ns")]);
    cache.get::<Vec<u8>>("a").await.unwrap();
    assert_eq!(rig.events.take(), [format!("undecodable {a}"), format!("miss {a}")]);
    rig.store.once("get", Act::Fail(ErrorKind::Unavailable));
    assert!(cache.get::<String>("a").await.is_err());
    assert_eq!(rig.events.take(), ["store error get Unavailable"]);
    cache.take::<String>("a").await.unwrap();
    cache.take::<String>("a").await.unwrap();
    assert_eq!(rig.events.take(), [format!("hit {a} saved 0ns"), format!("miss {a}")]);

    let clock = rig.clock.clone();
    cache
        .get_or_load("a", || async move {
            clock.advance(Duration::from_millis(3));
            fine("x".to_owned())
        })
        .await
        .unwrap();
    assert_eq!(rig.events.take(), [format!("miss {a}"), format!("loaded {a} in 3ms Yes")]);
    let clock = rig.clock.clone();
    let failed = cache
        .get_or_load("b", || async move {
            clock.advance(Duration::from_millis(5));
            Err::<u8, _>("no")
        })
        .await;
    assert!(failed.is_err());
    assert_eq!(rig.events.take(), ["miss Key(1/:b)", "load failed Key(1/:b) in 5ms: the loader failed: no"]);

    let gate = Gate::new();
    let (one, held) = (cache.clone(), Arc::clone(&gate));
    let lead = tokio::spawn(async move {
        one.get_or_load("c", || async move {
            held.pass().await;
            fine(1_u8)
        })
        .await
    });
    gate.reached().await;
    let two = cache.clone();
    let joined = tokio::spawn(async move { two.get_or_load("c", || async { fine(1_u8) }).await });
    settle().await;
    gate.open();
    lead.await.unwrap().unwrap();
    joined.await.unwrap().unwrap();
    let c = "Key(1/:c)";
    assert_eq!(
        rig.events.take(),
        [format!("miss {c}"), format!("miss {c}"), format!("joined {c}"), format!("loaded {c} in 0ns Yes")]
    );
    let stats = cache.stats();
    assert_eq!((stats.hits, stats.misses, stats.loads, stats.load_errors), (2, 7, 2, 1));
    assert_eq!((stats.joined, stats.store_errors, stats.undecodable, stats.not_kept), (1, 1, 1, 0));
    assert!(stats.hit_ratio().is_some_and(|ratio| (ratio - 2.0 / 9.0).abs() < 1e-9));
}

#[tokio::test]
async fn evictions_reach_every_cache_over_the_store_while_it_lives() {
    let rig = Rig::new();
    let more = Arc::new(Events::default());
    let other = larder_core::Cache::builder(rig.handle.clone())
        .observer(Arc::clone(&more) as Arc<dyn Observer>)
        .build()
        .unwrap();
    let store = rig.store.events.lock().unwrap().clone().unwrap();
    store.evicted(EvictionCause::Capacity);
    store.evicted(EvictionCause::Expired);
    let told = ["evicted Capacity", "evicted Expired"];
    assert_eq!(
        (rig.events.take(), more.take()),
        (told.map(String::from).to_vec(), told.map(String::from).to_vec())
    );
    assert_eq!((rig.cache.stats().evictions, other.stats().evictions), (1, 1));
    drop((other, more));
    store.evicted(EvictionCause::Capacity);
    assert_eq!(rig.cache.stats().evictions, 2);
}

#[tokio::test]
async fn a_take_that_loses_has_found_nothing() {
    let rig = Rig::new();
    rig.cache.set("a", "x".to_owned()).await.unwrap();
    let gate = Gate::new();
    rig.store.once("replace", Act::Hold(Arc::clone(&gate)));
    let cache = rig.cache.clone();
    let loses = tokio::spawn(async move { cache.take::<String>("a").await });
    gate.reached().await;
    assert!(rig.cache.take::<String>("a").await.unwrap().is_some());
    gate.open();
    assert!(loses.await.unwrap().unwrap().is_none());
    assert_eq!(rig.events.take(), ["hit Key(1/:a) saved 0ns", "miss Key(1/:a)"]);
    assert_eq!((rig.cache.stats().hits, rig.cache.stats().misses), (1, 1));
}

#[tokio::test]
async fn counts_belong_to_a_cache_and_its_children() {
    let rig = Rig::new();
    let other = larder_core::Cache::new(rig.handle.clone());
    let child = rig.cache.namespace("child").unwrap();
    child.get::<u8>("a").await.unwrap();
    assert_eq!((rig.cache.stats().misses, child.stats().misses, other.stats().misses), (1, 1, 0));
}
