//! Which callers are given the result of a load that runs already, where other processes write to the store too.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use larder_core::{EntryOptions, Error, ErrorKind, Kept, NotKept, Outcome, Result, Source};
use tokio::task::JoinHandle;

use crate::support::{Act, Cluster, Gate, Rig, fine, load, settle};

const LOADED: Source = Source::Loaded(Kept::Yes);
const JOINED: Source = Source::Joined(Kept::Yes);

fn of(outcome: Result<Outcome<String>>) -> (String, Source) {
    let outcome = outcome.unwrap();
    (outcome.to_string(), outcome.source())
}

#[tokio::test]
async fn a_load_that_has_not_begun_is_joined_by_anyone() {
    let cluster = Cluster::new();
    let a = cluster.process();
    let (adding, gate) = (Gate::new(), Gate::new());
    a.store.once("add", Act::Hold(Arc::clone(&adding)));
    let leader = load(&a, "a", &gate, "one");
    adding.reached().await;
    let follower = load(&a, "a", &gate, "two");
    settle().await;
    assert_eq!(a.cache.stats().joined, 1);
    adding.open();
    gate.open();
    assert_eq!(of(leader.await.unwrap()), ("one".to_owned(), LOADED));
    assert_eq!(of(follower.await.unwrap()), ("one".to_owned(), JOINED));
}

#[tokio::test]
async fn a_load_that_has_begun_is_joined_by_who_sees_its_lease() {
    let cluster = Cluster::new();
    let a = cluster.process();
    let gate = Gate::new();
    let leader = load(&a, "a", &gate, "one");
    gate.reached().await;
    let reads = a.store.calls("get");
    let follower = load(&a, "a", &gate, "two");
    settle().await;
    assert_eq!((a.store.calls("get") - reads, a.cache.stats().joined), (1, 1));
    gate.open();
    assert_eq!(of(leader.await.unwrap()).1, LOADED);
    assert_eq!(of(follower.await.unwrap()), ("one".to_owned(), JOINED));
}

#[tokio::test]
async fn who_read_before_the_load_began_reads_again() {
    let cluster = Cluster::new();
    let a = cluster.process();
    let (reading, gate) = (Gate::new(), Gate::new());
    a.store.once("get", Act::HoldAfter(Arc::clone(&reading)));
    let late = load(&a, "a", &gate, "two");
    reading.reached().await;
    let leader = load(&a, "a", &gate, "one");
    gate.reached().await;
    assert_eq!(a.store.calls("get"), 2);
    reading.open();
    settle().await;
    assert_eq!((a.store.calls("get"), a.cache.stats().joined), (3, 1));
    gate.open();
    assert_eq!(of(leader.await.unwrap()).1, LOADED);
    assert_eq!(of(late.await.unwrap()), ("one".to_owned(), JOINED));
}

#[tokio::test]
async fn a_load_whose_lease_is_void_is_given_to_nobody_who_comes_later() {
    let cluster = Cluster::new();
    let (a, b) = cluster.two();
    let (old, new) = (Gate::new(), Gate::new());
    let leader = load(&a, "a", &old, "old");
    old.reached().await;
    let follower = load(&a, "a", &old, "unused");
    settle().await;
    assert!(!b.cache.delete("a").await.unwrap());
    let later = load(&a, "a", &new, "new");
    new.reached().await;
    old.open();
    let void = NotKept::Invalidated;
    assert_eq!(of(leader.await.unwrap()), ("old".to_owned(), Source::Loaded(Kept::No(void))));
    assert_eq!(of(follower.await.unwrap()), ("old".to_owned(), Source::Joined(Kept::No(void))));
    new.open();
    assert_eq!(of(later.await.unwrap()), ("new".to_owned(), LOADED));
    assert_eq!(*b.cache.get::<String>("a").await.unwrap().unwrap(), "new");
    a.at_rest().await;
}

#[tokio::test]
async fn over_a_store_that_cannot_be_read_one_load_runs_and_one_waits() {
    let cluster = Cluster::new();
    let a = cluster.process();
    for operation in ["get", "get_versioned"] {
        a.store.always(operation, Act::Fail(ErrorKind::Unavailable));
    }
    let gate = Gate::new();
    let first = load(&a, "a", &gate, "one");
    gate.reached().await;
    let rest: Vec<_> = (0..50).map(|_| load(&a, "a", &gate, "two")).collect();
    settle().await;
    gate.open();
    assert_eq!(of(first.await.unwrap()).0, "one");
    gate.reached().await;
    gate.open();
    for caller in rest {
        assert_eq!(of(caller.await.unwrap()).0, "two", "who could not read is given no older load");
    }
    assert_eq!(a.cache.stats().loads, 2);
    a.at_rest().await;
}

