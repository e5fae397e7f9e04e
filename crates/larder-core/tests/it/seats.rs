//! Seats: loads that no future returns.

use std::{
    io,
    sync::Arc,
    task::{Context, Waker},
    time::Duration,
};

use larder_core::{
    Cache, EntryOptions, ErrorKind, Expiry, Kept, Leader, NotKept, Outcome, Result, Seat, Source,
};
use tokio::task::JoinHandle;

use crate::support::{Act, Cluster, Gate, Rig, fine, settle, until};

async fn lead(cache: &Cache) -> Leader<String> {
    match cache.seat::<String>("a").await.unwrap() {
        Seat::Leader(leader) => leader,
        other => panic!("{other:?}"),
    }
}

fn follow(cache: &Cache) -> JoinHandle<Result<Seat<String>>> {
    let cache = cache.clone();
    tokio::spawn(async move { cache.seat::<String>("a").await })
}

fn text(value: &str) -> Arc<String> {
    Arc::new(value.to_owned())
}

fn ready(seat: Seat<String>) -> Outcome<String> {
    match seat {
        Seat::Ready(outcome) => outcome,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_commit_reaches_everyone_who_waits_and_the_store() {
    for rig in [Rig::new(), Rig::bytes()] {
        let leader = lead(&rig.cache).await;
        let followers: Vec<_> = (0..10).map(|_| follow(&rig.cache)).collect();
        let cache = rig.cache.clone();
        let load =
            tokio::spawn(async move { cache.get_or_load("a", || async { fine("own".to_owned()) }).await });
        settle().await;
        assert_eq!(leader.commit(text("page"), Duration::from_mins(1)).await, Kept::Yes);
        for follower in followers {
            let outcome = ready(follower.await.unwrap().unwrap());
            assert_eq!((outcome.as_str(), outcome.source()), ("page", Source::Joined(Kept::Yes)));
        }
        assert_eq!(load.await.unwrap().unwrap().as_str(), "page");
        assert_eq!(rig.cache.expiry("a").await.unwrap(), Some(Expiry::After(Duration::from_mins(1))));
        assert!(ready(rig.cache.seat("a").await.unwrap()).is_hit());
        rig.at_rest().await;
    }
}

#[tokio::test]
async fn a_dropped_leader_hands_over() {
    let rig = Rig::new();
    let leader = lead(&rig.cache).await;
    let followers: Vec<_> = (0..5).map(|_| follow(&rig.cache)).collect();
    settle().await;
    drop(leader);
    until(|| followers.iter().any(JoinHandle::is_finished)).await;
    settle().await;
    let mut leaders = 0;
    let mut waiting = Vec::new();
    for follower in followers {
        if follower.is_finished() {
            let Seat::Leader(next) = follower.await.unwrap().unwrap() else { panic!("there is no value") };
            leaders += 1;
            assert_eq!(next.commit(text("second"), EntryOptions::new()).await, Kept::Yes);
        } else {
            waiting.push(follower);
        }
    }
    assert_eq!((leaders, waiting.len()), (1, 4));
    for follower in waiting {
        assert_eq!(ready(follower.await.unwrap().unwrap()).as_str(), "second");
    }
    rig.at_rest().await;
}

#[tokio::test]
async fn giving_up_sends_everyone_off_at_once() {
    let rig = Rig::new();
    let leader = lead(&rig.cache).await;
    let followers: Vec<_> = (0..50).map(|_| follow(&rig.cache)).collect();
    let cache = rig.cache.clone();
    let load = tokio::spawn(async move { cache.get_or_load("a", || async { fine("own".to_owned()) }).await });
    settle().await;
    leader.give_up();
    for follower in followers {
        assert!(matches!(follower.await.unwrap().unwrap(), Seat::Alone));
    }
    let own = load.await.unwrap().unwrap();
    assert_eq!((own.as_str(), own.source()), ("own", Source::Loaded(Kept::No(NotKept::Unshared))));
    assert!(!rig.cache.has("a").await.unwrap());
    rig.at_rest().await;
}

#[tokio::test]
async fn a_failure_reaches_everyone_who_waits() {
    let rig = Rig::new();
    let leader = lead(&rig.cache).await;
    let follower = follow(&rig.cache);
    settle().await;
    leader.fail(io::Error::other("on fire"));
    let error = follower.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Load);
    assert!(error.downcast_ref::<io::Error>().is_some());
    assert_eq!(rig.cache.stats().load_errors, 1);
    rig.at_rest().await;
}

#[tokio::test]
async fn a_commit_is_fenced() {
    let rig = Rig::new();
    let leader = lead(&rig.cache).await;
    rig.cache.set("a", "newer".to_owned()).await.unwrap();
    assert_eq!(leader.commit(text("older"), EntryOptions::new()).await, Kept::No(NotKept::Invalidated));
    assert_eq!(rig.cache.get::<String>("a").await.unwrap().unwrap().as_str(), "newer");
    rig.at_rest().await;
}

#[tokio::test]
async fn commit_later_is_at_once_where_the_store_is_and_goes_on_by_itself_elsewhere() {
    let rig = Rig::new();
    lead(&rig.cache).await.commit_later(text("now"), EntryOptions::new());
    assert!(rig.stored("a").await.is_some());
    assert_eq!(rig.handle.busy_keys(), 0);

    rig.cache.delete("a").await.unwrap();
    let gate = Gate::new();
    rig.store.once("set", Act::Hold(Arc::clone(&gate)));
    let leader = lead(&rig.cache).await;
    let follower = follow(&rig.cache);
    settle().await;
    leader.commit_later(text("later"), EntryOptions::new());
    gate.reached().await;
    assert!(!follower.is_finished());
    gate.open();
    assert_eq!(ready(follower.await.unwrap().unwrap()).as_str(), "later");
    assert_eq!(rig.cache.get::<String>("a").await.unwrap().unwrap().as_str(), "later");
    rig.at_rest().await;
}

#[tokio::test]
async fn a_commit_whose_caller_goes_away_is_carried_to_its_end() {
    let rig = Rig::new();
    let gate = Gate::new();
    rig.store.once("set", Act::Hold(Arc::clone(&gate)));
    let leader = lead(&rig.cache).await;
    let commit = tokio::spawn(async move { leader.commit(text("x"), EntryOptions::new()).await });
    gate.reached().await;
    commit.abort();
    assert!(commit.await.is_err());
    gate.open();
    rig.at_rest().await;
    assert_eq!(rig.cache.get::<String>("a").await.unwrap().unwrap().as_str(), "x");
}

#[tokio::test]
async fn who_waits_for_a_seat_waits_no_longer_than_a_load_may_take() {
    let rig = Rig::new();
    let leader = lead(&rig.cache).await;
    let follower = follow(&rig.cache);
    settle().await;
    rig.clock.advance(Duration::from_secs(30));
    assert_eq!(follower.await.unwrap().unwrap_err().kind(), ErrorKind::Load);
    let next = lead(&rig.cache).await;
    drop(leader);
    assert_eq!(next.commit(text("next"), EntryOptions::new()).await, Kept::Yes);
    rig.at_rest().await;
}

#[tokio::test]
async fn a_load_released_at_its_deadline_cannot_write_any_more() {
    let rig = Rig::new();
    let slow = lead(&rig.cache).await;
    let waits = follow(&rig.cache);
    settle().await;
    rig.clock.advance(Duration::from_secs(30));
    assert!(waits.await.unwrap().is_err());
    let new = rig.cache.get_or_load("a", || async { fine("new".to_owned()) }).await.unwrap();
    assert_eq!(new.source(), Source::Loaded(Kept::Yes));
    assert_eq!(slow.commit(text("old"), EntryOptions::new()).await, Kept::No(NotKept::Invalidated));
    assert_eq!(rig.cache.get::<String>("a").await.unwrap().unwrap().as_str(), "new");
    rig.at_rest().await;
}

#[tokio::test]
async fn a_long_seat_renews_its_lease() {
    let cluster = Cluster::new();
    let (a, b) = cluster.two();
    let leader = lead(&a.cache).await;
    let follower = follow(&b.cache);
    cluster.pass(Duration::from_secs(12)).await;
    assert!(a.store.calls("replace") >= 10, "three times as often as it lasts");
    assert_eq!(leader.commit(text("page"), Duration::from_mins(1)).await, Kept::Yes);
    assert!(ready(cluster.end(follower).await.unwrap()).is_hit());
    a.at_rest().await;
}

#[tokio::test]
async fn a_seat_that_is_left_gives_its_lease_back_at_once() {
    let cluster = Cluster::new();
    let (a, b) = cluster.two();
    for leave in [drop::<Leader<String>>, Leader::give_up, |leader: Leader<String>| leader.fail("no")] {
        leave(lead(&a.cache).await);
        settle().await;
        assert!(cluster.stored(&a.cache, "a").await.is_none());
        drop(lead(&b.cache).await);
        settle().await;
    }
    a.at_rest().await;
}

#[tokio::test]
async fn the_seat_of_a_process_that_died_is_taken_over_as_soon_as_any_lease() {
    let cluster = Cluster::new();
    let (a, b) = cluster.two();
    let dead = lead(&a.cache).await;
    for operation in ["replace", "get_versioned"] {
        a.store.always(operation, Act::Fail(ErrorKind::Unavailable));
    }
    let heir = follow(&b.cache);
    cluster.pass(Duration::from_millis(3400)).await;
    assert!(!heir.is_finished());
    let Seat::Leader(heir) = cluster.end(heir).await.unwrap() else { panic!("nobody else leads") };
    assert_eq!(heir.commit(text("page"), Duration::from_mins(1)).await, Kept::Yes);
    a.store.calm();
    let late = dead.commit(text("late"), Duration::from_mins(1)).await;
    assert_eq!(late, Kept::No(NotKept::Invalidated));
    assert_eq!(ready(b.cache.seat("a").await.unwrap()).as_str(), "page");
}

#[tokio::test]
async fn a_seat_outlives_the_closing_of_its_cache() {
    let cluster = Cluster::new();
    let a = cluster.process();
    let leader = lead(&a.cache).await;
    a.cache.close().await.unwrap();
    assert_eq!(leader.commit(text("page"), Duration::from_mins(1)).await, Kept::Yes);
}

#[tokio::test]
async fn a_commit_is_carried_to_its_end_whatever_it_waits_for() {
    for renews in [false, true] {
        let cluster = Cluster::new();
        let (a, b) = cluster.two();
        let leader = lead(&a.cache).await;
        let gate = Gate::new();
        if renews {
            a.store.once("replace", Act::HoldAfter(Arc::clone(&gate)));
            cluster.pass(Duration::from_millis(1100)).await;
            gate.reached().await;
        }
        let follower = follow(&a.cache);
        settle().await;
        let mut commit = Box::pin(leader.commit(text("page"), Duration::from_mins(1)));
        assert!(commit.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        drop(commit);
        gate.open();
        let joined = match cluster.end(follower).await.unwrap() {
            Seat::Ready(outcome) => outcome,
            other => panic!("{renews}: {other:?}"),
        };
        assert_eq!(joined.source(), Source::Joined(Kept::Yes), "{renews}");
        assert!(ready(b.cache.seat("a").await.unwrap()).is_hit());
        a.at_rest().await;
    }
}

#[tokio::test]
async fn who_would_not_wait_is_sent_off_at_once() {
    let cluster = Cluster::new();
    let (a, b) = cluster.two();
    for (one, other) in [(&a, &a), (&a, &b)] {
        let leader = lead(&one.cache).await;
        assert!(matches!(other.cache.seat_at_once::<String>("a").await.unwrap(), Seat::Alone));
        leader.give_up();
        settle().await;
        let Seat::Leader(next) = other.cache.seat_at_once::<String>("a").await.unwrap() else {
            panic!("nobody loads it")
        };
        assert_eq!(next.commit(text("page"), Duration::from_mins(1)).await, Kept::Yes);
        assert!(ready(one.cache.seat_at_once("a").await.unwrap()).is_hit());
        one.cache.delete("a").await.unwrap();
    }
    a.at_rest().await;
    b.at_rest().await;
}

#[tokio::test]
async fn who_would_not_wait_takes_over_from_a_load_past_its_time() {
    for rig in [Rig::new(), Rig::bytes()] {
        let slow = lead(&rig.cache).await;
        rig.clock.advance(Duration::from_secs(29));
        assert!(matches!(rig.cache.seat_at_once::<String>("a").await.unwrap(), Seat::Alone));
        rig.clock.advance(Duration::from_secs(1));
        let Seat::Leader(next) = rig.cache.seat_at_once::<String>("a").await.unwrap() else {
            panic!("its time is over")
        };
        assert_eq!(next.commit(text("next"), Duration::from_mins(1)).await, Kept::Yes);
        assert_eq!(slow.commit(text("slow"), EntryOptions::new()).await, Kept::No(NotKept::Invalidated));
        assert_eq!(rig.cache.stats().load_errors, 1);
        rig.at_rest().await;
    }
}
