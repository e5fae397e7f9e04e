//! Tags that become known only while a value is loaded.

use std::{sync::Arc, time::Duration};

use larder_core::{EntryOptions, Error, Kept, Loaded, NotKept, Outcome, Result, Source};
use tokio::task::JoinHandle;

use crate::support::{Act, Cluster, Gate, Rig, fine, settle};

const LOADED: Source = Source::Loaded(Kept::Yes);
const LATE: Source = Source::Loaded(Kept::No(NotKept::LateTags));

fn load(
    rig: &Rig,
    gate: &Arc<Gate>,
    value: &'static str,
    expected: bool,
) -> JoinHandle<Result<Outcome<String>>> {
    let (cache, gate) = (rig.cache.clone(), Arc::clone(gate));
    tokio::spawn(async move {
        let loader = move || async move {
            gate.pass().await;
            Ok::<_, Error>(Loaded::new(value.to_owned()).tag("late"))
        };
        cache.get_or_load_with("a", EntryOptions::new().late_tags(expected), loader).await
    })
}

fn of(outcome: Result<Outcome<String>>) -> (String, Source) {
    let outcome = outcome.unwrap();
    (outcome.to_string(), outcome.source())
}

#[tokio::test]
async fn the_first_time_that_nobody_expects_one_nothing_is_kept() {
    for rig in [Rig::new(), Cluster::new().process()] {
        let gate = Gate::new();
        gate.open();
        assert_eq!(of(load(&rig, &gate, "one", false).await.unwrap()), ("one".to_owned(), LATE));
        gate.open();
        assert_eq!(of(load(&rig, &gate, "two", false).await.unwrap()), ("two".to_owned(), LOADED));
        assert!(rig.cache.has("a").await.unwrap());
        rig.cache.invalidate_tags(["late"]).await.unwrap();
        assert!(!rig.cache.has("a").await.unwrap());
        rig.at_rest().await;
    }
}

#[tokio::test]
async fn invalidated_during_the_load_it_is_not_kept_and_who_joined_loads_again() {
    for own in [true, false] {
        let cluster = Cluster::new();
        let (a, b) = cluster.two();
        let gate = Gate::new();
        let leader = load(&a, &gate, "old", true);
        gate.reached().await;
        if own { &a } else { &b }.cache.invalidate_tags(["late"]).await.unwrap();
        // Nobody can know yet that this one comes after an invalidation of what it joins.
        let follower = load(&a, &gate, "new", true);
        settle().await;
        assert_eq!(a.cache.stats().joined, 1);
        gate.open();
        gate.reached().await;
        gate.open();
        assert_eq!(of(leader.await.unwrap()), ("old".to_owned(), LATE), "own: {own}");
        assert_eq!(of(follower.await.unwrap()), ("new".to_owned(), LOADED));
        assert_eq!(*b.cache.get::<String>("a").await.unwrap().unwrap(), "new");
    }
}

#[tokio::test]
async fn an_invalidation_of_another_tag_moves_the_epoch_too() {
    let cluster = Cluster::new();
    let (a, b) = cluster.two();
    let gate = Gate::new();
    let leader = load(&a, &gate, "old", true);
    gate.reached().await;
    b.cache.invalidate_tags(["another"]).await.unwrap();
    gate.open();
    assert_eq!(of(leader.await.unwrap()).1, LATE);
}

#[tokio::test]
async fn who_comes_while_the_tags_are_checked_waits_and_reads() {
    for rig in [Rig::new(), Cluster::new().process()] {
        let (gate, checking) = (Gate::new(), Gate::new());
        let leader = load(&rig, &gate, "one", true);
        gate.reached().await;
        rig.store.once("get_versioned", Act::Hold(Arc::clone(&checking)));
        gate.open();
        checking.reached().await;
        let follower = load(&rig, &gate, "two", true);
        settle().await;
        assert_eq!(rig.cache.stats().joined, 0);
        checking.open();
        assert_eq!(of(leader.await.unwrap()), ("one".to_owned(), LOADED), "its result is kept all the same");
        assert_eq!(of(follower.await.unwrap()), ("one".to_owned(), Source::Hit));
        rig.at_rest().await;
    }
}

#[tokio::test]
async fn what_a_loader_says_goes_over_what_was_asked() {
    let cluster = Cluster::new();
    let a = cluster.process();
    let loader = || async { Ok::<_, Error>(Loaded::new(1_u8).timeout(Duration::from_hours(2)).tag("late")) };
    let options = EntryOptions::new().timeout(Duration::from_secs(1)).tag("early").late_tags(true);
    assert_eq!(a.cache.get_or_load_with("a", options, loader).await.unwrap().source(), LOADED);
    // The stamps of both were made to last as long.
    cluster.clock.advance(Duration::from_secs(7000));
    assert!(a.cache.has("a").await.unwrap());
    a.cache.invalidate_tags(["early"]).await.unwrap();
    assert!(!a.cache.has("a").await.unwrap());
    let too_many = || async {
        Ok::<_, Error>(Loaded::new(1_u8).tags((0..=EntryOptions::MAX_TAGS).map(|n| n.to_string())))
    };
    let source = a.cache.get_or_load("b", too_many).await.unwrap().source();
    assert!(matches!(source, Source::Loaded(Kept::No(_))), "nobody could invalidate it: {source:?}");
    assert_eq!(*a.cache.get_or_load("b", || async { fine(2_u8) }).await.unwrap(), 2);
}