fn counted(rig: &Rig, loads: &Arc<AtomicUsize>) -> JoinHandle<Result<Outcome<u64>>> {
    let (cache, clock, loads) = (rig.cache.clone(), rig.clock.clone(), Arc::clone(loads));
    tokio::spawn(async move {
        let loader = || async move {
            loads.fetch_add(1, Ordering::SeqCst);
            larder_core::Clock::sleep(&clock, Duration::from_millis(50)).await;
            fine(7_u64)
        };
        cache.get_or_load("cold", loader).await
    })
}

#[tokio::test]
async fn two_hundred_callers_in_one_process_or_in_four_are_one_load() {
    for processes in [1, 4] {
        let cluster = Cluster::new();
        let rigs: Vec<_> = (0..processes).map(|_| cluster.process()).collect();
        for rig in &rigs {
            for operation in ["get", "add", "replace", "get_versioned"] {
                rig.store.always(operation, Act::Yield);
            }
        }
        let loads = Arc::new(AtomicUsize::new(0));
        let callers: Vec<_> = (0..200).map(|n| counted(&rigs[n % processes], &loads)).collect();
        for caller in callers {
            assert_eq!(*cluster.end(caller).await.unwrap(), 7);
        }
        assert_eq!(loads.load(Ordering::SeqCst), 1, "{processes} processes");
        let misses: u64 = rigs.iter().map(|rig| rig.cache.stats().misses).sum();
        let hits: u64 = rigs.iter().map(|rig| rig.cache.stats().hits).sum();
        assert_eq!(misses + hits, 200, "each is counted once");
    }
}

#[tokio::test]
async fn a_refresh_joins_no_load_that_has_begun_and_refreshes_share_the_next() {
    for rig in [Rig::new(), Cluster::new().process()] {
        let (old, new) = (Gate::new(), Gate::new());
        let running = load(&rig, "a", &old, "old");
        old.reached().await;
        let refreshes: Vec<_> = (0..20)
            .map(|_| {
                let (cache, gate) = (rig.cache.clone(), Arc::clone(&new));
                tokio::spawn(async move {
                    let loader = || async move {
                        gate.pass().await;
                        fine("new".to_owned())
                    };
                    cache.refresh("a", EntryOptions::new(), loader).await
                })
            })
            .collect();
        settle().await;
        old.open();
        assert_eq!(
            of(running.await.unwrap()),
            ("old".to_owned(), LOADED),
            "it is kept until the next is there"
        );
        new.reached().await;
        new.open();
        for refresh in refreshes {
            assert_eq!(of(refresh.await.unwrap()).0, "new");
        }
        assert_eq!(rig.cache.stats().loads, 2);
        assert_eq!(*rig.cache.get::<String>("a").await.unwrap().unwrap(), "new");
        rig.at_rest().await;
    }
}

#[tokio::test]
async fn what_does_not_decode_is_loaded_over_once() {
    let cluster = Cluster::new();
    let (a, b) = cluster.two();
    for _ in 0..2 {
        a.cache.set("a", vec![1_u8, 2]).await.unwrap();
        let gate = Gate::new();
        let first = load(&a, "a", &gate, "text");
        gate.reached().await;
        let second = load(&b, "a", &gate, "unused");
        cluster.pass(Duration::from_millis(500)).await;
        gate.open();
        assert_eq!(of(first.await.unwrap()), ("text".to_owned(), LOADED));
        assert_eq!(of(cluster.end(second).await), ("text".to_owned(), Source::Hit));
        a.cache.delete("a").await.unwrap();
    }
    assert_eq!((a.cache.stats().loads, b.cache.stats().loads), (2, 0));
}

#[tokio::test]
async fn a_counter_goes_on_counting_while_something_else_is_loaded_over_it() {
    let cluster = Cluster::new();
    let (a, b) = cluster.two();
    for incremented in [false, true] {
        a.cache.set("a", 5).await.unwrap();
        let gate = Gate::new();
        let loading = load(&a, "a", &gate, "text");
        gate.reached().await;
        assert_eq!(*b.cache.get::<i64>("a").await.unwrap().unwrap(), 5);
        if incremented {
            assert_eq!(b.cache.increment("a", 1).await.unwrap(), 6);
        }
        gate.open();
        let source = loading.await.unwrap().unwrap().source();
        if incremented {
            assert_eq!(source, Source::Loaded(Kept::No(NotKept::Invalidated)));
            assert_eq!(*b.cache.get::<i64>("a").await.unwrap().unwrap(), 6);
        } else {
            assert_eq!(source, LOADED);
        }
        a.at_rest().await;
    }
}

