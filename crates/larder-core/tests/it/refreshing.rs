//! Loading what is there already: early, on condition, judged stale; and what chance may take off a timeout.

use std::{sync::Arc, time::Duration};

use larder_core::{
    Cache, Clock as _, EarlyRefresh, EntryOptions, Error, ErrorKind, Expiry, IntoLoaded as _, Kept, Random,
    Renewed, SeededRandom, Source,
};

use crate::support::{Cluster, Gate, Rig, Scripted, fine, load_with, settle};

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn rigs() -> [Rig; 2] {
    [Rig::new(), Cluster::new().process()]
}

#[tokio::test]
async fn after_a_part_of_its_timeout_an_entry_is_loaded_behind() {
    for rig in rigs() {
        let options = EntryOptions::new().timeout(secs(10)).early_refresh(EarlyRefresh::After(0.8));
        let gate = Gate::new();
        gate.open();
        load_with(&rig, "a", options.clone(), &gate, "old").await.unwrap().unwrap();
        gate.reached().await;
        rig.clock.advance(secs(7));
        assert!(load_with(&rig, "a", options.clone(), &gate, "x").await.unwrap().unwrap().is_hit());
        settle().await;
        assert_eq!(rig.cache.stats().loads, 1);
        rig.clock.advance(secs(1));
        for _ in 0..3 {
            assert!(load_with(&rig, "a", options.clone(), &gate, "new").await.unwrap().unwrap().is_hit());
        }
        gate.reached().await;
        gate.open();
        rig.at_rest().await;
        assert_eq!(rig.cache.stats().loads, 2);
        assert_eq!(*rig.cache.get::<String>("a").await.unwrap().unwrap(), "new");
    }
}

#[tokio::test]
async fn of_two_processes_one_refreshes_early() {
    let cluster = Cluster::new();
    let (a, b) = cluster.two();
    let options = EntryOptions::new().timeout(secs(10)).early_refresh(EarlyRefresh::After(0.5));
    a.cache.set_with("a", "old".to_owned(), options.clone()).await.unwrap();
    cluster.clock.advance(secs(6));
    // Both have read the entry before either takes its lease.
    let (holding, gate) = (Gate::new(), Gate::new());
    for rig in [&a, &b] {
        rig.store.once("get_versioned", crate::support::Act::Hold(Arc::clone(&holding)));
        assert!(load_with(rig, "a", options.clone(), &gate, "new").await.unwrap().unwrap().is_hit());
    }
    for _ in 0..2 {
        holding.reached().await;
    }
    (0..2).for_each(|_| holding.open());
    gate.reached().await;
    settle().await;
    gate.open();
    a.at_rest().await;
    b.at_rest().await;
    assert_eq!(a.cache.stats().loads + b.cache.stats().loads, 1);
    assert_eq!(*b.cache.get::<String>("a").await.unwrap().unwrap(), "new");
}

/// How many of 200 reads, each at the same age of an entry that took a second to load, refresh it.
async fn refreshes(age: Duration, seed: u64) -> u64 {
    let rig = Rig::with(Scripted::default(), |builder| builder.random(Arc::new(SeededRandom::new(seed))));
    let options = EntryOptions::new().timeout(secs(60)).early_refresh(EarlyRefresh::XFetch { beta: 1.0 });
    for _ in 0..200 {
        let clock = rig.clock.clone();
        let slow = move || async move {
            clock.advance(secs(1));
            fine(1_u8)
        };
        rig.cache.get_or_load_with("a", options.clone(), slow).await.unwrap();
        rig.clock.advance(age);
        rig.cache.get_or_load_with("a", options.clone(), || async { fine(2_u8) }).await.unwrap();
        rig.at_rest().await;
        rig.cache.delete("a").await.unwrap();
    }
    rig.cache.stats().loads - 200
}

#[tokio::test]
async fn by_chance_the_more_the_nearer_its_end_is() {
    // Of those that are a second of loading before their end, e^-1 refresh.
    let (early, near) = (refreshes(secs(30), 1).await, refreshes(secs(59), 1).await);
    assert_eq!(early, 0);
    assert!((50..100).contains(&near), "{near}");
    assert_eq!(near, refreshes(secs(59), 1).await, "the seed decides");
}

