//! A value that is computed from cached ones goes when they go.

use std::{sync::Arc, time::Duration};

use larder_core::{
    Cache, ClearBy, EntryOptions, Error, Expiry, Kept, NotKept, Outcome, Result, Source, StoreHandle,
    within_load,
};
use tokio::task::JoinHandle;

use crate::support::{Act, Cluster, Gate, Rig, fine, settle};

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn rigs() -> [Rig; 2] {
    [Rig::new(), Cluster::new().process()]
}

fn tagged() -> EntryOptions {
    EntryOptions::new().timeout(secs(60)).tag("inner")
}

fn of(outcome: Result<Outcome<String>>) -> (String, Source) {
    let outcome = outcome.unwrap();
    (outcome.to_string(), outcome.source())
}

const LOADED: Source = Source::Loaded(Kept::Yes);

/// `outer`, computed from `inner` of another cache, which is read in one of the ways there are.
async fn outer(rig: &Rig, from: &Cache, how: &'static str) -> Result<Outcome<String>> {
    let from = from.clone();
    let loader = move || async move {
        let load = || async { fine("inner".to_owned()) };
        let inner = match how {
            "get" => from.get::<String>("inner").await?.map(|inner| inner.to_string()),
            "get_many" => from.get_many::<String>(["inner"]).await.remove(0)?.map(|inner| inner.to_string()),
            "get_or_load" => Some(from.get_or_load_with("inner", tagged(), load).await?.to_string()),
            "scoped" => Some(from.get_or_load_scoped_with("inner", tagged(), load).await?.to_string()),
            "spawned" => tokio::spawn(within_load(async move { from.get::<String>("inner").await }))
                .await
                .unwrap()?
                .map(|inner| inner.to_string()),
            other => panic!("{other}"),
        };
        Ok::<_, Error>(format!("from {}", inner.unwrap_or_default()))
    };
    rig.cache.get_or_load_with("outer", EntryOptions::new().timeout(secs(3600)), loader).await
}

#[tokio::test]
async fn tags_and_the_shortest_timeout_reach_the_outer_entry() {
    for how in ["get", "get_many", "get_or_load", "scoped", "spawned"] {
        for kept in [true, false] {
            for rig in rigs() {
                if kept || !how.contains("load") && how != "scoped" {
                    rig.cache.set_with("inner", "inner".to_owned(), tagged()).await.unwrap();
                }
                assert_eq!(
                    of(outer(&rig, &rig.cache, how).await),
                    ("from inner".to_owned(), LOADED),
                    "{how}"
                );
                let Some(Expiry::After(left)) = rig.cache.expiry("outer").await.unwrap() else {
                    panic!("{how}")
                };
                assert!(left <= secs(60), "{how}: {left:?}");
                rig.cache.invalidate_tags(["inner"]).await.unwrap();
                assert!(!rig.cache.has("outer").await.unwrap(), "{how}, kept: {kept}");
                rig.at_rest().await;
            }
        }
    }
}

#[tokio::test]
async fn it_goes_through_every_level() {
    for rig in rigs() {
        let (middle, inner) = (rig.cache.clone(), rig.cache.clone());
        let loader = move || async move {
            let middle = middle
                .get_or_load("middle", move || async move {
                    let inner = inner.get_or_load_with("inner", tagged(), || async { fine(1_u8) }).await?;
                    Ok::<_, Error>(*inner + 1)
                })
                .await?;
            Ok::<_, Error>(*middle + 1)
        };
        assert_eq!(*rig.cache.get_or_load("outer", loader).await.unwrap(), 3);
        rig.cache.invalidate_tags(["inner"]).await.unwrap();
        for key in ["inner", "middle", "outer"] {
            assert!(!rig.cache.has(key).await.unwrap(), "{key}");
        }
    }
}