#[tokio::test]
async fn loads_that_need_each_others_keys_end() {
    let cluster = Cluster::new();
    let build = || cluster.process_with(|builder| builder.load_timeout(Duration::from_secs(2)));
    let (a, b) = (build(), build());
    let nested = |rig: &Rig, outer: &'static str, inner: &'static str, gate: &Arc<Gate>| {
        let (cache, gate) = (rig.cache.clone(), Arc::clone(gate));
        tokio::spawn(async move {
            let within = cache.clone();
            let loader = move || async move {
                gate.pass().await;
                let inner = within.get_or_load(inner, || async { fine("inner".to_owned()) }).await?;
                Ok::<_, Error>(inner.to_string())
            };
            cache.get_or_load(outer, loader).await
        })
    };
    let gate = Gate::new();
    let (one, two) = (nested(&a, "x", "y", &gate), nested(&b, "y", "x", &gate));
    for _ in 0..2 {
        gate.reached().await;
    }
    (0..2).for_each(|_| gate.open());
    // Each waits for the other's lease for half of what a load may take, then loads for itself.
    assert_eq!(of(cluster.end(one).await).0, "inner");
    assert_eq!(of(cluster.end(two).await).0, "inner");
}

#[tokio::test]
async fn batches_with_the_same_keys_do_not_wait_for_each_other() {
    let cluster = Cluster::new();
    let (a, b) = cluster.two();
    let first = Gate::new();
    // The first gets `y` and the second `x`, and each wants both.
    a.store.once("add", Act::Hold(Arc::clone(&first)));
    let batch = |rig: &Rig, said: &'static str| {
        let cache = rig.cache.clone();
        tokio::spawn(async move {
            let loader = move |keys: Vec<String>| async move {
                Ok::<std::collections::HashMap<_, _>, Error>(
                    keys.into_iter().map(|key| (key, said.to_owned())).collect(),
                )
            };
            let found = cache.get_or_load_many(["x", "y"], loader).await;
            found.into_iter().map(|found| found.unwrap().unwrap().to_string()).collect::<Vec<_>>()
        })
    };
    let one = batch(&a, "from a");
    first.reached().await;
    let two = batch(&b, "from b");
    settle().await;
    first.open();
    let began = larder_core::Clock::now(&cluster.clock);
    assert_eq!(cluster.end(one).await, ["from b", "from a"]);
    assert_eq!(cluster.end(two).await, ["from b", "from a"]);
    let took = larder_core::Clock::now(&cluster.clock).saturating_since(began);
    assert!(took < Duration::from_secs(1), "{took:?}: they waited for a lease to end");
    assert_eq!((a.cache.stats().loads, b.cache.stats().loads), (1, 1));
}

#[tokio::test]
async fn who_leads_after_another_load_waits_no_longer_than_leaves_time_to_load() {
    for shared in [false, true] {
        let (rig, cluster) = if shared {
            let cluster = Cluster::new();
            (cluster.process(), cluster)
        } else {
            let rig = Rig::new();
            let cluster = Cluster { server: Arc::clone(&rig.store.inner), clock: rig.clock.clone() };
            (rig, cluster)
        };
        let gate = Gate::new();
        let patient = EntryOptions::new().load_timeout(Duration::from_mins(10));
        let first = crate::support::load_with(&rig, "a", patient, &gate, "slow");
        gate.reached().await;
        let cache = rig.cache.clone();
        let second = tokio::spawn(async move {
            let options = EntryOptions::new().load_timeout(Duration::from_secs(1));
            cache.refresh("a", options, || async { fine("forced".to_owned()) }).await
        });
        settle().await;
        let asked = rig.cache.now();
        let alone = Source::Loaded(Kept::No(NotKept::LoadedElsewhere));
        assert_eq!(of(cluster.end(second).await), ("forced".to_owned(), alone), "shared: {shared}");
        let waited = rig.cache.now().saturating_since(asked);
        assert!(waited <= Duration::from_secs(1), "shared: {shared}: {waited:?}");
        gate.open();
        assert_eq!(of(cluster.end(first).await).0, "slow");
        rig.at_rest().await;
    }
}
