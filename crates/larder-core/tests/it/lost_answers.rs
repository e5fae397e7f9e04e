//! Leases over a server whose answers are lost, or which fails between two steps of a load.

use std::time::Duration;

use larder_core::{CacheStore as _, EntryOptions, ErrorKind, Kept, NotKept, Source};

use crate::support::{Act, Cluster, Gate, Rig, fine, load, settle};

const FAILED: Source = Source::Loaded(Kept::No(NotKept::StoreFailed));
const LOADED: Source = Source::Loaded(Kept::Yes);
const VOID: Source = Source::Loaded(Kept::No(NotKept::Invalidated));

async fn loads(rig: &Rig, value: &'static str) -> Source {
    rig.cache.get_or_load("a", move || async move { fine(value.to_owned()) }).await.unwrap().source()
}

#[tokio::test]
async fn a_lost_answer_while_taking_the_lease_is_found_out() {
    for act in [Act::FailAfter(ErrorKind::Ambiguous), Act::Fail(ErrorKind::Ambiguous)] {
        let cluster = Cluster::new();
        let (a, b) = cluster.two();
        a.store.once("add", act.clone());
        assert_eq!(loads(&a, "a").await, LOADED, "{act:?}");
        assert_eq!(loads(&b, "b").await, Source::Hit);
        // On a stale entry the lease is taken by `replace`.
        let options =
            EntryOptions::new().timeout(Duration::from_secs(1)).stale_if_error(Duration::from_mins(1));
        a.cache.set_with("a", "old".to_owned(), options).await.unwrap();
        cluster.clock.advance(Duration::from_secs(2));
        a.store.once("replace", act);
        assert_eq!(loads(&a, "new").await, LOADED);
        assert_eq!(*b.cache.get::<String>("a").await.unwrap().unwrap(), "new");
    }
}

#[tokio::test]
async fn a_server_that_loses_every_answer_does_not_hold_a_load_up() {
    let cluster = Cluster::new();
    let a = cluster.process();
    a.store.always("add", Act::Fail(ErrorKind::Ambiguous));
    assert_eq!(loads(&a, "a").await, FAILED);
    assert!(a.store.calls("add") <= 3);
}

