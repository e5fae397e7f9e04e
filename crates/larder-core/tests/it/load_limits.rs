//! Loads within loads, and how many at a time.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use larder_core::{EntryOptions, Error, ErrorKind};

use crate::support::{Act, Gate, Rig, Scripted, fine, settle, until};

#[tokio::test]
async fn a_loader_that_asks_for_its_own_key_gets_an_error_at_once() {
    let rig = Rig::new();
    let direct = rig.cache.get_or_load("a", {
        let cache = rig.cache.clone();
        || async move { cache.get_or_load("a", || async { fine(1_u8) }).await.map(|own| *own) }
    });
    let error = direct.await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Load);
    assert!(
        error.downcast_ref::<Error>().unwrap().to_string().contains("the key that it is loading"),
        "{error}"
    );

    let (outer, inner) = (rig.cache.clone(), rig.cache.clone());
    let through = rig.cache.get_or_load("a", || async move {
        outer
            .get_or_load("b", || async move {
                inner.get_or_load_scoped("a", || async { fine(1_u8) }).await.map(|own| *own)
            })
            .await
            .map(|b| *b)
    });
    assert!(through.await.unwrap_err().to_string().contains("the key that it is loading"));

    let cache = rig.cache.clone();
    let batch = rig.cache.get_or_load_many(["x", "y"], move |_| {
        let cache = cache.clone();
        async move {
            let own = cache
                .get_or_load_many(["y", "z"], |_| async { fine(HashMap::from([("z".to_owned(), 1_u8)])) })
                .await;
            assert!(own[0].as_ref().unwrap_err().to_string().contains("the key that it is loading"));
            assert_eq!(**own[1].as_ref().unwrap().as_ref().unwrap(), 1);
            fine(HashMap::from([("x".to_owned(), 1_u8), ("y".to_owned(), 2)]))
        }
    });
    assert!(batch.await.into_iter().all(|one| one.unwrap().is_some()));
    let seat = rig.cache.get_or_load("s", {
        let cache = rig.cache.clone();
        || async move { cache.seat::<u8>("s").await.map(|_| 1_u8) }
    });
    assert!(seat.await.is_err());
    rig.at_rest().await;
}

#[tokio::test]
async fn loads_within_loads_need_no_turn_of_their_own() {
    let rig = Rig::with(Scripted::default(), |b| b.max_concurrent_loads(1));
    let (a, b) = (rig.cache.clone(), rig.cache.clone());
    let sum = rig.cache.get_or_load("sum", || async move {
        let one = *a.get_or_load("one", || async { fine(1_u8) }).await?;
        let two = *a
            .get_or_load("two", || async move {
                let one = *b.get_or_load("one", || async { fine(9_u8) }).await?;
                Ok::<_, Error>(one + 1)
            })
            .await?;
        let many = a
            .get_or_load_many(["three"], |_| async { fine(HashMap::from([("three".to_owned(), 3_u8)])) })
            .await;
        Ok::<_, Error>(one + two + **many[0].as_ref().unwrap().as_ref().unwrap())
    });
    assert_eq!(*sum.await.unwrap(), 6);
    rig.at_rest().await;
}

#[tokio::test]
async fn no_more_loads_at_a_time_than_allowed() {
    let rig = Rig::with(Scripted::default(), |b| b.max_concurrent_loads(3));
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let tasks: Vec<_> = (0..30)
        .map(|n| {
            let (cache, running, most) = (rig.cache.clone(), Arc::clone(&running), Arc::clone(&most));
            tokio::spawn(async move {
                let load = move || async move {
                    most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    settle().await;
                    running.fetch_sub(1, Ordering::SeqCst);
                    fine(n)
                };
                let key = n.to_string();
                if n % 2 == 0 {
                    cache.get_or_load(key, load).await
                } else {
                    cache.get_or_load_scoped(key, load).await
                }
            })
        })
        .collect();
    for (n, task) in tasks.into_iter().enumerate() {
        assert_eq!(*task.await.unwrap().unwrap(), n);
    }
    assert_eq!(most.load(Ordering::SeqCst), 3);
    rig.at_rest().await;
}