#[tokio::test]
async fn between_caches_over_one_store_and_not_between_stores() {
    let cluster = Cluster::new();
    let rig = cluster.process();
    let named =
        Cache::builder(rig.handle.clone()).namespace("named").clear_by(ClearBy::Stamps).build().unwrap();
    named.set_with("inner", "inner".to_owned(), tagged()).await.unwrap();
    assert_eq!(of(outer(&rig, &named, "get").await).1, LOADED);
    rig.cache.invalidate_tags(["inner"]).await.unwrap();
    assert!(rig.cache.has("outer").await.unwrap(), "the tag is another cache's");
    named.clear().await.unwrap();
    assert!(!rig.cache.has("outer").await.unwrap(), "the namespace it came from is gone");

    let elsewhere = Cache::new(StoreHandle::new(crate::doc::MapStore::default()));
    elsewhere.set_with("inner", "inner".to_owned(), tagged()).await.unwrap();
    assert_eq!(of(outer(&rig, &elsewhere, "get").await).1, LOADED);
    elsewhere.invalidate_tags(["inner"]).await.unwrap();
    assert!(rig.cache.has("outer").await.unwrap());
}

#[tokio::test]
async fn what_cannot_be_invalidated_spoils_what_is_made_of_it() {
    let cluster = Cluster::new();
    let (a, _b) = cluster.two();
    a.store.always("get_versioned", Act::Fail(larder_core::ErrorKind::Unavailable));
    let (value, source) = of(outer(&a, &a.cache, "get_or_load").await);
    assert_eq!(value, "from inner");
    assert_eq!(source, Source::Loaded(Kept::No(NotKept::StampsUnreadable)));
    a.store.calm();
    a.at_rest().await;
}

fn gated(rig: &Rig, gate: &Arc<Gate>) -> JoinHandle<Result<Outcome<String>>> {
    let (cache, gate) = (rig.cache.clone(), Arc::clone(gate));
    tokio::spawn(async move {
        let inner = cache.clone();
        let loader = move || async move {
            let read = inner.get::<String>("inner").await?.map(|inner| inner.to_string());
            gate.pass().await;
            Ok::<_, Error>(format!("from {}", read.unwrap_or_default()))
        };
        cache.get_or_load("outer", loader).await
    })
}

#[tokio::test]
async fn invalidated_after_it_was_read_nobody_who_joined_is_given_it() {
    for own in [true, false] {
        let cluster = Cluster::new();
        let (a, b) = cluster.two();
        a.cache.set_with("inner", "old".to_owned(), tagged()).await.unwrap();
        let gate = Gate::new();
        let leader = gated(&a, &gate);
        gate.reached().await;
        if own { &a } else { &b }.cache.invalidate_tags(["inner"]).await.unwrap();
        b.cache.set_with("inner", "new".to_owned(), tagged()).await.unwrap();
        // It comes after the invalidation, and sees nothing of it: only when the load ends is it known what that read.
        let follower = gated(&a, &gate);
        settle().await;
        gate.open();
        gate.reached().await;
        gate.open();
        let invalidated = Source::Loaded(Kept::No(NotKept::Invalidated));
        assert_eq!(of(leader.await.unwrap()), ("from old".to_owned(), invalidated), "own: {own}");
        assert_eq!(of(follower.await.unwrap()), ("from new".to_owned(), LOADED));
        assert_eq!(*b.cache.get::<String>("outer").await.unwrap().unwrap(), "from new");
    }
}

#[tokio::test]
async fn what_is_stale_makes_nothing_that_lasts() {
    let rig = Rig::new();
    let options = tagged().stale_while_revalidate(secs(60));
    rig.cache.set_with("inner", "old".to_owned(), options.clone()).await.unwrap();
    rig.clock.advance(secs(61));
    let from = rig.cache.clone();
    let loader = move || async move {
        let inner = from.get_or_load_with("inner", options, || async { fine("new".to_owned()) }).await?;
        Ok::<_, Error>(format!("from {}", *inner))
    };
    assert_eq!(rig.cache.get_or_load("outer", loader).await.unwrap().as_str(), "from old");
    rig.at_rest().await;
    assert!(!rig.cache.has("outer").await.unwrap());
    assert_eq!(of(outer(&rig, &rig.cache, "get").await).0, "from new");
}

