//! Loads are fenced: an acknowledged invalidation is never undone by a load that began before it, and nobody who comes after
//! it is given that load's result.

use std::sync::Arc;

use larder_core::{Cache, Kept, NotKept, Outcome, Result, Source, Value};
use tokio::task::JoinHandle;

use crate::support::{Act, Gate, Rig, fine, settle, until};

/// The value that the loads under test read before the invalidation.
const OLD: i64 = 1;
/// What later loads find.
const NEW: i64 = 2;

const ALL: [&str; 9] =
    ["delete", "set", "add", "increment", "clear", "clear parent", "delete_many", "set_many", "take"];

fn load(cache: &Cache, gate: &Arc<Gate>, value: i64) -> JoinHandle<Result<Outcome<i64>>> {
    let (cache, gate) = (cache.clone(), Arc::clone(gate));
    tokio::spawn(async move {
        cache
            .get_or_load("a", move || async move {
                gate.pass().await;
                fine(value)
            })
            .await
    })
}

/// Invalidates `a` in one of the ways there are; what then stands there, if anything.
async fn invalidate(cache: &Cache, how: &str) -> Option<i64> {
    match how {
        "delete" => cache.delete("a").await.map(|_| None).unwrap(),
        "set" => cache.set("a", 10).await.map(|()| Some(10)).unwrap(),
        "add" => cache.add("a", 10).await.unwrap().then_some(10),
        "increment" => cache.increment("a", 10).await.map(Some).unwrap(),
        "clear" => cache.clear().await.map(|()| None).unwrap(),
        "clear parent" => cache
            .namespace("unused")
            .map(|_| ())
            .and(Cache::new(cache.store().clone()).clear().await)
            .map(|()| None)
            .unwrap(),
        "delete_many" => {
            cache.delete_many(["b", "a"]).await.into_iter().collect::<Result<Vec<_>>>().map(|_| None).unwrap()
        }
        "set_many" => cache
            .set_many([("b", 1), ("a", 10)])
            .await
            .into_iter()
            .collect::<Result<Vec<_>>>()
            .map(|_| Some(10))
            .unwrap(),
        "take" => {
            assert!(cache.take::<i64>("a").await.unwrap().is_some());
            None
        }
        other => panic!("{other}"),
    }
}

/// The rig's cache, a namespace down.
fn shop(rig: &Rig) -> Cache {
    rig.cache.namespace("shop").unwrap()
}

