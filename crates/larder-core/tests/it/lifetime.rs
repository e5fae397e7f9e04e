//! How a cache ends: closing it, and runtimes that go away.

use std::{sync::Arc, time::Duration};

use larder_core::{BoxFuture, Cache, EntryOptions, ErrorKind, Kept, Result, Seat, Source};

use crate::support::{Act, Cluster, Gate, Rig, fine, load, settle};

#[tokio::test]
async fn close_waits_for_running_loads_and_writes_and_refuses_later_loads() {
    let rig = Rig::new();
    rig.cache.set("there", 1_u8).await.unwrap();
    let gate = Gate::new();
    let (cache, held) = (rig.cache.clone(), Arc::clone(&gate));
    let load = tokio::spawn(async move {
        cache
            .get_or_load("a", || async move {
                held.pass().await;
                fine(1_u8)
            })
            .await
    });
    gate.reached().await;
    let cache = rig.cache.namespace("child").unwrap();
    let close = tokio::spawn(async move { cache.close().await });
    settle().await;
    assert!(!close.is_finished());
    gate.open();
    close.await.unwrap().unwrap();
    assert_eq!(load.await.unwrap().unwrap().source(), Source::Loaded(Kept::Yes));

    for error in [
        rig.cache.get_or_load("b", || async { fine(1_u8) }).await.unwrap_err(),
        rig.cache.get_or_load_scoped("b", || async { fine(1_u8) }).await.unwrap_err(),
        rig.cache.seat::<u8>("b").await.unwrap_err(),
        rig.cache
            .get_or_load_many(["b"], |_| async { fine(std::collections::HashMap::<String, u8>::new()) })
            .await
            .remove(0)
            .unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.to_string().contains("closed") && !error.is_retryable(), "{error}");
    }
    // What is there is served, and the store still reached.
    assert!(rig.cache.get_or_load("there", || async { fine(9_u8) }).await.unwrap().is_hit());
    rig.cache.set("c", 1_u8).await.unwrap();
    assert!(rig.cache.delete("c").await.unwrap());
    rig.cache.close().await.unwrap();
    rig.at_rest().await;
}

#[tokio::test]
async fn close_gives_up_after_the_time_of_a_load() {
    let rig = Rig::new();
    let gate = Gate::new();
    rig.store.once("set", Act::Hold(Arc::clone(&gate)));
    let set = {
        let cache = rig.cache.clone();
        tokio::spawn(async move { cache.set("a", 1_u8).await })
    };
    gate.reached().await;
    set.abort();
    let close = {
        let cache = rig.cache.clone();
        tokio::spawn(async move { cache.close().await })
    };
    settle().await;
    gate.open();
    close.await.unwrap().unwrap();
    assert!(rig.stored("a").await.is_some(), "the write behind its caller's back was waited for");

    let rig = Rig::new();
    let cache = rig.cache.clone();
    let hangs = tokio::spawn(async move {
        cache
            .get_or_load("a", || async {
                std::future::pending::<()>().await;
                fine(1_u8)
            })
            .await
    });
    settle().await;
    let close = {
        let cache = rig.cache.clone();
        tokio::spawn(async move { cache.close().await })
    };
    settle().await;
    // The load's own time ends just before: both are told, and the load is dropped.
    rig.clock.advance(Duration::from_secs(30));
    assert_eq!(hangs.await.unwrap().unwrap_err().kind(), ErrorKind::Load);
    let error = close.await.unwrap();
    assert!(error.is_ok() || error.unwrap_err().kind() == ErrorKind::Timeout);
    rig.at_rest().await;
}

#[test]
fn a_runtime_that_goes_away_mid_load_leaves_an_error_and_a_free_key() {
    let rig = Rig::new();
    let first = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let second = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let gate = Gate::new();
    let mut load = {
        let gate = Arc::clone(&gate);
        Box::pin(rig.cache.get_or_load("a", || async move {
            gate.pass().await;
            fine(1_u8)
        }))
    };
    {
        // Led by a task of the first runtime, awaited from the second.
        let _entered = first.enter();
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(load.as_mut().poll(&mut context).is_pending());
    }
    second.block_on(gate.reached());
    first.shutdown_timeout(Duration::from_secs(5));
    let error = second.block_on(load).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("shutting down"), "{error}");
    assert_eq!(rig.handle.busy_keys(), 0);
    assert_eq!(*second.block_on(rig.cache.get_or_load("a", || async { fine(2_u8) })).unwrap(), 2);
}