#[tokio::test]
async fn a_load_that_waits_for_its_turn_does_not_block_the_one_that_waits_for_it() {
    for batch in [false, true] {
        let rig = Rig::with(Scripted::default(), |b| b.max_concurrent_loads(1));
        let gate = Gate::new();
        // `a` has the only turn; before it asks for `b`, another caller leads `b` and waits for a turn.
        let (cache, held) = (rig.cache.clone(), Arc::clone(&gate));
        let a = tokio::spawn(async move {
            let inner = cache.clone();
            cache
                .get_or_load("a", move || async move {
                    held.pass().await;
                    if batch {
                        let found = inner
                            .get_or_load_many(["b"], |_| async { fine(HashMap::<String, u8>::new()) })
                            .await;
                        return found.into_iter().next().unwrap().map(|b| *b.unwrap());
                    }
                    inner.get_or_load("b", || async { fine(0_u8) }).await.map(|b| *b)
                })
                .await
        });
        gate.reached().await;
        let cache = rig.cache.clone();
        let b = tokio::spawn(async move { cache.get_or_load("b", || async { fine(2_u8) }).await });
        settle().await;
        assert!(!b.is_finished(), "it waits for a turn");
        gate.open();
        until(|| a.is_finished() && b.is_finished()).await;
        assert_eq!((*a.await.unwrap().unwrap(), *b.await.unwrap().unwrap()), (2, 2));
        rig.at_rest().await;
    }
}

#[tokio::test]
async fn a_load_that_is_dropped_while_it_waits_for_its_turn_leaves_nothing() {
    let rig =
        Rig::with(Scripted::default(), |b| b.max_concurrent_loads(1).load_timeout(Duration::from_secs(3)));
    let gate = Gate::new();
    let (cache, held) = (rig.cache.clone(), Arc::clone(&gate));
    let first = tokio::spawn(async move {
        cache
            .get_or_load("a", || async move {
                held.pass().await;
                fine(1_u8)
            })
            .await
    });
    gate.reached().await;
    let cache = rig.cache.clone();
    let second = tokio::spawn(async move { cache.get_or_load("b", || async { fine(1_u8) }).await });
    settle().await;
    second.abort();
    until(|| rig.handle.busy_keys() == 1).await;
    gate.open();
    first.await.unwrap().unwrap();
    assert_eq!(rig.cache.stats().loads, 1);
    rig.at_rest().await;
}

#[tokio::test]
async fn nor_does_one_that_waits_for_its_turn_before_another_that_is_waited_for() {
    for how in ["forced", "forced together", "unreadable"] {
        let rig = Rig::with(Scripted::shared(&Arc::default()), |b| b.max_concurrent_loads(1));
        if how == "unreadable" {
            for operation in ["get", "get_versioned"] {
                rig.store.always(operation, Act::Fail(ErrorKind::Unavailable));
            }
        }
        let gate = Gate::new();
        // `a` has the only turn; `b` waits for one, begun: who may not join that leads another, after it.
        let (cache, held) = (rig.cache.clone(), Arc::clone(&gate));
        let a = tokio::spawn(async move {
            let inner = cache.clone();
            let loader = move || async move {
                held.pass().await;
                let b = if how == "unreadable" {
                    inner.get_or_load("b", || async { fine(3_u8) }).await
                } else {
                    inner.refresh("b", EntryOptions::new(), || async { fine(3_u8) }).await
                };
                b.map(|b| *b)
            };
            cache.get_or_load("a", loader).await
        });
        gate.reached().await;
        let cache = rig.cache.clone();
        let b = tokio::spawn(async move { cache.get_or_load("b", || async { fine(2_u8) }).await });
        settle().await;
        let cache = rig.cache.clone();
        let forced = (how == "forced together").then(|| {
            tokio::spawn(
                async move { cache.refresh("b", EntryOptions::new(), || async { fine(3_u8) }).await },
            )
        });
        settle().await;
        assert!(!b.is_finished(), "it waits for a turn");
        gate.open();
        // No time passes.
        until(|| a.is_finished() && b.is_finished()).await;
        assert_eq!((*a.await.unwrap().unwrap(), *b.await.unwrap().unwrap()), (3, 2), "{how}");
        if let Some(forced) = forced {
            assert_eq!(*forced.await.unwrap().unwrap(), 3);
        }
        rig.at_rest().await;
    }
}
