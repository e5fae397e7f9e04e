//! What each caller gets when the one load that all wait for does not end well; with two processes, also those of the other.

use std::time::Duration;

use larder_core::{CacheStore as _, Error, ErrorKind, Kept, Outcome, Result, Source};
use tokio::task::JoinHandle;

use crate::support::{Act, Cluster, Gate, Rig, fine, load, settle, until};

const LOADED: Source = Source::Loaded(Kept::Yes);

fn of(outcome: Result<Outcome<String>>) -> (String, Source) {
    let outcome = outcome.unwrap();
    (outcome.to_string(), outcome.source())
}

/// A load that ends as told once the gate opens.
fn ending(rig: &Rig, how: &'static str, gate: &std::sync::Arc<Gate>) -> JoinHandle<Result<Outcome<String>>> {
    let (cache, gate) = (rig.cache.clone(), std::sync::Arc::clone(gate));
    tokio::spawn(async move {
        let loader = move || async move {
            gate.pass().await;
            match how {
                "panics" => panic!("out of cheese"),
                "fails" => Err(Error::new(ErrorKind::Load, "no rows")),
                "hangs" => std::future::pending().await,
                _ => Ok("from its leader".to_owned()),
            }
        };
        cache.get_or_load("a", loader).await
    })
}

#[tokio::test]
async fn a_leader_that_fails_or_panics_or_hangs_is_an_error_to_its_process_and_leaves_the_key_to_others() {
    for how in ["fails", "panics", "hangs"] {
        let cluster = Cluster::new();
        let a = cluster.process_with(|builder| builder.load_timeout(Duration::from_secs(2)));
        let b = cluster.process();
        let (gate, other) = (Gate::new(), Gate::new());
        let leader = ending(&a, how, &gate);
        gate.reached().await;
        let followers: Vec<_> = (0..5).map(|_| load(&a, "a", &other, "never")).collect();
        settle().await;
        let elsewhere = load(&b, "a", &other, "from b");
        gate.open();
        for caller in std::iter::once(leader).chain(followers) {
            let error = cluster.end(caller).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Load, "{how}");
        }
        cluster
            .until(|| b.store.calls("add") + b.store.calls("replace") > 1 || elsewhere.is_finished())
            .await;
        other.open();
        assert_eq!(of(cluster.end(elsewhere).await), ("from b".to_owned(), LOADED), "{how}");
        assert_eq!((a.cache.stats().load_errors, a.cache.stats().joined), (1, 5), "{how}");
        for rig in [&a, &b] {
            rig.at_rest().await;
        }
    }
}

#[tokio::test]
async fn a_cancelled_leader_does_not_end_the_load_while_anyone_waits() {
    let cluster = Cluster::new();
    let (a, b) = cluster.two();
    let gate = Gate::new();
    let leader = ending(&a, "ends", &gate);
    gate.reached().await;
    let follower = load(&a, "a", &gate, "never");
    let elsewhere = load(&b, "a", &gate, "never");
    settle().await;
    leader.abort();
    settle().await;
    gate.open();
    assert_eq!(of(follower.await.unwrap()), ("from its leader".to_owned(), Source::Joined(Kept::Yes)));
    assert_eq!(of(cluster.end(elsewhere).await), ("from its leader".to_owned(), Source::Hit));
}

#[tokio::test]
async fn with_nobody_left_the_load_is_dropped_and_another_process_takes_over_at_once() {
    let cluster = Cluster::new();
    let (a, b) = cluster.two();
    let (gate, other) = (Gate::new(), Gate::new());
    let leader = ending(&a, "ends", &gate);
    gate.reached().await;
    let elsewhere = load(&b, "a", &other, "from b");
    settle().await;
    leader.abort();
    other.open();
    let began = larder_core::Clock::now(&cluster.clock);
    assert_eq!(of(cluster.end(elsewhere).await), ("from b".to_owned(), LOADED));
    let took = larder_core::Clock::now(&cluster.clock).saturating_since(began);
    assert!(took < Duration::from_secs(1), "{took:?}: its lease was given back");
    a.at_rest().await;
}

#[tokio::test]
async fn a_leader_cancelled_before_its_load_began_leaves_no_lease() {
    for act in [Act::Hold as fn(_) -> _, Act::HoldAfter] {
        let cluster = Cluster::new();
        let (a, b) = cluster.two();
        let (adding, gate) = (Gate::new(), Gate::new());
        a.store.once("add", act(std::sync::Arc::clone(&adding)));
        let leader = ending(&a, "ends", &gate);
        adding.reached().await;
        let follower = load(&a, "a", &gate, "from the next");
        settle().await;
        leader.abort();
        settle().await;
        adding.open();
        gate.open();
        assert_eq!(of(cluster.end(follower).await), ("from the next".to_owned(), LOADED));
        assert!(b.cache.get_or_load("a", || async { fine(String::new()) }).await.unwrap().is_hit());
        b.cache.delete("a").await.unwrap();
        settle().await;
        assert!(cluster.stored(&a.cache, "a").await.is_none());
    }
}

#[test]
fn a_runtime_that_is_dropped_leaves_a_lease_that_ends_by_itself() {
    let build = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (dying, other) = (build(), build());
    let cluster = Cluster::new();
    let (a, b) = cluster.two();
    let gate = Gate::new();
    dying.block_on(async {
        drop(ending(&a, "ends", &gate));
        gate.reached().await;
    });
    drop(dying);
    assert_eq!(a.handle.busy_keys(), 0, "its key is free in its own process");
    other.block_on(async {
        until(|| a.handle.busy_keys() == 0).await;
        let key = a.cache.key("a").unwrap();
        assert!(cluster.server.get(&key).await.unwrap().is_some(), "nobody is there to give it back");
        let gate = Gate::new();
        gate.open();
        assert_eq!(of(cluster.end(load(&b, "a", &gate, "from b")).await), ("from b".to_owned(), LOADED));
    });
}