#[test]
fn a_runtime_that_goes_away_under_a_batch_leaves_errors_not_missing_keys() {
    let rig = Rig::new();
    let first = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let second = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let gate = Gate::new();
    let mut load = {
        let gate = Arc::clone(&gate);
        Box::pin(rig.cache.get_or_load_many(["a", "b"], move |_| {
            let gate = Arc::clone(&gate);
            async move {
                gate.pass().await;
                fine(std::collections::HashMap::<String, u8>::new())
            }
        }))
    };
    {
        let _entered = first.enter();
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(load.as_mut().poll(&mut context).is_pending());
    }
    second.block_on(gate.reached());
    first.shutdown_timeout(Duration::from_secs(5));
    for one in second.block_on(load) {
        assert_eq!(one.unwrap_err().kind(), ErrorKind::Unavailable);
    }
    assert_eq!(rig.handle.busy_keys(), 0);
}

#[tokio::test]
async fn a_seat_outlives_the_handle_it_was_taken_on() {
    let rig = Rig::new();
    let Seat::Leader(leader) = rig.cache.clone().seat::<u8>("a").await.unwrap() else {
        panic!("nothing there")
    };
    let Rig { cache, handle, .. } = rig;
    drop(cache);
    assert_eq!(leader.commit(1.into(), EntryOptions::new()).await, Kept::Yes);
    assert_eq!(handle.busy_keys(), 0);
}

#[test]
fn a_runtime_that_goes_away_leaves_no_lease_that_its_process_waits_for() {
    let (cluster, gate) = (Cluster::new(), Gate::new());
    let a = cluster.process();
    let runtime = || tokio::runtime::Builder::new_current_thread().build().unwrap();
    let first = runtime();
    first.block_on(async {
        let held = load(&a, "a", &gate, "first");
        gate.reached().await;
        drop(held);
    });
    drop(first);
    runtime().block_on(async {
        assert!(cluster.stored(&a.cache, "a").await.is_some(), "the lease is there");
        gate.open();
        let second = load(&a, "a", &gate, "second");
        settle().await;
        assert!(second.is_finished(), "it waits for itself");
        assert_eq!(second.await.unwrap().unwrap().source(), Source::Loaded(Kept::Yes));
    });
}

fn invalidation(cache: &Cache, how: &str) -> BoxFuture<'static, Result<()>> {
    let cache = cache.clone();
    match how {
        "delete" => Box::pin(async move { cache.delete("a").await.map(drop) }),
        "delete_many" => Box::pin(async move { cache.delete_many(["a"]).await.remove(0).map(drop) }),
        "set" => Box::pin(async move { cache.set("a", 2).await }),
        "increment" => Box::pin(async move { cache.increment("a", 1).await.map(drop) }),
        "clear" => Box::pin(async move { cache.clear().await }),
        "invalidate_tags" => Box::pin(async move { cache.invalidate_tags(["t"]).await }),
        other => panic!("{other}"),
    }
}

#[test]
fn a_runtime_that_goes_away_under_an_invalidation_leaves_what_it_was_of_unserved() {
    for (how, operation) in [
        ("delete", "delete"),
        ("delete_many", "delete_many"),
        ("set", "set"),
        ("increment", "increment"),
        ("clear", "clear"),
        ("invalidate_tags", "delete_many"),
    ] {
        let rig = Rig::new();
        let first = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let second = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let options =
            if how == "invalidate_tags" { EntryOptions::new().tag("t") } else { EntryOptions::new() };
        second.block_on(rig.cache.set_with("a", 1, options)).unwrap();
        let gate = Gate::new();
        rig.store.once(operation, Act::Hold(Arc::clone(&gate)));
        let mut work = invalidation(&rig.cache, how);
        {
            let _entered = first.enter();
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            assert!(work.as_mut().poll(&mut context).is_pending());
        }
        second.block_on(gate.reached());
        first.shutdown_timeout(Duration::from_secs(5));
        assert_eq!(second.block_on(work).unwrap_err().kind(), ErrorKind::Ambiguous, "{how}");
        assert!(rig.cache.stats().in_doubt > 0, "{how}");
        assert!(!second.block_on(rig.cache.has("a")).unwrap(), "{how}: it may or may not be gone");
        second.block_on(rig.at_rest());
    }
}
