//! When the replay ends, and who goes on with it.

use std::{sync::atomic::Ordering, time::Duration};

use larder_core::{Cache, ErrorKind, Value};

use super::{at_rest, pass, rig};
use crate::support::{Act, settle};

#[tokio::test]
async fn close_ends_the_replay_at_once() {
    let (rig, tasks) = rig();
    rig.store.always("delete", Act::Fail(ErrorKind::Unavailable));
    assert!(rig.cache.delete("a").await.is_err());
    pass(&rig, Duration::from_millis(200)).await;
    assert_eq!(tasks.load(Ordering::SeqCst), 1);
    rig.cache.close().await.unwrap();
    assert_eq!(tasks.load(Ordering::SeqCst), 0);
    let asked = rig.store.calls("delete");
    pass(&rig, Duration::from_secs(5)).await;
    assert_eq!(rig.store.calls("delete"), asked);
    // What goes wrong later is in doubt all the same, and settled by a read.
    assert!(rig.cache.delete("b").await.is_err());
    assert_eq!(tasks.load(Ordering::SeqCst), 0);
    rig.store.calm();
    for key in ["a", "b"] {
        assert!(!rig.cache.has(key).await.unwrap());
    }
    at_rest(&rig, &tasks).await;
}

#[tokio::test]
async fn close_does_not_wait_for_a_clear_that_is_replayed() {
    let (rig, tasks) = rig();
    rig.store.once("clear", Act::Fail(ErrorKind::Unavailable));
    assert!(rig.cache.clear().await.is_err());
    rig.store.always("clear", Act::Hang);
    pass(&rig, Duration::from_secs(1)).await;
    assert_eq!((tasks.load(Ordering::SeqCst), rig.store.calls("clear")), (1, 2));
    rig.cache.close().await.unwrap();
    assert_eq!(tasks.load(Ordering::SeqCst), 0);
    assert!(!rig.cache.has("a").await.unwrap());
    assert_eq!(rig.cache.stats().in_doubt, 1);
    rig.at_rest().await;
}

#[tokio::test]
async fn the_replay_ends_with_the_last_handle() {
    let (rig, tasks) = rig();
    rig.store.always("delete", Act::Fail(ErrorKind::Unavailable));
    assert!(rig.cache.delete("a").await.is_err());
    settle().await;
    assert_eq!(tasks.load(Ordering::SeqCst), 1);
    drop(rig.cache);
    settle().await;
    assert_eq!(tasks.load(Ordering::SeqCst), 0);
    assert_eq!(rig.handle.busy_keys(), 0);
}

#[tokio::test]
async fn another_cache_over_the_handle_goes_on_with_the_replay() {
    for close in [true, false] {
        let (rig, tasks) = rig();
        let first = Cache::builder(rig.handle.clone()).namespace("first").build().unwrap();
        rig.store.always("delete", Act::Fail(ErrorKind::Unavailable));
        assert!(first.delete("a").await.is_err());
        settle().await;
        assert_eq!(tasks.load(Ordering::SeqCst), 1, "the cache that was built first does it for both");
        let second = first;
        if close {
            rig.cache.close().await.unwrap();
        } else {
            drop(rig.cache);
        }
        settle().await;
        assert_eq!(tasks.load(Ordering::SeqCst), 0);
        rig.store.calm();
        for _ in 0..100 {
            settle().await;
            rig.clock.advance(Duration::from_millis(10));
        }
        settle().await;
        assert_eq!(second.stats().in_doubt, 0, "settled without a read");
        assert_eq!(rig.handle.busy_keys(), 0);
    }
}

#[test]
fn without_a_runtime_nothing_is_started_until_there_is_one() {
    let (rig, tasks) = rig();
    rig.store.always("delete", Act::Fail(ErrorKind::Unavailable));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let mut delete = Box::pin(rig.cache.delete("a"));
    let std::task::Poll::Ready(deleted) = delete.as_mut().poll(&mut context) else { panic!("it waits") };
    assert!(deleted.is_err());
    assert_eq!((tasks.load(Ordering::SeqCst), rig.cache.stats().in_doubt), (0, 1));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        rig.plant("a", Value::Int(1)).await;
        assert!(!rig.cache.has("a").await.unwrap());
        assert_eq!(tasks.load(Ordering::SeqCst), 1, "the read found it in doubt");
        rig.store.calm();
        pass(&rig, Duration::from_secs(1)).await;
        assert!(rig.stored("a").await.is_none());
        at_rest(&rig, &tasks).await;
    });
}

#[test]
fn a_runtime_that_goes_away_leaves_the_replay_to_the_next() {
    let (rig, tasks) = rig();
    rig.store.always("delete", Act::Fail(ErrorKind::Unavailable));
    let first = tokio::runtime::Builder::new_current_thread().build().unwrap();
    first.block_on(async { assert!(rig.cache.delete("a").await.is_err()) });
    assert_eq!(tasks.load(Ordering::SeqCst), 1);
    drop(first);
    assert_eq!(tasks.load(Ordering::SeqCst), 0);
    let second = tokio::runtime::Builder::new_current_thread().build().unwrap();
    second.block_on(async {
        assert!(rig.cache.delete("b").await.is_err());
        assert_eq!(tasks.load(Ordering::SeqCst), 1);
        rig.store.calm();
        pass(&rig, Duration::from_secs(1)).await;
        at_rest(&rig, &tasks).await;
    });
}