#[tokio::test]
async fn without_a_lease_a_load_runs_and_keeps_nothing() {
    for operation in ["add", "get_versioned"] {
        let cluster = Cluster::new();
        let a = cluster.process();
        if operation == "get_versioned" {
            a.store.once("add", Act::FailAfter(ErrorKind::Ambiguous));
        }
        a.store.always(operation, Act::Fail(ErrorKind::Unavailable));
        assert_eq!(loads(&a, "a").await, FAILED, "{operation}");
        a.at_rest().await;
    }
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_there_or_not_and_never_in_doubt() {
    let cluster = Cluster::new();
    let (a, b) = cluster.two();
    let gate = Gate::new();
    let task = load(&a, "a", &gate, "a");
    gate.reached().await;
    a.store.once("replace", Act::FailAfter(ErrorKind::Ambiguous));
    gate.open();
    assert_eq!(task.await.unwrap().unwrap().source(), FAILED);
    settle().await;
    for rig in [&a, &b] {
        assert_eq!(*rig.cache.get::<String>("a").await.unwrap().unwrap(), "a");
    }
    assert_eq!(a.store.calls("delete"), 0);
}

#[tokio::test]
async fn a_commit_that_is_refused_gives_the_lease_back() {
    for kind in [ErrorKind::TooLarge, ErrorKind::Unavailable, ErrorKind::Ambiguous] {
        let cluster = Cluster::new();
        let (a, b) = cluster.two();
        let gate = Gate::new();
        let task = load(&a, "a", &gate, "a");
        gate.reached().await;
        a.store.once("replace", Act::Fail(kind));
        gate.open();
        let why = if kind == ErrorKind::TooLarge { NotKept::TooLarge } else { NotKept::StoreFailed };
        assert_eq!(task.await.unwrap().unwrap().source(), Source::Loaded(Kept::No(why)));
        a.at_rest().await;
        settle().await;
        assert!(cluster.stored(&a.cache, "a").await.is_none(), "{kind:?}: others would wait for it to end");
        // No time passes: nobody waits.
        assert_eq!(loads(&b, "b").await, LOADED);
    }
}

#[tokio::test]
async fn a_renewal_that_fails_once_does_not_lose_the_lease() {
    for (act, ask) in [
        (Act::FailAfter(ErrorKind::Ambiguous), None),
        (Act::Fail(ErrorKind::Unavailable), None),
        (Act::FailAfter(ErrorKind::Ambiguous), Some(Act::Fail(ErrorKind::Unavailable))),
        (Act::Fail(ErrorKind::Unavailable), Some(Act::Fail(ErrorKind::Unavailable))),
    ] {
        let cluster = Cluster::new();
        let a = cluster.process();
        let gate = Gate::new();
        let task = load(&a, "a", &gate, "a");
        gate.reached().await;
        a.store.once("replace", act.clone());
        if let Some(ask) = &ask {
            a.store.once("get_versioned", ask.clone());
        }
        cluster.pass(Duration::from_millis(1100)).await;
        assert_eq!(a.store.calls("replace"), 1);
        gate.open();
        assert_eq!(task.await.unwrap().unwrap().source(), LOADED, "{act:?}, then {ask:?}");
    }
}

#[tokio::test]
async fn a_renewal_whose_answer_is_lost_is_not_lost_with_the_answer_to_the_question_about_it() {
    for asks_in_vain in 1..4 {
        let cluster = Cluster::new();
        let a = cluster.process();
        let gate = Gate::new();
        let task = load(&a, "a", &gate, "a");
        gate.reached().await;
        a.store.once("replace", Act::FailAfter(ErrorKind::Ambiguous));
        // After it, before the next renewal, and after that.
        (0..asks_in_vain).for_each(|_| a.store.once("get_versioned", Act::Fail(ErrorKind::Unavailable)));
        cluster.pass(Duration::from_millis(2200)).await;
        assert_eq!(a.store.calls("replace"), 2);
        gate.open();
        assert_eq!(task.await.unwrap().unwrap().source(), LOADED, "{asks_in_vain}");
    }
}

#[tokio::test]
async fn a_lease_of_which_nobody_knows_whether_it_was_renewed_is_given_back() {
    for recovers in [true, false] {
        let cluster = Cluster::new();
        let a = cluster.process();
        let gate = Gate::new();
        let task = load(&a, "a", &gate, "first");
        gate.reached().await;
        a.store.once("replace", Act::FailAfter(ErrorKind::Ambiguous));
        // After the renewal, and at the commit.
        (0..2).for_each(|_| a.store.once("get_versioned", Act::Fail(ErrorKind::Unavailable)));
        if !recovers {
            a.store.always("get_versioned", Act::Fail(ErrorKind::Unavailable));
        }
        cluster.pass(Duration::from_millis(1100)).await;
        gate.open();
        assert_eq!(task.await.unwrap().unwrap().source(), FAILED);
        settle().await;
        assert_eq!(cluster.stored(&a.cache, "a").await.is_none(), recovers);
        a.store.calm();
        assert_eq!(loads_at_once(&a, "second").await, LOADED, "{recovers}");
    }
}

#[tokio::test]
async fn a_lease_that_appears_late_is_not_taken_for_the_one_that_is_held() {
    let cluster = Cluster::new();
    let (a, b) = cluster.two();
    // Still on its way: another one is sent meanwhile, and taken.
    a.store.once("add", Act::Fail(ErrorKind::Ambiguous));
    let gate = Gate::new();
    let task = load(&a, "a", &gate, "old");
    gate.reached().await;
    b.cache.delete("a").await.unwrap();
    let (key, late, expiry) = a.store.adds()[0].clone();
    assert!(cluster.server.add(&key, late, expiry).await.unwrap().is_some());
    // A renewal that fails asks which state holds the lease.
    a.store.once("replace", Act::Fail(ErrorKind::Unavailable));
    cluster.pass(Duration::from_millis(1100)).await;
    gate.open();
    assert_eq!(task.await.unwrap().unwrap().source(), VOID);
    assert!(b.cache.get::<String>("a").await.unwrap().is_none(), "the delete is undone");
    assert_eq!(loads_at_once(&a, "new").await, LOADED, "it waits for a lease that nobody holds");
}

#[tokio::test]
async fn a_load_that_is_dropped_while_it_renews_gives_its_lease_back() {
    for act in [Act::HangAfter, Act::Hang] {
        let cluster = Cluster::new();
        let a = cluster.process();
        let gate = Gate::new();
        let task = load(&a, "a", &gate, "a");
        gate.reached().await;
        a.store.once("replace", act);
        cluster.pass(Duration::from_millis(1100)).await;
        assert_eq!(a.store.calls("replace"), 1);
        task.abort();
        a.at_rest().await;
        settle().await;
        assert!(cluster.stored(&a.cache, "a").await.is_none(), "the lease is still there");
    }
}

/// Loads as soon as tasks have had their turns: no time passes, so that whoever waits for a lease does not get there.
async fn loads_at_once(rig: &Rig, value: &'static str) -> Source {
    let gate = Gate::new();
    gate.open();
    let task = load(rig, "a", &gate, value);
    settle().await;
    assert!(task.is_finished(), "{value}: it waits");
    task.await.unwrap().unwrap().source()
}

#[tokio::test]
async fn a_process_does_not_wait_for_a_lease_that_it_took_without_knowing() {
    let cluster = Cluster::new();
    let (a, b) = cluster.two();
    a.store.once("add", Act::FailAfter(ErrorKind::Ambiguous));
    a.store.always("get_versioned", Act::Fail(ErrorKind::Unavailable));
    assert_eq!(loads(&a, "first").await, FAILED);
    assert!(cluster.stored(&a.cache, "a").await.is_some(), "the lease is there");
    a.store.calm();
    let other = Gate::new();
    other.open();
    let other = load(&b, "a", &other, "from b");
    settle().await;
    assert!(!other.is_finished(), "another process cannot know");
    assert_eq!(loads_at_once(&a, "second").await, LOADED);
    assert_eq!(cluster.end(other).await.unwrap().source(), Source::Hit);
}

#[tokio::test]
async fn a_process_does_not_wait_for_a_lease_that_it_could_not_give_back() {
    for is_stale in [false, true] {
        let cluster = Cluster::new();
        let a = cluster.process();
        if is_stale {
            let options =
                EntryOptions::new().timeout(Duration::from_secs(1)).stale_if_error(Duration::from_mins(1));
            a.cache.set_with("a", "old".to_owned(), options).await.unwrap();
            cluster.clock.advance(Duration::from_secs(2));
        }
        let gate = Gate::new();
        let task = load(&a, "a", &gate, "first");
        gate.reached().await;
        for operation in ["replace", "get_versioned"] {
            a.store.always(operation, Act::Fail(ErrorKind::Unavailable));
        }
        gate.open();
        assert_eq!(task.await.unwrap().unwrap().source(), FAILED);
        settle().await;
        assert!(cluster.stored(&a.cache, "a").await.is_some(), "the lease is there");
        a.store.calm();
        assert_eq!(loads_at_once(&a, "second").await, LOADED, "{is_stale}");
        assert_eq!(*a.cache.get::<String>("a").await.unwrap().unwrap(), "second");
    }
}
