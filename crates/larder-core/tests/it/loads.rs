//! Loads are shared.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use larder_core::{Cache, ErrorKind, Expiry, Kept, Loaded, NotKept, Outcome, Result, Source, Timeout};
use tokio::task::JoinHandle;

use crate::support::{Gate, Rig, Scripted, fine, settle, until};

fn load(cache: &Cache, key: &str, gate: &Arc<Gate>, value: u8) -> JoinHandle<Result<Outcome<u8>>> {
    let (cache, key, gate) = (cache.clone(), key.to_owned(), Arc::clone(gate));
    tokio::spawn(async move {
        cache
            .get_or_load(key, move || async move {
                gate.pass().await;
                fine(value)
            })
            .await
    })
}

#[tokio::test]
async fn two_hundred_callers_one_load() {
    for rig in [Rig::new(), Rig::bytes(), Rig::with(Scripted::peeking(), |b| b)] {
        let gate = Gate::new();
        let callers: Vec<_> = (0..200).map(|n| load(&rig.cache, "a", &gate, n)).collect();
        gate.reached().await;
        settle().await;
        assert_eq!(rig.handle.busy_keys(), 1);
        gate.open();
        let mut sources = Vec::new();
        let mut values = Vec::new();
        for caller in callers {
            let outcome = caller.await.unwrap().unwrap();
            sources.push(outcome.source());
            values.push(*outcome);
        }
        assert!(values.iter().all(|value| *value == values[0]));
        assert_eq!(sources.iter().filter(|source| **source == Source::Loaded(Kept::Yes)).count(), 1);
        assert_eq!(sources.iter().filter(|source| **source == Source::Joined(Kept::Yes)).count(), 199);
        let stats = rig.cache.stats();
        assert_eq!((stats.loads, stats.joined, stats.misses, stats.hits), (1, 199, 200, 0));
        assert!(rig.cache.get_or_load("a", || async { fine(0_u8) }).await.unwrap().is_hit());
        rig.at_rest().await;
    }
}

#[tokio::test]
async fn an_error_reaches_everyone_once_with_its_cause() {
    let rig = Rig::new();
    let gate = Gate::new();
    let callers: Vec<_> = (0..10)
        .map(|_| {
            let (cache, gate) = (rig.cache.clone(), Arc::clone(&gate));
            tokio::spawn(async move {
                cache
                    .get_or_load("a", || async move {
                        gate.pass().await;
                        Err::<u8, _>(io::Error::other("no rows"))
                    })
                    .await
                    .unwrap_err()
            })
        })
        .collect();
    gate.reached().await;
    settle().await;
    gate.open();
    let mut causes = std::collections::HashSet::new();
    for caller in callers {
        let error = caller.await.unwrap();
        assert_eq!(error.kind(), ErrorKind::Load);
        assert!(error.to_string().contains("no rows"));
        causes.insert(std::ptr::from_ref(error.downcast_ref::<io::Error>().unwrap()) as usize);
    }
    assert_eq!(causes.len(), 1, "one error, shared");
    assert_eq!((rig.cache.stats().load_errors, rig.cache.stats().loads), (1, 0));
    // It is not kept: the next caller loads.
    assert_eq!(*rig.cache.get_or_load("a", || async { fine(1_u8) }).await.unwrap(), 1);
    rig.at_rest().await;
}

#[tokio::test]
async fn a_panic_is_an_error_and_frees_the_key() {
    let rig = Rig::new();
    let told = rig
        .cache
        .get_or_load("a", || async {
            panic!("out of cheese: {}", 7);
            #[expect(unreachable_code, reason = "its type")]
            fine(1_u8)
        })
        .await;
    let error = told.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Load);
    assert!(error.to_string().contains("panicked: out of cheese: 7"), "{error}");
    let early = rig
        .cache
        .get_or_load("a", || {
            assert!(std::hint::black_box(false), "before its first await");
            async { fine(1_u8) }
        })
        .await;
    assert!(early.unwrap_err().to_string().contains("before its first await"));
    let scoped = rig
        .cache
        .get_or_load_scoped("a", || async {
            assert!(std::hint::black_box(false), "in the caller");
            fine(1_u8)
        })
        .await;
    assert!(scoped.unwrap_err().to_string().contains("in the caller"));
    assert_eq!(rig.cache.stats().load_errors, 3);
    assert_eq!(*rig.cache.get_or_load("a", || async { fine(1_u8) }).await.unwrap(), 1);
    rig.at_rest().await;
}

struct Flag(Arc<AtomicUsize>);

