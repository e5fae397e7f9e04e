//! Entries that are stale: served while they are loaded again, or where that fails or is slow.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use larder_core::{EntryOptions, ErrorKind, Kept, NotKept, Outcome, Result, Source, StaleWhy, Timeout};

use crate::support::{Act, Cluster, Gate, Rig, fine, load_with, settle};

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn revalidating() -> EntryOptions {
    EntryOptions::new().timeout(secs(10)).stale_while_revalidate(secs(60))
}

fn fail_safe() -> EntryOptions {
    EntryOptions::new().timeout(secs(10)).stale_if_error(secs(60)).error_backoff(secs(5))
}

/// A private store, and one process of two.
fn rigs() -> [Rig; 2] {
    [Rig::new(), Cluster::new().process()]
}

async fn stale(rig: &Rig, options: EntryOptions) {
    rig.cache.set_with("a", "old".to_owned(), options).await.unwrap();
    rig.clock.advance(secs(12));
}

async fn failing(rig: &Rig, options: EntryOptions, tries: &Arc<AtomicUsize>) -> Result<Outcome<String>> {
    let tries = Arc::clone(tries);
    let loader = || async move {
        tries.fetch_add(1, Ordering::SeqCst);
        Err::<String, _>("the source is down")
    };
    rig.cache.get_or_load_with("a", options, loader).await
}

fn why(outcome: &Outcome<String>) -> Option<(Duration, StaleWhy)> {
    match outcome.source() {
        Source::Stale { since, why, .. } => Some((since, why)),
        _ => None,
    }
}

#[tokio::test]
async fn while_it_is_loaded_again_it_is_served_at_once_and_one_load_runs_behind() {
    for rig in rigs() {
        stale(&rig, revalidating()).await;
        assert!(rig.cache.get::<String>("a").await.unwrap().is_none(), "to who does not load it is a miss");
        assert!(!rig.cache.has("a").await.unwrap());
        let gate = Gate::new();
        for _ in 0..5 {
            let served = load_with(&rig, "a", revalidating(), &gate, "new").await.unwrap().unwrap();
            assert_eq!((served.as_str(), why(&served)), ("old", Some((secs(2), StaleWhy::Refreshing))));
        }
        gate.reached().await;
        assert_eq!((rig.cache.stats().stale, rig.cache.stats().hits), (5, 0));
        gate.open();
        rig.at_rest().await;
        assert_eq!(rig.cache.stats().loads, 1);
        assert_eq!(*rig.cache.get::<String>("a").await.unwrap().unwrap(), "new");
    }
}

#[tokio::test]
async fn past_its_window_it_is_gone() {
    for rig in rigs() {
        rig.cache.set_with("a", "old".to_owned(), revalidating()).await.unwrap();
        rig.clock.advance(secs(70));
        let loaded =
            rig.cache.get_or_load_with("a", revalidating(), || async { fine("new".to_owned()) }).await;
        assert_eq!(loaded.unwrap().source(), Source::Loaded(Kept::Yes));
    }
}

#[tokio::test]
async fn if_the_load_fails_it_is_served_and_not_tried_again_at_once() {
    for rig in rigs() {
        stale(&rig, fail_safe()).await;
        let tries = Arc::default();
        for _ in 0..3 {
            let served = failing(&rig, fail_safe(), &tries).await.unwrap();
            assert_eq!((served.as_str(), why(&served).unwrap().1), ("old", StaleWhy::LoadFailed));
        }
        assert_eq!(tries.load(Ordering::SeqCst), 1, "within its backoff it is tried once");
        rig.clock.advance(secs(6));
        failing(&rig, fail_safe(), &tries).await.unwrap();
        assert_eq!(tries.load(Ordering::SeqCst), 2);
        rig.clock.advance(secs(60));
        assert_eq!(failing(&rig, fail_safe(), &tries).await.unwrap_err().kind(), ErrorKind::Load);
        rig.at_rest().await;
    }
}

#[tokio::test]
async fn a_refresh_behind_that_fails_is_not_tried_again_at_once() {
    for rig in rigs() {
        let options = revalidating().error_backoff(secs(5));
        stale(&rig, options.clone()).await;
        let tries = Arc::default();
        assert_eq!(
            why(&failing(&rig, options.clone(), &tries).await.unwrap()).unwrap().1,
            StaleWhy::Refreshing
        );
        rig.at_rest().await;
        assert_eq!(
            why(&failing(&rig, options.clone(), &tries).await.unwrap()).unwrap().1,
            StaleWhy::LoadFailed
        );
        rig.at_rest().await;
        assert_eq!(tries.load(Ordering::SeqCst), 1);
    }
}

#[tokio::test]
async fn a_delete_during_the_load_beats_the_fallback() {
    for rig in rigs() {
        for broken in [false, true] {
            rig.store.calm();
            stale(&rig, fail_safe()).await;
            let gate = Gate::new();
            let (cache, held) = (rig.cache.clone(), Arc::clone(&gate));
            let load = tokio::spawn(async move {
                let loader = || async move {
                    held.pass().await;
                    Err::<String, _>("the source is down")
                };
                cache.get_or_load_with("a", fail_safe(), loader).await
            });
            gate.reached().await;
            rig.cache.delete("a").await.unwrap();
            if broken {
                rig.store.always("get", Act::Fail(ErrorKind::Unavailable));
            }
            gate.open();
            assert_eq!(load.await.unwrap().unwrap_err().kind(), ErrorKind::Load, "unreadable: {broken}");
        }
    }
}

