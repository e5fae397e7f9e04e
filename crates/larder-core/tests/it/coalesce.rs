//! Who waits for whose load, and what that costs.

use std::time::Duration;

use larder_core::{Coalesce, EntryOptions, Kept, NotKept, Operations, Seat, Source, StaleWhy};

use crate::support::{Cluster, Gate, Rig, Scripted, fine, load, settle};

fn alone(why: NotKept) -> Source {
    Source::Loaded(Kept::No(why))
}

#[tokio::test]
async fn off_nobody_waits_and_one_is_kept() {
    let cluster = Cluster::new();
    let rig = || cluster.process_with(|builder| builder.coalesce(Coalesce::Off));
    let (a, b) = (rig(), rig());
    let gate = Gate::new();
    let first = load(&a, "a", &gate, "first");
    gate.reached().await;
    let second = load(&a, "a", &gate, "second");
    gate.reached().await;
    let elsewhere = load(&b, "a", &gate, "elsewhere");
    gate.reached().await;
    (0..3).for_each(|_| gate.open());
    assert_eq!(first.await.unwrap().unwrap().source(), Source::Loaded(Kept::Yes));
    assert_eq!(second.await.unwrap().unwrap().source(), alone(NotKept::Unshared));
    assert_eq!(elsewhere.await.unwrap().unwrap().source(), alone(NotKept::LoadedElsewhere));
    assert_eq!(*b.cache.get::<String>("a").await.unwrap().unwrap(), "first");
}

#[tokio::test]
async fn in_a_process_its_callers_share_and_others_are_not_waited_for() {
    let cluster = Cluster::new();
    let a = cluster.process();
    let b = cluster.process_with(|builder| builder.coalesce(Coalesce::Process));
    let (first, own) = (Gate::new(), Gate::new());
    let elsewhere = load(&a, "a", &first, "a");
    first.reached().await;
    let leader = load(&b, "a", &own, "b");
    settle().await;
    let follower = load(&b, "a", &own, "never");
    own.reached().await;
    settle().await;
    own.open();
    settle().await;
    // The second one came after the first began, without a lease that it could have seen: it loads after it.
    own.open();
    let (leader, follower) = (leader.await.unwrap().unwrap(), follower.await.unwrap().unwrap());
    assert_eq!(leader.source(), alone(NotKept::LoadedElsewhere));
    assert!(!follower.is_hit());
    first.open();
    assert_eq!(elsewhere.await.unwrap().unwrap().source(), Source::Loaded(Kept::Yes));
}

async fn costs(rig: &Rig) -> [Vec<(&'static str, usize)>; 2] {
    rig.store.take_calls();
    let mut costs = Vec::new();
    for _ in 0..2 {
        rig.cache.get_or_load("a", || async { fine("a".to_owned()) }).await.unwrap();
        costs.push(rig.store.take_calls());
    }
    costs.try_into().unwrap()
}

#[tokio::test]
async fn a_hit_costs_one_read_and_a_miss_what_its_fence_needs() {
    let cluster = Cluster::new();
    let hit = vec![("get", 1)];
    assert_eq!(costs(&cluster.process()).await, [vec![("add", 1), ("get", 1), ("replace", 1)], hit.clone()]);
    let set = [vec![("get", 1), ("set", 1)], hit];
    let cluster = Cluster::new();
    let without = Scripted::shared(&cluster.server).lacking(Operations::VERSIONS);
    assert_eq!(costs(&Rig::with(without, |builder| builder)).await, set, "without versions");
    assert_eq!(costs(&Rig::bytes()).await, set, "private");
}

#[tokio::test]
async fn who_loads_alone_falls_back_on_a_stale_entry_too() {
    for rig in [Rig::with(Scripted::default(), |builder| builder.coalesce(Coalesce::Off)), Rig::new()] {
        let is_off =
            rig.cache.guarantees().promises().iter().any(|promise| promise.contains("no caller waits"));
        let options =
            EntryOptions::new().timeout(Duration::from_secs(1)).stale_if_error(Duration::from_mins(9));
        rig.cache.set_with("a", "stale".to_owned(), options.clone()).await.unwrap();
        rig.clock.advance(Duration::from_secs(2));
        let Seat::Leader(leader) = rig.cache.seat::<String>("a").await.unwrap() else {
            panic!("it is stale")
        };
        let alone = {
            let (cache, options) = (rig.cache.clone(), options.clone());
            tokio::spawn(async move {
                let down = || async { Err::<String, _>("the source is down") };
                cache.get_or_load_with("a", options, down).await
            })
        };
        settle().await;
        assert_eq!(alone.is_finished(), is_off);
        leader.give_up();
        let outcome = alone.await.unwrap().unwrap();
        assert_eq!(outcome.as_str(), "stale");
        assert!(matches!(outcome.source(), Source::Stale { why: StaleWhy::LoadFailed, .. }), "{outcome:?}");
        rig.at_rest().await;
    }
}
