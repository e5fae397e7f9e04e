//! What is in doubt is deleted in the background once the store is back, without anyone reading it.

mod clears;
mod ends;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use larder_core::{BoxFuture, ErrorKind, Kept, NotKept, Operations, Result, Source, Spawn, TokioSpawn};

use crate::support::{Act, Gate, Rig, Scripted, fine, settle};

const TIMEOUT: Duration = Duration::from_millis(500);

/// Counts the tasks that run.
#[derive(Debug, Default)]
struct Alive(Arc<AtomicUsize>);

struct One(Arc<AtomicUsize>);

impl Drop for One {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Spawn for Alive {
    fn spawn(&self, task: BoxFuture<'static, ()>) -> Result<()> {
        self.0.fetch_add(1, Ordering::SeqCst);
        let one = One(Arc::clone(&self.0));
        TokioSpawn.spawn(Box::pin(async move {
            let _one = one;
            task.await;
        }))
    }
}

/// A rig, and how many tasks it has.
fn rig_with(store: Scripted) -> (Rig, Arc<AtomicUsize>) {
    let alive = Alive::default();
    let tasks = Arc::clone(&alive.0);
    (Rig::with(store, |builder| builder.spawn(Arc::new(alive))), tasks)
}

fn rig() -> (Rig, Arc<AtomicUsize>) {
    rig_with(Scripted::default())
}

/// Lets time pass in small steps, and everyone act in between.
async fn pass(rig: &Rig, time: Duration) {
    let step = Duration::from_millis(10);
    let mut left = time;
    while left > Duration::ZERO {
        settle().await;
        rig.clock.advance(step.min(left));
        left = left.saturating_sub(step);
    }
    settle().await;
}

async fn at_rest(rig: &Rig, tasks: &AtomicUsize) {
    settle().await;
    assert_eq!(tasks.load(Ordering::SeqCst), 0, "no task is left");
    assert_eq!(rig.cache.stats().in_doubt, 0);
    rig.at_rest().await;
}

#[tokio::test]
async fn a_failed_delete_is_replayed_without_a_read_once_the_store_is_back() {
    let (rig, tasks) = rig();
    rig.cache.set("a", "old".to_owned()).await.unwrap();
    rig.store.always("delete", Act::Fail(ErrorKind::Unavailable));
    assert!(rig.cache.delete("a").await.is_err());
    pass(&rig, Duration::from_secs(3)).await;
    assert!(rig.stored("a").await.is_some());
    assert!(rig.cache.get::<String>("a").await.unwrap().is_none(), "not served meanwhile");
    assert_eq!(rig.cache.stats().in_doubt, 1);
    assert_eq!(rig.cache.health().await.unwrap().in_doubt, 1);
    assert_eq!(rig.events.count("KeyInDoubt"), 1);
    assert_eq!(rig.events.count("DoubtsSettled"), 0);

    rig.store.calm();
    pass(&rig, Duration::from_secs(1)).await;
    assert!(rig.stored("a").await.is_none());
    assert_eq!(rig.cache.health().await.unwrap().in_doubt, 0);
    assert_eq!(rig.events.count("DoubtsSettled"), 1);
    at_rest(&rig, &tasks).await;
}

#[tokio::test]
async fn a_write_of_unknown_outcome_is_replayed_too() {
    let (rig, tasks) = rig();
    rig.store.once("set", Act::HangAfter);
    let cache = rig.cache.clone();
    let load = tokio::spawn(async move { cache.get_or_load("a", || async { fine("x".to_owned()) }).await });
    settle().await;
    rig.clock.advance(TIMEOUT);
    assert_eq!(load.await.unwrap().unwrap().source(), Source::Loaded(Kept::No(NotKept::StoreFailed)));
    assert!(rig.stored("a").await.is_some());
    pass(&rig, Duration::from_millis(50)).await;
    assert!(rig.stored("a").await.is_none());
    at_rest(&rig, &tasks).await;
}

#[tokio::test]
async fn what_was_set_after_the_failed_delete_is_not_deleted_by_the_replay() {
    let (rig, tasks) = rig();
    rig.store.once("delete", Act::Fail(ErrorKind::Unavailable));
    assert!(rig.cache.delete("a").await.is_err());
    rig.cache.set("a", "new".to_owned()).await.unwrap();
    assert_eq!(rig.cache.stats().in_doubt, 0, "a confirmed set settles it");
    pass(&rig, Duration::from_secs(2)).await;
    assert_eq!(rig.store.calls("delete"), 1);
    assert_eq!(rig.cache.get::<String>("a").await.unwrap().unwrap().as_str(), "new");
    at_rest(&rig, &tasks).await;
}

#[tokio::test]
async fn a_set_and_the_replay_wait_for_each_other() {
    // The set is on its way when the replay comes by: it is left alone.
    let (rig, tasks) = rig();
    rig.store.once("delete", Act::Fail(ErrorKind::Unavailable));
    assert!(rig.cache.delete("a").await.is_err());
    let gate = Gate::new();
    rig.store.once("set", Act::HoldAfter(Arc::clone(&gate)));
    let cache = rig.cache.clone();
    let set = tokio::spawn(async move { cache.set("a", "new".to_owned()).await });
    gate.reached().await;
    pass(&rig, Duration::from_millis(400)).await;
    assert_eq!(rig.store.calls("delete"), 1, "the key is being written");
    gate.open();
    set.await.unwrap().unwrap();
    pass(&rig, Duration::from_secs(2)).await;
    assert_eq!(rig.cache.get::<String>("a").await.unwrap().unwrap().as_str(), "new");

    // The replay is on its way when the set comes: the set goes second.
    rig.store.once("delete", Act::Fail(ErrorKind::Unavailable));
    assert!(rig.cache.delete("a").await.is_err());
    let gate = Gate::new();
    rig.store.once("delete", Act::Hold(Arc::clone(&gate)));
    pass(&rig, Duration::from_millis(50)).await;
    gate.reached().await;
    let cache = rig.cache.clone();
    let set = tokio::spawn(async move { cache.set("a", "newer".to_owned()).await });
    settle().await;
    assert!(!set.is_finished());
    gate.open();
    set.await.unwrap().unwrap();
    assert_eq!(rig.cache.get::<String>("a").await.unwrap().unwrap().as_str(), "newer");
    at_rest(&rig, &tasks).await;
}

#[tokio::test]
async fn a_doubt_that_arises_during_a_replay_is_replayed_as_well() {
    let (rig, tasks) = rig();
    for key in ["a", "b"] {
        rig.cache.set(key, 1_u8).await.unwrap();
    }
    rig.store.once("delete", Act::Fail(ErrorKind::Unavailable));
    assert!(rig.cache.delete("a").await.is_err());
    let gate = Gate::new();
    rig.store.once("delete", Act::HoldAfter(Arc::clone(&gate)));
    pass(&rig, Duration::from_millis(50)).await;
    gate.reached().await;
    rig.store.once("delete", Act::Fail(ErrorKind::Unavailable));
    assert!(rig.cache.delete("b").await.is_err());
    gate.open();
    pass(&rig, Duration::from_millis(500)).await;
    assert!(rig.stored("a").await.is_none() && rig.stored("b").await.is_none());
    at_rest(&rig, &tasks).await;
}

#[tokio::test]
async fn a_store_that_stays_dead_is_asked_about_once_a_second_for_one_key() {
    let (rig, tasks) = rig();
    let keys: Vec<String> = (0..50).map(|n| n.to_string()).collect();
    rig.store.always("delete_many", Act::Fail(ErrorKind::Unavailable));
    rig.store.always("delete", Act::Fail(ErrorKind::Unavailable));
    assert!(rig.cache.delete_many(&keys).await.iter().all(Result::is_err));
    assert_eq!(rig.cache.stats().in_doubt, 50);
    assert_eq!(tasks.load(Ordering::SeqCst), 1, "one replay for all");
    pass(&rig, Duration::from_mins(1)).await;
    let asked = rig.store.calls("delete");
    assert!((60..=125).contains(&asked), "asked {asked} times in a minute");
    assert_eq!(rig.store.calls("delete_many"), 1, "the caller's own");
    rig.store.calm();
    pass(&rig, Duration::from_secs(1)).await;
    at_rest(&rig, &tasks).await;
}

#[tokio::test]
async fn what_is_left_goes_in_batches() {
    let (rig, tasks) = rig();
    let keys: Vec<String> = (0..300).map(|n| n.to_string()).collect();
    for result in rig.cache.set_many(keys.iter().map(|key| (key, 1_u8))).await {
        result.unwrap();
    }
    rig.store.once("delete_many", Act::Fail(ErrorKind::Unavailable));
    assert!(rig.cache.delete_many(&keys).await.iter().all(Result::is_err));
    pass(&rig, Duration::from_millis(50)).await;
    assert_eq!((rig.store.calls("delete"), rig.store.calls("delete_many")), (1, 1 + 3));
    assert!(rig.cache.keys().await.unwrap().is_empty());
    at_rest(&rig, &tasks).await;
}

#[tokio::test]
async fn batches_that_are_too_much_for_the_store_get_smaller() {
    let (rig, tasks) = rig();
    let keys: Vec<String> = (0..300).map(|n| n.to_string()).collect();
    rig.store.always("delete_many", Act::Fail(ErrorKind::Timeout));
    assert!(rig.cache.delete_many(&keys).await.iter().all(Result::is_err));
    pass(&rig, Duration::from_secs(5)).await;
    at_rest(&rig, &tasks).await;
}

#[tokio::test]
async fn a_failed_clear_is_replayed() {
    let (rig, tasks) = rig();
    let shop = rig.cache.namespace("shop").unwrap();
    shop.set("x", "old".to_owned()).await.unwrap();
    rig.cache.set("y", "other".to_owned()).await.unwrap();
    rig.store.always("clear", Act::Fail(ErrorKind::Unavailable));
    assert!(shop.clear().await.is_err());
    assert_eq!(rig.events.count("NamespaceInDoubt"), 1);
    // While the server does not even answer a read, it is not asked to clear.
    rig.store.always("get", Act::Fail(ErrorKind::Unavailable));
    pass(&rig, Duration::from_secs(5)).await;
    assert_eq!(rig.store.calls("clear"), 1);
    rig.store.calm();
    rig.store.once("clear", Act::Fail(ErrorKind::Timeout));
    pass(&rig, Duration::from_secs(3)).await;
    assert_eq!(rig.store.calls("clear"), 3);
    assert_eq!(rig.cache.keys().await.unwrap().len(), 1, "the other namespace is left alone");
    assert!(!shop.has("x").await.unwrap());
    shop.set("x", "new".to_owned()).await.unwrap();
    assert!(shop.has("x").await.unwrap());
    assert_eq!(rig.events.count("DoubtsSettled"), 1);
    at_rest(&rig, &tasks).await;
}

#[tokio::test]
async fn a_replayed_clear_is_fenced_from_loads() {
    let (rig, tasks) = rig();
    rig.store.once("clear", Act::Fail(ErrorKind::Unavailable));
    assert!(rig.cache.clear().await.is_err());
    let gate = Gate::new();
    rig.store.once("clear", Act::Hold(Arc::clone(&gate)));
    pass(&rig, Duration::from_millis(50)).await;
    gate.reached().await;
    let loaded = rig.cache.get_or_load("a", || async { fine(1_u8) }).await.unwrap();
    assert!(matches!(loaded.source(), Source::Loaded(Kept::No(_))), "{:?}", loaded.source());
    gate.open();
    settle().await;
    let loaded = rig.cache.get_or_load("a", || async { fine(2_u8) }).await.unwrap();
    assert_eq!(loaded.source(), Source::Loaded(Kept::Yes));
    at_rest(&rig, &tasks).await;
}

#[tokio::test]
async fn too_many_doubts_are_replayed_as_their_namespace() {
    let (rig, tasks) = rig();
    let shop = rig.cache.namespace("shop").unwrap();
    let keys: Vec<String> = (0..10_001).map(|n| n.to_string()).collect();
    shop.set("10000", 1_u8).await.unwrap();
    shop.set("never invalidated", 1_u8).await.unwrap();
    rig.cache.set("elsewhere", 1_u8).await.unwrap();
    rig.store.once("delete_many", Act::Fail(ErrorKind::Unavailable));
    assert!(shop.delete_many(&keys).await.iter().all(Result::is_err));
    assert_eq!(rig.cache.stats().in_doubt, 10_001);
    assert!(!shop.has("never invalidated").await.unwrap(), "nothing in the namespace is served");
    assert!(rig.cache.has("elsewhere").await.unwrap());
    pass(&rig, Duration::from_millis(100)).await;
    assert_eq!(rig.store.calls("clear"), 1);
    assert_eq!(rig.cache.keys().await.unwrap().len(), 1);
    assert!(rig.cache.has("elsewhere").await.unwrap());
    at_rest(&rig, &tasks).await;
}

#[tokio::test]
async fn where_the_store_cannot_clear_the_keys_are_replayed_and_the_task_ends() {
    let (rig, tasks) = rig_with(Scripted::without(Operations::CLEAR));
    let keys: Vec<String> = (0..10_001).map(|n| n.to_string()).collect();
    rig.store.once("delete_many", Act::Fail(ErrorKind::Unavailable));
    assert!(rig.cache.delete_many(&keys).await.iter().all(Result::is_err));
    pass(&rig, Duration::from_millis(100)).await;
    assert_eq!(tasks.load(Ordering::SeqCst), 0);
    assert_eq!(rig.cache.stats().in_doubt, 1, "the namespace");
    assert!(!rig.cache.has("a").await.unwrap());
    pass(&rig, Duration::from_secs(2)).await;
    assert_eq!(tasks.load(Ordering::SeqCst), 0, "and none is started for nothing");
}