impl Drop for Flag {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn never_ending(cache: &Cache, dropped: &Arc<AtomicUsize>) -> JoinHandle<Result<Outcome<u8>>> {
    let (cache, flag) = (cache.clone(), Flag(Arc::clone(dropped)));
    tokio::spawn(async move {
        cache
            .get_or_load("a", move || async move {
                let _flag = flag;
                std::future::pending::<()>().await;
                fine(1_u8)
            })
            .await
    })
}

#[tokio::test]
async fn a_load_past_its_deadline_frees_the_key_and_is_dropped() {
    let rig = Rig::with(Scripted::default(), |b| b.load_timeout(Duration::from_secs(2)));
    let dropped = Arc::new(AtomicUsize::new(0));
    let leader = never_ending(&rig.cache, &dropped);
    settle().await;
    rig.clock.advance(Duration::from_secs(1));
    let follower = load(&rig.cache, "a", &Gate::new(), 2);
    settle().await;
    rig.clock.advance(Duration::from_secs(1));
    for caller in [leader, follower] {
        let error = caller.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Load);
        assert!(error.to_string().contains("load_timeout"), "{error}");
    }
    until(|| dropped.load(Ordering::SeqCst) == 1).await;
    assert_eq!(rig.cache.stats().load_errors, 1, "one load ran out of time, however many waited");
    assert_eq!(rig.events.count("load failed"), 1);
    assert_eq!(*rig.cache.get_or_load("a", || async { fine(3_u8) }).await.unwrap(), 3);
    rig.at_rest().await;
}

#[tokio::test]
async fn a_scoped_load_past_its_deadline_is_an_error_for_all() {
    let rig = Rig::with(Scripted::default(), |b| b.load_timeout(Duration::from_secs(2)));
    let cache = rig.cache.clone();
    let leader = tokio::spawn(async move {
        cache
            .get_or_load_scoped("a", || async {
                std::future::pending::<()>().await;
                fine(1_u8)
            })
            .await
    });
    settle().await;
    let follower = load(&rig.cache, "a", &Gate::new(), 2);
    settle().await;
    rig.clock.advance(Duration::from_secs(2));
    assert_eq!(leader.await.unwrap().unwrap_err().kind(), ErrorKind::Load);
    assert_eq!(follower.await.unwrap().unwrap_err().kind(), ErrorKind::Load);
    assert_eq!(rig.cache.stats().load_errors, 1);
    rig.at_rest().await;
}

#[tokio::test]
async fn a_caller_that_goes_away_does_not_end_the_load() {
    let rig = Rig::new();
    let gate = Gate::new();
    let leader = load(&rig.cache, "a", &gate, 1);
    gate.reached().await;
    let follower = load(&rig.cache, "a", &gate, 2);
    settle().await;
    leader.abort();
    assert!(leader.await.is_err());
    settle().await;
    gate.open();
    assert_eq!(*follower.await.unwrap().unwrap(), 1);
    assert!(rig.cache.has("a").await.unwrap());
    rig.at_rest().await;
}

#[tokio::test]
async fn with_the_last_caller_goes_the_load() {
    let rig = Rig::new();
    let dropped = Arc::new(AtomicUsize::new(0));
    let leader = never_ending(&rig.cache, &dropped);
    settle().await;
    let follower = load(&rig.cache, "a", &Gate::new(), 2);
    settle().await;
    leader.abort();
    settle().await;
    assert_eq!(dropped.load(Ordering::SeqCst), 0);
    follower.abort();
    until(|| dropped.load(Ordering::SeqCst) == 1).await;
    rig.at_rest().await;
    assert_eq!(*rig.cache.get_or_load("a", || async { fine(3_u8) }).await.unwrap(), 3);
}

#[tokio::test]
async fn a_scoped_leader_that_goes_away_hands_over_to_the_next() {
    let rig = Rig::new();
    let gate = Gate::new();
    let (cache, held) = (rig.cache.clone(), Arc::clone(&gate));
    let leader = tokio::spawn(async move {
        let borrowed = [1_u8];
        cache
            .get_or_load_scoped("a", || async {
                held.pass().await;
                fine(borrowed[0])
            })
            .await
    });
    gate.reached().await;
    let next = Gate::new();
    let cache = rig.cache.clone();
    let scoped = tokio::spawn({
        let next = Arc::clone(&next);
        async move {
            cache
                .get_or_load_scoped("a", || async {
                    next.pass().await;
                    fine(2_u8)
                })
                .await
        }
    });
    settle().await;
    let shared = load(&rig.cache, "a", &next, 2);
    settle().await;
    leader.abort();
    next.reached().await;
    settle().await;
    next.open();
    assert_eq!(*scoped.await.unwrap().unwrap(), 2);
    assert_eq!(*shared.await.unwrap().unwrap(), 2);
    assert_eq!(rig.cache.stats().loads, 1, "the second load was shared again");
    rig.at_rest().await;
}

