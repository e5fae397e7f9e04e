//! The batch form of a load.

use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex},
};

use larder_core::{Cache, ErrorKind, Kept, Loaded, LoadedBatch, NotKept, Outcome, Result, Source};
use tokio::task::JoinHandle;

use crate::support::{Act, Gate, Rig, fine, settle, until};

type Results = Vec<Result<Option<Outcome<usize>>>>;
type Calls = Arc<Mutex<Vec<Vec<String>>>>;

/// Loads the length of each key, remembering which were asked for.
fn lengths(cache: &Cache, keys: &[&str], gate: &Arc<Gate>, calls: &Calls) -> JoinHandle<Results> {
    let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
    let (cache, gate, calls) = (cache.clone(), Arc::clone(gate), Arc::clone(calls));
    tokio::spawn(async move {
        cache
            .get_or_load_many(keys, move |missing: Vec<String>| {
                calls.lock().unwrap().push(missing.clone());
                let gate = Arc::clone(&gate);
                async move {
                    gate.pass().await;
                    fine(missing.into_iter().map(|key| (key.clone(), key.len())).collect::<HashMap<_, _>>())
                }
            })
            .await
    })
}

fn values(results: Results) -> Vec<usize> {
    results.into_iter().map(|one| *one.unwrap().unwrap()).collect()
}

fn opened() -> Arc<Gate> {
    let gate = Gate::new();
    (0..100).for_each(|_| gate.open());
    gate
}

#[tokio::test]
async fn one_call_loads_all_that_is_missing_in_order_and_once() {
    for rig in [Rig::new(), Rig::bytes()] {
        let calls = Calls::default();
        rig.cache.set("bb", 2_usize).await.unwrap();
        let results =
            lengths(&rig.cache, &["ccc", "a", "bb", "ccc", "dddd"], &opened(), &calls).await.unwrap();
        let sources: Vec<_> =
            results.iter().map(|one| one.as_ref().unwrap().as_ref().unwrap().source()).collect();
        let loaded = Source::Loaded(Kept::Yes);
        assert_eq!(sources, [loaded, loaded, Source::Hit, loaded, loaded]);
        assert_eq!(values(results), [3, 1, 2, 3, 4]);
        assert_eq!(*calls.lock().unwrap(), [["ccc", "a", "dddd"]]);
        assert_eq!((rig.store.calls("get_many"), rig.store.calls("set_many")), (1, 1));
        let again = lengths(&rig.cache, &["a", "dddd"], &opened(), &calls).await.unwrap();
        assert!(again.iter().all(|one| one.as_ref().unwrap().as_ref().unwrap().is_hit()));
        assert_eq!(calls.lock().unwrap().len(), 1);
        assert!(lengths(&rig.cache, &[], &opened(), &calls).await.unwrap().is_empty());
        rig.at_rest().await;
    }
}

#[tokio::test]
async fn a_batch_joins_single_loads_and_single_loads_join_a_batch() {
    let rig = Rig::new();
    let (single, batch, calls) = (Gate::new(), Gate::new(), Calls::default());
    let (cache, held) = (rig.cache.clone(), Arc::clone(&single));
    let a = tokio::spawn(async move {
        cache
            .get_or_load("a", || async move {
                held.pass().await;
                fine(100_usize)
            })
            .await
    });
    single.reached().await;
    let many = lengths(&rig.cache, &["a", "bb"], &batch, &calls);
    batch.reached().await;
    let cache = rig.cache.clone();
    let b = tokio::spawn(async move { cache.get_or_load("bb", || async { fine(200_usize) }).await });
    let other = lengths(&rig.cache, &["bb", "a"], &batch, &calls);
    settle().await;
    single.open();
    batch.open();
    assert_eq!(*a.await.unwrap().unwrap(), 100);
    assert_eq!(*b.await.unwrap().unwrap(), 2);
    assert_eq!(values(many.await.unwrap()), [100, 2]);
    assert_eq!(values(other.await.unwrap()), [2, 100]);
    assert_eq!(*calls.lock().unwrap(), [["bb"]]);
    rig.at_rest().await;
}

#[tokio::test]
async fn each_key_has_its_own_value_error_or_nothing() {
    let rig = Rig::new();
    let results = rig
        .cache
        .get_or_load_many(["a", "bad", "not", "gone"], |_| async {
            fine(
                LoadedBatch::<u8>::new()
                    .with("a", 1)
                    .with_error("bad", io::Error::other("locked"))
                    .with("not", Loaded::new(2).do_not_keep())
                    .with("never asked for", 9),
            )
        })
        .await;
    assert_eq!(**results[0].as_ref().unwrap().as_ref().unwrap(), 1);
    let error = results[1].as_ref().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Load);
    assert_eq!(error.downcast_ref::<io::Error>().unwrap().to_string(), "locked");
    let not = results[2].as_ref().unwrap().as_ref().unwrap();
    assert_eq!(not.source(), Source::Loaded(Kept::No(NotKept::Requested)));
    assert!(results[3].as_ref().unwrap().is_none());
    assert!(!rig.cache.has("not").await.unwrap() && !rig.cache.has("never asked for").await.unwrap());
    assert_eq!((rig.cache.stats().loads, rig.cache.stats().load_errors), (2, 1));
    rig.at_rest().await;
}