#[tokio::test]
async fn a_store_that_cannot_be_asked_does_not_take_the_fallback_away() {
    for rig in rigs() {
        stale(&rig, fail_safe()).await;
        let gate = Gate::new();
        let (cache, held) = (rig.cache.clone(), Arc::clone(&gate));
        let load = tokio::spawn(async move {
            let loader = || async move {
                held.pass().await;
                Err::<String, _>("the source is down")
            };
            cache.get_or_load_with("a", fail_safe(), loader).await
        });
        gate.reached().await;
        rig.store.always("get", Act::Fail(ErrorKind::Unavailable));
        gate.open();
        assert_eq!(load.await.unwrap().unwrap().as_str(), "old");
    }
}

#[tokio::test]
async fn a_slow_load_is_finished_behind() {
    for rig in rigs() {
        let options = fail_safe().soft_timeout(Duration::from_millis(100));
        stale(&rig, options.clone()).await;
        let gate = Gate::new();
        let caller = load_with(&rig, "a", options, &gate, "new");
        gate.reached().await;
        settle().await;
        assert!(!caller.is_finished());
        rig.clock.advance(Duration::from_millis(150));
        let served = caller.await.unwrap().unwrap();
        assert_eq!((served.as_str(), why(&served).unwrap().1), ("old", StaleWhy::SlowLoad));
        gate.open();
        rig.at_rest().await;
        assert_eq!(*rig.cache.get::<String>("a").await.unwrap().unwrap(), "new", "it is kept");
    }
}

/// Found by the cluster model: seed 267 of a store of its own.
#[tokio::test]
async fn a_refresh_that_waits_no_longer_leaves_the_load_it_waited_for_to_be_joined() {
    for rig in rigs() {
        let options = fail_safe().soft_timeout(Duration::from_millis(100));
        stale(&rig, fail_safe()).await;
        let gate = Gate::new();
        let running = load_with(&rig, "a", fail_safe(), &gate, "new");
        gate.reached().await;
        let cache = rig.cache.clone();
        let refresh = tokio::spawn(async move {
            cache.refresh("a", options, || async { fine("newer".to_owned()) }).await.unwrap()
        });
        settle().await;
        rig.clock.advance(Duration::from_millis(150));
        let served = refresh.await.unwrap();
        assert_eq!((served.as_str(), why(&served).unwrap().1), ("old", StaleWhy::SlowLoad));
        let open = Gate::new();
        open.open();
        let next = load_with(&rig, "a", fail_safe(), &open, "a second load beside the first");
        settle().await;
        gate.open();
        let outcomes = [running.await.unwrap().unwrap(), next.await.unwrap().unwrap()];
        assert_eq!(outcomes.each_ref().map(|outcome| outcome.as_str()), ["new", "new"]);
        assert_eq!(
            outcomes.map(|outcome| outcome.source()),
            [Source::Loaded(Kept::Yes), Source::Joined(Kept::Yes)]
        );
        assert_eq!(rig.cache.stats().loads, 1);
        rig.at_rest().await;
    }
}

#[tokio::test]
async fn expire_makes_stale_and_delete_makes_gone() {
    for rig in rigs() {
        for fails in [false, true] {
            rig.cache.set_with("a", "old".to_owned(), fail_safe()).await.unwrap();
            assert!(rig.cache.expire("a").await.unwrap());
            assert!(!rig.cache.expire("a").await.unwrap(), "it is not fresh any more");
            assert!(rig.cache.get::<String>("a").await.unwrap().is_none());
            if fails {
                let served = failing(&rig, fail_safe(), &Arc::default()).await.unwrap();
                assert_eq!(served.as_str(), "old");
            }
            rig.cache.delete("a").await.unwrap();
            rig.clock.advance(secs(6));
            failing(&rig, fail_safe(), &Arc::default()).await.unwrap_err();
        }
        rig.cache.set_with("b", 1, Timeout::Never).await.unwrap();
        assert!(rig.cache.expire("b").await.unwrap());
        assert!(!rig.cache.has("b").await.unwrap(), "without a window there is no stale");
        assert!(!rig.cache.expire("nothing").await.unwrap());
    }
}

#[tokio::test]
async fn expire_is_an_invalidation_of_the_load_that_runs_whatever_is_there() {
    for is_stale in [false, true] {
        let cluster = Cluster::new();
        for rig in [Rig::new(), cluster.process()] {
            if is_stale {
                stale(&rig, fail_safe()).await;
            }
            let gate = Gate::new();
            let old = load_with(&rig, "a", fail_safe(), &gate, "read before");
            gate.reached().await;
            let expired = if rig.store.calls("add") + rig.store.calls("replace") > 0 {
                cluster.process().cache.expire("a").await
            } else {
                rig.cache.expire("a").await
            };
            assert!(!expired.unwrap());
            gate.open();
            let source = old.await.unwrap().unwrap().source();
            assert_eq!(source, Source::Loaded(Kept::No(NotKept::Invalidated)), "stale: {is_stale}");
            assert!(!rig.cache.has("a").await.unwrap());
        }
    }
}

#[tokio::test]
async fn a_load_in_the_caller_refreshes_nothing_behind() {
    for rig in rigs() {
        stale(&rig, revalidating()).await;
        let text = String::from("borrowed");
        let borrowing = || async { fine(text.clone()) };
        let loaded = rig.cache.get_or_load_scoped_with("a", revalidating(), borrowing).await.unwrap();
        assert_eq!((loaded.as_str(), loaded.source()), ("borrowed", Source::Loaded(Kept::Yes)));
        rig.clock.advance(secs(12));
        let failing = || async { Err::<String, _>("the source is down") };
        let served = rig.cache.get_or_load_scoped_with("a", revalidating(), failing).await.unwrap();
        assert_eq!((served.as_str(), why(&served).unwrap().1), ("borrowed", StaleWhy::LoadFailed));
        rig.at_rest().await;
    }
}