#[tokio::test]
async fn what_the_loader_says_about_keeping_holds() {
    let rig = Rig::new();
    let cache = &rig.cache;
    let load = |loaded: Loaded<String>| move || async move { fine(loaded) };
    let x = || "x".to_owned();
    cache.get_or_load("timed", load(Loaded::new(x()).timeout(Duration::from_secs(5)))).await.unwrap();
    assert_eq!(cache.expiry("timed").await.unwrap(), Some(Expiry::After(Duration::from_secs(5))));
    cache
        .get_or_load_with("both", Timeout::Never, load(Loaded::new(x()).timeout(Duration::from_secs(5))))
        .await
        .unwrap();
    assert_eq!(
        cache.expiry("both").await.unwrap(),
        Some(Expiry::After(Duration::from_secs(5))),
        "the loader knows better"
    );
    cache.get_or_load_with("asked", Timeout::Never, load(Loaded::new(x()))).await.unwrap();
    assert_eq!(cache.expiry("asked").await.unwrap(), Some(Expiry::Never));

    let dropped = cache.get_or_load("not", load(Loaded::new(x()).do_not_keep())).await.unwrap();
    assert_eq!(dropped.source(), Source::Loaded(Kept::No(NotKept::Requested)));
    assert!(!cache.has("not").await.unwrap());
    let zero = cache.get_or_load_with("zero", Duration::ZERO, load(Loaded::new(x()))).await.unwrap();
    assert_eq!(zero.as_str(), "x");
    assert!(!cache.has("zero").await.unwrap());
    assert!(
        cache.get_or_load("zero", load(Loaded::new(x()))).await.unwrap().source()
            == Source::Loaded(Kept::Yes)
    );
    assert_eq!(cache.stats().not_kept, 1);
    rig.at_rest().await;
}

#[tokio::test]
async fn a_value_set_between_the_read_and_the_seat_is_found() {
    for scoped in [false, true] {
        let rig = Rig::new();
        let gate = Gate::new();
        rig.store.once("get", crate::support::Act::HoldAfter(Arc::clone(&gate)));
        let cache = rig.cache.clone();
        let caller = tokio::spawn(async move {
            if scoped {
                cache
                    .get_or_load_scoped("a", || async {
                        panic!("it is there");
                        #[expect(unreachable_code, reason = "its type")]
                        fine(0_u8)
                    })
                    .await
            } else {
                cache
                    .get_or_load("a", || async {
                        panic!("it is there");
                        #[expect(unreachable_code, reason = "its type")]
                        fine(0_u8)
                    })
                    .await
            }
        });
        gate.reached().await; // it has read a miss
        rig.cache.set("a", 1_u8).await.unwrap();
        gate.open();
        let outcome = caller.await.unwrap().unwrap();
        assert_eq!((*outcome, outcome.is_hit()), (1, true));
        rig.at_rest().await;
    }
}

#[tokio::test]
async fn callers_who_want_another_type_load_their_own() {
    let rig = Rig::new();
    let gate = Gate::new();
    let number = load(&rig.cache, "a", &gate, 1);
    gate.reached().await;
    let cache = rig.cache.clone();
    let text =
        tokio::spawn(async move { cache.get_or_load("a", || async { fine("text".to_owned()) }).await });
    settle().await;
    gate.open();
    assert_eq!(*number.await.unwrap().unwrap(), 1);
    assert_eq!(text.await.unwrap().unwrap().as_str(), "text");
    assert!(rig.cache.stats().undecodable >= 1);
    rig.at_rest().await;
}

#[tokio::test]
async fn a_hit_says_what_it_saved() {
    let rig = Rig::new();
    let clock = rig.clock.clone();
    rig.cache
        .get_or_load("a", move || async move {
            clock.advance(Duration::from_millis(250));
            fine("x".to_owned())
        })
        .await
        .unwrap();
    rig.cache.get::<String>("a").await.unwrap().unwrap();
    assert_eq!(rig.cache.stats().time_saved, Duration::from_millis(250));
    let events = rig.events.take();
    assert!(events.iter().any(|e| e.starts_with("loaded") && e.contains("in 250ms Yes")), "{events:?}");
    assert!(events.iter().any(|e| e.starts_with("hit") && e.contains("saved 250ms")), "{events:?}");
}