async fn number(cache: &Cache) -> Option<i64> {
    match cache.store().store().get(&cache.key("a").unwrap()).await.unwrap() {
        None => None,
        Some(Value::Int(int)) => Some(int),
        Some(other) => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn before_the_load_began_an_invalidation_changes_nothing() {
    for how in ALL.into_iter().filter(|how| *how != "take") {
        let rig = Rig::new();
        let cache = shop(&rig);
        let left = invalidate(&cache, how).await;
        let loaded = cache.get_or_load("a", || async { fine(NEW) }).await.unwrap();
        assert_eq!(*loaded, left.unwrap_or(NEW), "{how}");
        assert_eq!(loaded.is_hit(), left.is_some());
        assert_eq!(number(&cache).await, Some(left.unwrap_or(NEW)));
        rig.at_rest().await;
    }
}

#[tokio::test]
async fn while_the_loader_runs_an_invalidation_detaches_it() {
    for how in ALL.into_iter().filter(|how| *how != "take") {
        let rig = Rig::new();
        let cache = shop(&rig);
        let gate = Gate::new();
        let leader = load(&cache, &gate, OLD);
        gate.reached().await;
        let follower = load(&cache, &gate, -1);
        settle().await;

        let left = invalidate(&cache, how).await;
        // Who comes now gets a new load, or what the invalidation wrote.
        let fresh = Gate::new();
        let late = load(&cache, &fresh, NEW);
        if left.is_none() {
            fresh.reached().await;
        }
        gate.open();
        let (leader, follower) = (leader.await.unwrap().unwrap(), follower.await.unwrap().unwrap());
        assert_eq!(
            (*leader, leader.source()),
            (OLD, Source::Loaded(Kept::No(NotKept::Invalidated))),
            "{how}"
        );
        assert_eq!(
            (*follower, follower.source()),
            (OLD, Source::Joined(Kept::No(NotKept::Invalidated))),
            "{how}"
        );
        assert_eq!(number(&cache).await, left, "{how}: the old value came back");
        fresh.open();
        assert_eq!(*late.await.unwrap().unwrap(), left.unwrap_or(NEW), "{how}");
        assert_eq!(number(&cache).await, Some(left.unwrap_or(NEW)), "{how}");
        rig.at_rest().await;
    }
}

#[tokio::test]
async fn while_the_result_is_being_written_an_invalidation_comes_second() {
    for how in ALL.into_iter().filter(|how| *how != "take") {
        let rig = Rig::new();
        let cache = shop(&rig);
        let set = Gate::new();
        rig.store.once("set", Act::Hold(Arc::clone(&set)));
        let open = Gate::new();
        open.open();
        let leader = load(&cache, &open, OLD);
        set.reached().await;

        let task = {
            let cache = cache.clone();
            tokio::spawn(async move { invalidate(&cache, how).await })
        };
        settle().await;
        assert!(!task.is_finished(), "{how} did not wait for the write");
        let before = how.split(' ').next().unwrap();
        assert_eq!(
            rig.store.calls(before),
            usize::from(before == "set"),
            "{how} reached the store before the write ended"
        );
        // Who comes while both are under way loads for itself, and nothing of it is kept.
        let fresh = Gate::new();
        let between = load(&cache, &fresh, NEW);
        fresh.reached().await;
        set.open();
        assert_eq!(leader.await.unwrap().unwrap().source(), Source::Loaded(Kept::Yes));
        let left = task.await.unwrap();
        let expected = match how {
            "increment" => Some(OLD + 10),
            "add" => Some(OLD), // it lost
            _ => left,
        };
        assert_eq!(number(&cache).await, expected, "{how}");
        fresh.open();
        let between = between.await.unwrap().unwrap();
        assert_eq!(
            (*between, between.source()),
            (NEW, Source::Loaded(Kept::No(NotKept::Invalidated))),
            "{how}"
        );
        assert_eq!(number(&cache).await, expected, "{how}");
        rig.at_rest().await;
    }
}

#[tokio::test]
async fn after_the_write_and_before_its_callers_know_an_invalidation_removes_it() {
    for how in ALL {
        let rig = Rig::new();
        let cache = shop(&rig);
        let set = Gate::new();
        rig.store.once("set", Act::HoldAfter(Arc::clone(&set)));
        let open = Gate::new();
        open.open();
        let leader = load(&cache, &open, OLD);
        set.reached().await;
        assert_eq!(number(&cache).await, Some(OLD));
        let task = {
            let cache = cache.clone();
            tokio::spawn(async move { invalidate(&cache, how).await })
        };
        settle().await;
        assert!(!task.is_finished());
        set.open();
        assert_eq!(*leader.await.unwrap().unwrap(), OLD);
        let left = task.await.unwrap();
        let expected = if how == "add" { Some(OLD) } else { left };
        assert_eq!(number(&cache).await, expected, "{how}");
        rig.at_rest().await;
    }
}

#[tokio::test]
async fn what_begins_during_an_invalidation_is_not_kept_and_not_joined_after_it() {
    for (how, operation) in [
        ("delete", "delete"),
        ("set", "set"),
        ("increment", "increment"),
        ("add", "add"),
        ("delete_many", "delete_many"),
    ] {
        let rig = Rig::new();
        let cache = shop(&rig);
        let held = Gate::new();
        rig.store.once(operation, Act::Hold(Arc::clone(&held)));
        let task = {
            let cache = cache.clone();
            tokio::spawn(async move { invalidate(&cache, how).await })
        };
        held.reached().await;
        let gate = Gate::new();
        let during = load(&cache, &gate, OLD);
        gate.reached().await;
        held.open();
        let left = task.await.unwrap();
        let fresh = Gate::new();
        fresh.open();
        let after = load(&cache, &fresh, NEW).await.unwrap().unwrap();
        assert_eq!(*after, left.unwrap_or(NEW), "{how}");
        gate.open();
        assert_eq!(during.await.unwrap().unwrap().source(), Source::Loaded(Kept::No(NotKept::Invalidated)));
        assert_eq!(number(&cache).await, Some(left.unwrap_or(NEW)), "{how}");
        rig.at_rest().await;
    }
}

#[tokio::test]
async fn what_begins_and_ends_during_an_invalidation_is_not_kept() {
    for how in ["delete", "delete_many"] {
        let rig = Rig::new();
        let cache = shop(&rig);
        // The store has deleted it; that is not acknowledged yet.
        let held = Gate::new();
        rig.store.once(how, Act::HoldAfter(Arc::clone(&held)));
        let task = {
            let cache = cache.clone();
            tokio::spawn(async move { invalidate(&cache, how).await })
        };
        held.reached().await;
        let open = Gate::new();
        open.open();
        let during = load(&cache, &open, OLD).await.unwrap().unwrap();
        assert_eq!(during.source(), Source::Loaded(Kept::No(NotKept::Invalidated)), "{how}");
        held.open();
        task.await.unwrap();
        assert_eq!(number(&cache).await, None, "{how}");
        rig.at_rest().await;
    }
}

#[tokio::test]
async fn what_ends_during_a_clear_is_not_kept() {
    let rig = Rig::new();
    let cache = shop(&rig);
    let held = Gate::new();
    rig.store.once("clear", Act::HoldAfter(Arc::clone(&held)));
    let clear = {
        let rig = rig.cache.clone();
        tokio::spawn(async move { rig.clear().await })
    };
    held.reached().await;
    let open = Gate::new();
    open.open();
    let during = load(&cache, &open, OLD).await.unwrap().unwrap();
    assert_eq!(during.source(), Source::Loaded(Kept::No(NotKept::Invalidated)));
    held.open();
    clear.await.unwrap().unwrap();
    assert_eq!(number(&cache).await, None);
    // Elsewhere, a clear keeps nothing from being kept.
    let held = Gate::new();
    rig.store.once("clear", Act::Hold(Arc::clone(&held)));
    let blog = rig.cache.namespace("blog").unwrap();
    let clear = tokio::spawn(async move { blog.clear().await });
    held.reached().await;
    assert_eq!(
        cache.get_or_load("a", || async { fine(NEW) }).await.unwrap().source(),
        Source::Loaded(Kept::Yes)
    );
    held.open();
    clear.await.unwrap().unwrap();
    rig.at_rest().await;
}

#[tokio::test]
async fn two_caches_over_one_handle_see_each_others_invalidations() {
    let rig = Rig::new();
    let other = Cache::builder(rig.handle.clone()).build().unwrap();
    let gate = Gate::new();
    let old = load(&rig.cache, &gate, OLD);
    gate.reached().await;
    other.delete("a").await.unwrap();
    let fresh = Gate::new();
    fresh.open();
    assert_eq!(*load(&other, &fresh, NEW).await.unwrap().unwrap(), NEW);
    gate.open();
    assert_eq!(old.await.unwrap().unwrap().source(), Source::Loaded(Kept::No(NotKept::Invalidated)));
    assert_eq!(rig.number("a").await, Some(NEW));
    // And they share their loads.
    other.delete("a").await.unwrap();
    let one = load(&rig.cache, &gate, 3);
    gate.reached().await;
    let two = load(&other, &gate, 4);
    settle().await;
    gate.open();
    assert_eq!((*one.await.unwrap().unwrap(), *two.await.unwrap().unwrap()), (3, 3));
    rig.at_rest().await;
}

#[tokio::test]
async fn a_failed_invalidation_detaches_the_load_all_the_same() {
    let rig = Rig::new();
    let gate = Gate::new();
    let old = load(&rig.cache, &gate, OLD);
    gate.reached().await;
    rig.store.always("delete", Act::Fail(larder_core::ErrorKind::Unavailable));
    assert!(rig.cache.delete("a").await.is_err());
    gate.open();
    assert!(matches!(old.await.unwrap().unwrap().source(), Source::Loaded(Kept::No(_))));
    assert_eq!(rig.number("a").await, None);
    rig.at_rest().await;
}

#[tokio::test]
async fn an_invalidation_whose_caller_goes_away_is_carried_to_its_end() {
    for (how, operation) in
        [("delete", "delete"), ("clear", "clear"), ("set", "set"), ("delete_many", "delete_many")]
    {
        let rig = Rig::new();
        rig.cache.set("a", OLD).await.unwrap();
        let held = Gate::new();
        rig.store.once(operation, Act::Hold(Arc::clone(&held)));
        let task = {
            let cache = rig.cache.clone();
            tokio::spawn(async move { invalidate(&cache, how).await })
        };
        held.reached().await;
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
        settle().await;
        assert_eq!(rig.handle.busy_keys() > 0, operation != "clear");
        held.open();
        rig.at_rest().await;
        settle().await;
        assert_eq!(rig.number("a").await, (how == "set").then_some(10), "{how}");
        assert_eq!(
            rig.cache.get_or_load("c", || async { fine(1) }).await.unwrap().source(),
            Source::Loaded(Kept::Yes)
        );
    }
}

#[tokio::test]
async fn an_invalidation_dropped_while_it_waits_for_a_write_leaves_nothing_stuck() {
    let rig = Rig::new();
    let set = Gate::new();
    rig.store.once("set", Act::Hold(Arc::clone(&set)));
    let open = Gate::new();
    open.open();
    let leader = load(&rig.cache, &open, OLD);
    set.reached().await;
    let delete = {
        let cache = rig.cache.clone();
        tokio::spawn(async move { cache.delete("a").await })
    };
    settle().await;
    delete.abort();
    settle().await;
    set.open();
    leader.await.unwrap().unwrap();
    rig.at_rest().await;
    until(|| rig.store.calls("delete") == 1).await;
    settle().await;
    assert_eq!(rig.number("a").await, None, "it was carried to its end");
}