#[tokio::test]
async fn of_what_cannot_be_invalidated_nobody_who_joined_is_given_anything() {
    for rig in rigs() {
        let gate = Gate::new();
        let row = Arc::new(std::sync::Mutex::new("old"));
        let outer = || {
            let (cache, gate, row) = (rig.cache.clone(), Arc::clone(&gate), Arc::clone(&row));
            tokio::spawn(async move {
                let inner = cache.clone();
                let loader = move || async move {
                    // The first time that a loader names a tag nobody watched for it: the value has stamps that nobody knows.
                    let load = move || async move {
                        let row = *row.lock().unwrap();
                        fine(larder_core::Loaded::new(row.to_owned()).tag("late"))
                    };
                    let read = inner.get_or_load("inner", load).await?;
                    gate.pass().await;
                    Ok::<_, Error>(format!("from {}", *read))
                };
                cache.get_or_load("outer", loader).await
            })
        };
        let leader = outer();
        gate.reached().await;
        *row.lock().unwrap() = "new";
        rig.cache.invalidate_tags(["late"]).await.unwrap();
        let follower = outer();
        settle().await;
        gate.open();
        let spoilt = Source::Loaded(Kept::No(NotKept::StampsUnreadable));
        assert_eq!(of(leader.await.unwrap()), ("from old".to_owned(), spoilt));
        gate.reached().await;
        gate.open();
        assert_eq!(of(follower.await.unwrap()).0, "from new", "it came after the invalidation");
        rig.at_rest().await;
    }
}

#[tokio::test]
async fn who_came_before_a_load_began_is_given_what_it_could_not_keep() {
    let cluster = Cluster::new();
    let a = cluster.process();
    let (adding, gate) = (Gate::new(), Gate::new());
    a.cache.set_with("inner", "inner".to_owned(), tagged()).await.unwrap();
    a.store.once("add", Act::Hold(Arc::clone(&adding)));
    let leader = gated(&a, &gate);
    adding.reached().await;
    let follower = gated(&a, &gate);
    settle().await;
    assert_eq!(a.cache.stats().joined, 1);
    adding.open();
    gate.reached().await;
    a.cache.invalidate_tags(["inner"]).await.unwrap();
    gate.open();
    let invalidated = Kept::No(NotKept::Invalidated);
    assert_eq!(of(leader.await.unwrap()).1, Source::Loaded(invalidated));
    assert_eq!(of(follower.await.unwrap()), ("from inner".to_owned(), Source::Joined(invalidated)));
}

#[tokio::test]
async fn what_is_made_of_something_stale_is_as_stale() {
    let rig = Rig::new();
    let down = || async { Err::<String, _>("the source is down") };
    let inner = EntryOptions::new().timeout(secs(60)).stale_if_error(secs(3600));
    rig.cache.set_with("inner", "old".to_owned(), inner.clone()).await.unwrap();
    rig.clock.advance(secs(90));
    let outer = EntryOptions::new().timeout(secs(600)).stale_while_revalidate(secs(50));
    let ask = async || {
        let (from, inner) = (rig.cache.clone(), inner.clone());
        let loader = move || async move {
            let inner = from.get_or_load_with("inner", inner, down).await?;
            Ok::<_, Error>(format!("from {}", *inner))
        };
        let found = rig.cache.get_or_load_with("outer", outer.clone(), loader).await;
        settle().await;
        of(found)
    };
    assert_eq!(ask().await, ("from old".to_owned(), LOADED));
    assert!(!rig.cache.has("outer").await.unwrap(), "nothing fresh is made of it");
    // It stopped being fresh when what it is made of did: 20 of its 50 s are left.
    assert!(matches!(ask().await.1, Source::Stale { .. }));
    rig.clock.advance(secs(30));
    assert_eq!(ask().await.1, Source::Loaded(Kept::Yes));
    rig.at_rest().await;
}
