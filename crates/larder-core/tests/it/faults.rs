//! The exam can fail: with a rule of the fence switched off, the interleaving that the rule is for goes wrong.

use std::sync::Arc;

use larder_core::{Faults, Kept, Source};

use crate::support::{Act, Gate, Rig, fine, settle, until};

/// A load that began before an acknowledged `delete` ends after it: whether its value is in the store then.
async fn a_load_outlives_a_delete(faults: Faults) -> bool {
    let rig = Rig::new();
    rig.handle.inject_faults(faults);
    let gate = Gate::new();
    let (cache, held) = (rig.cache.clone(), Arc::clone(&gate));
    let old = tokio::spawn(async move {
        cache
            .get_or_load("a", || async move {
                held.pass().await;
                fine(1)
            })
            .await
    });
    gate.reached().await;
    rig.cache.delete("a").await.unwrap();
    gate.open();
    old.await.unwrap().unwrap();
    let stale = rig.number("a").await == Some(1);
    rig.at_rest().await;
    stale
}

/// A caller comes after an acknowledged `delete`, while an older load still runs: whether it is given that one's value.
async fn a_late_caller_joins_an_old_load(faults: Faults) -> bool {
    let rig = Rig::new();
    rig.handle.inject_faults(faults);
    let gate = Gate::new();
    let (cache, held) = (rig.cache.clone(), Arc::clone(&gate));
    let old = tokio::spawn(async move {
        cache
            .get_or_load("a", || async move {
                held.pass().await;
                fine(1)
            })
            .await
    });
    gate.reached().await;
    rig.cache.delete("a").await.unwrap();
    let cache = rig.cache.clone();
    let late = tokio::spawn(async move { cache.get_or_load("a", || async { fine(2) }).await });
    settle().await;
    gate.open();
    old.await.unwrap().unwrap();
    let stale = *late.await.unwrap().unwrap() == 1;
    rig.at_rest().await;
    stale
}

/// A `delete` runs while a load's value is on its way to the store: whether the value is there after both.
async fn a_delete_overtakes_a_write(faults: Faults) -> bool {
    let rig = Rig::new();
    rig.handle.inject_faults(faults);
    let set = Gate::new();
    rig.store.once("set", Act::Hold(Arc::clone(&set)));
    let cache = rig.cache.clone();
    let old = tokio::spawn(async move { cache.get_or_load("a", || async { fine(1) }).await });
    set.reached().await;
    let cache = rig.cache.clone();
    let delete = tokio::spawn(async move { cache.delete("a").await });
    settle().await;
    let overtook = delete.is_finished();
    set.open();
    assert_eq!(old.await.unwrap().unwrap().source(), Source::Loaded(Kept::Yes));
    delete.await.unwrap().unwrap();
    until(|| rig.handle.busy_keys() == 0).await;
    let stale = rig.number("a").await == Some(1);
    assert_eq!(stale, overtook);
    stale
}

#[tokio::test]
async fn with_every_rule_in_force_nothing_is_stale() {
    assert!(!a_load_outlives_a_delete(Faults::NONE).await);
    assert!(!a_late_caller_joins_an_old_load(Faults::NONE).await);
    assert!(!a_delete_overtakes_a_write(Faults::NONE).await);
}

#[tokio::test]
async fn without_the_fence_an_old_load_undoes_a_delete() {
    assert!(a_load_outlives_a_delete(Faults::NO_FENCE).await);
}

#[tokio::test]
async fn with_naive_joining_a_late_caller_gets_an_old_value() {
    assert!(a_late_caller_joins_an_old_load(Faults::NAIVE_JOIN).await);
    assert!(
        !a_load_outlives_a_delete(Faults::NAIVE_JOIN).await,
        "it is another rule that keeps it out of the store"
    );
}

#[tokio::test]
async fn with_a_commit_by_set_a_delete_is_overtaken() {
    assert!(a_delete_overtakes_a_write(Faults::COMMIT_BY_SET).await);
    assert!(!a_load_outlives_a_delete(Faults::COMMIT_BY_SET).await, "a detached load is still kept out");
}