#[tokio::test]
async fn jitter_only_ever_shortens() {
    let rig = Rig::with(Scripted::default(), |builder| builder.random(Arc::new(SeededRandom::new(3))));
    let mut seen = std::collections::HashSet::new();
    for n in 0..200 {
        rig.cache.set_with("a", n, EntryOptions::new().timeout(secs(100)).jitter(0.1)).await.unwrap();
        let Some(Expiry::After(left)) = rig.cache.expiry("a").await.unwrap() else { panic!("it ends") };
        assert!((secs(90)..=secs(100)).contains(&left), "{left:?}");
        seen.insert(left);
    }
    assert!(seen.len() > 100, "{} different ones", seen.len());
    assert_ne!(SeededRandom::new(3).nonce(), SeededRandom::new(4).nonce());
}

#[tokio::test]
async fn what_has_not_changed_is_kept_for_another_timeout() {
    for rig in rigs() {
        let options = EntryOptions::new().timeout(secs(10)).stale_if_error(secs(60));
        let renew = async |expected: Option<&'static str>, answer: Option<&'static str>| {
            let loader = move |known: Option<Arc<String>>| async move {
                assert_eq!(known.as_deref().map(String::as_str), expected);
                Ok::<_, Error>(match answer {
                    None => Renewed::NotModified,
                    Some(text) => Renewed::Modified(text.to_owned().into_loaded()),
                })
            };
            rig.cache.get_or_renew("a", options.clone(), loader).await
        };
        let error = renew(None, None).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Load);
        assert_eq!(renew(None, Some("one")).await.unwrap().as_str(), "one");
        rig.clock.advance(secs(12));
        let renewed = renew(Some("one"), None).await.unwrap();
        assert_eq!((renewed.as_str(), renewed.source()), ("one", Source::Loaded(Kept::Yes)));
        rig.clock.advance(secs(8));
        assert!(renew(Some("unused"), None).await.unwrap().is_hit(), "it was renewed");
        rig.clock.advance(secs(4));
        assert_eq!(renew(Some("one"), Some("two")).await.unwrap().as_str(), "two");
        rig.at_rest().await;
    }
}

#[tokio::test]
async fn what_is_judged_stale_is_loaded_once_for_all_who_judge_so() {
    let cluster = Cluster::new();
    let (a, b) = cluster.two();
    a.cache.set("a", vec![1]).await.unwrap();
    let gate = Gate::new();
    let judging = |rig: &Rig| {
        let (cache, gate) = (rig.cache.clone(), Arc::clone(&gate));
        tokio::spawn(async move {
            let is_old = |versions: &Vec<i32>| versions[0] < 2;
            let loader = || async move {
                gate.pass().await;
                fine(vec![2])
            };
            cache.get_or_load_if("a", EntryOptions::new(), is_old, loader).await
        })
    };
    let first = judging(&a);
    gate.reached().await;
    let rest: Vec<_> = (0..20).map(|n| judging(if n % 2 == 0 { &a } else { &b })).collect();
    cluster.pass(secs(1)).await;
    assert_eq!(*b.cache.get::<Vec<i32>>("a").await.unwrap().unwrap(), [1], "to others it is fresh");
    gate.open();
    assert_eq!(**first.await.unwrap().unwrap(), [2]);
    for caller in rest {
        assert_eq!(**cluster.end(caller).await.unwrap(), [2]);
    }
    assert_eq!((a.cache.stats().loads, b.cache.stats().loads), (1, 0));
    let hit = a
        .cache
        .get_or_load_if("a", EntryOptions::new(), |_: &Vec<i32>| false, || async { fine(vec![3]) })
        .await;
    assert!(hit.unwrap().is_hit());
}

#[tokio::test]
async fn a_forced_update_replaces_what_is_fresh_and_fails_where_its_load_does() {
    for rig in rigs() {
        let refresh = async |cache: &Cache, answer: Result<u8, &'static str>| {
            cache.refresh("a", EntryOptions::new(), move || async move { answer }).await
        };
        rig.cache.set("a", 1_u8).await.unwrap();
        assert_eq!(*refresh(&rig.cache, Ok(2)).await.unwrap(), 2);
        assert_eq!(*rig.cache.get::<u8>("a").await.unwrap().unwrap(), 2);
        refresh(&rig.cache, Err("no")).await.unwrap_err();
        assert_eq!(*rig.cache.get::<u8>("a").await.unwrap().unwrap(), 2, "what was there stays");
        let before = rig.clock.now();
        assert_eq!(*refresh(&rig.cache, Ok(3)).await.unwrap(), 3);
        assert_eq!(rig.clock.now(), before, "nobody waits for a lease");
        rig.at_rest().await;
    }
}