#[tokio::test]
async fn a_batch_that_fails_or_panics_fails_for_all_its_keys() {
    type Found = Result<HashMap<String, u8>, io::Error>;
    let rig = Rig::new();
    let failed =
        rig.cache.get_or_load_many(["a", "b"], |_| async { Found::Err(io::Error::other("down")) }).await;
    let late = rig
        .cache
        .get_or_load_many(["a", "b"], |_| async {
            assert!(std::hint::black_box(false), "late");
            Found::Ok(HashMap::new())
        })
        .await;
    let early = rig
        .cache
        .get_or_load_many(["a", "b"], |_| {
            assert!(std::hint::black_box(false), "early");
            async { Found::Ok(HashMap::new()) }
        })
        .await;
    for (results, said) in [(failed, "down"), (late, "late"), (early, "early")] {
        for one in results {
            let error = one.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Load);
            assert!(error.to_string().contains(said), "{error}");
        }
    }
    assert_eq!(rig.cache.stats().load_errors, 6);
    rig.at_rest().await;
}

#[tokio::test]
async fn the_leader_of_a_batch_may_go_while_others_wait_for_it() {
    let rig = Rig::new();
    let (gate, calls) = (Gate::new(), Calls::default());
    let many = lengths(&rig.cache, &["a", "bb", "ccc"], &gate, &calls);
    gate.reached().await;
    let one = lengths(&rig.cache, &["bb"], &gate, &calls);
    settle().await;
    many.abort();
    settle().await;
    gate.open();
    assert_eq!(values(one.await.unwrap()), [2]);
    assert_eq!(calls.lock().unwrap().len(), 1);
    rig.at_rest().await;

    // With nobody left, the load is dropped.
    let gate = Gate::new();
    let many = lengths(&rig.cache, &["x", "y"], &gate, &calls);
    gate.reached().await;
    many.abort();
    rig.at_rest().await;
    assert!(!rig.cache.has("x").await.unwrap());
}

#[tokio::test]
async fn where_a_joined_leader_goes_away_the_loader_runs_again_for_its_keys_alone() {
    let rig = Rig::new();
    let held = Gate::new();
    let (cache, gate) = (rig.cache.clone(), Arc::clone(&held));
    let foreign = tokio::spawn(async move {
        cache
            .get_or_load_scoped("a", || async {
                gate.pass().await;
                fine(100_usize)
            })
            .await
    });
    held.reached().await;
    let calls = Calls::default();
    let many = lengths(&rig.cache, &["a", "bb"], &opened(), &calls);
    until(|| calls.lock().unwrap().len() == 1).await;
    settle().await;
    foreign.abort();
    assert_eq!(values(many.await.unwrap()), [1, 2]);
    assert_eq!(*calls.lock().unwrap(), [["bb"], ["a"]]);
    rig.at_rest().await;
}

#[tokio::test]
async fn what_another_batch_left_out_is_loaded_by_those_who_joined_it() {
    let rig = Rig::new();
    let gate = Gate::new();
    let (cache, held) = (rig.cache.clone(), Arc::clone(&gate));
    let empty = tokio::spawn(async move {
        cache
            .get_or_load_many(["a"], move |_| {
                let held = Arc::clone(&held);
                async move {
                    held.pass().await;
                    fine(HashMap::<String, usize>::new())
                }
            })
            .await
    });
    gate.reached().await;
    let cache = rig.cache.clone();
    let single = tokio::spawn(async move { cache.get_or_load("a", || async { fine(5_usize) }).await });
    settle().await;
    gate.open();
    assert!(empty.await.unwrap()[0].as_ref().unwrap().is_none());
    assert_eq!(*single.await.unwrap().unwrap(), 5);
    rig.at_rest().await;
}

#[tokio::test]
async fn a_batch_is_fenced_key_by_key() {
    let rig = Rig::new();
    let (gate, calls) = (Gate::new(), Calls::default());
    let many = lengths(&rig.cache, &["a", "bb"], &gate, &calls);
    gate.reached().await;
    rig.cache.delete("a").await.unwrap();
    gate.open();
    let results = many.await.unwrap();
    let sources: Vec<_> =
        results.iter().map(|one| one.as_ref().unwrap().as_ref().unwrap().source()).collect();
    assert_eq!(sources, [Source::Loaded(Kept::No(NotKept::Invalidated)), Source::Loaded(Kept::Yes)]);
    assert_eq!((rig.number("a").await, rig.number("bb").await), (None, Some(2)));
    rig.at_rest().await;
}

#[tokio::test]
async fn an_invalidation_waits_for_the_write_of_a_batch() {
    let rig = Rig::new();
    let (set, calls) = (Gate::new(), Calls::default());
    rig.store.once("set_many", Act::Hold(Arc::clone(&set)));
    let many = lengths(&rig.cache, &["a", "bb"], &opened(), &calls);
    set.reached().await;
    let delete = {
        let cache = rig.cache.clone();
        tokio::spawn(async move { cache.delete("bb").await })
    };
    settle().await;
    assert!(!delete.is_finished());
    set.open();
    assert!(delete.await.unwrap().unwrap());
    assert_eq!(values(many.await.unwrap()), [1, 2]);
    assert_eq!((rig.number("a").await, rig.number("bb").await), (Some(1), None));
    rig.at_rest().await;
}
