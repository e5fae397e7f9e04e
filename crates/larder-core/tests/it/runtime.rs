//! Runtimes of both flavours, and none.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
};

use larder_core::{BoxFuture, Cache, ErrorKind, Kept, Result, Source, Spawn, TokioSpawn};

use crate::support::{Act, Rig, Scripted, fine};

/// Polls a future that is ready at once.
fn at_once<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it waits"),
    }
}

#[test]
fn without_a_runtime_a_store_in_process_works_and_a_load_names_what_is_missing() {
    for rig in [Rig::new(), Rig::with(Scripted::peeking(), |b| b)] {
        let cache = &rig.cache;
        at_once(cache.set("a", "x".to_owned())).unwrap();
        assert_eq!(at_once(cache.get::<String>("a")).unwrap().unwrap().as_str(), "x");
        assert_eq!(at_once(cache.increment("n", 2)).unwrap(), 2);
        assert!(at_once(cache.add("b", 1_u8)).unwrap());
        assert!(at_once(cache.delete("b")).unwrap());
        at_once(cache.namespace("shop").unwrap().clear()).unwrap();
        assert!(at_once(cache.get_or_load("a", || async { fine("y".to_owned()) })).unwrap().is_hit());
        let error = at_once(cache.get_or_load("c", || async { fine(1_u8) })).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("Tokio runtime"), "{error}");
        let many = at_once(
            cache.get_or_load_many(["d"], |_| async { fine(std::collections::HashMap::<String, u8>::new()) }),
        );
        assert_eq!(many[0].as_ref().unwrap_err().kind(), ErrorKind::Config);
        let scoped = at_once(cache.get_or_load_scoped("c", || async { fine(1_u8) })).unwrap();
        assert_eq!(scoped.source(), Source::Loaded(Kept::Yes));
        assert_eq!(rig.handle.busy_keys(), 0);
    }
}

#[test]
fn without_a_runtime_a_store_that_waits_is_an_error_by_the_real_clock() {
    let clock: Arc<dyn larder_core::Clock> = Arc::new(larder_core::SystemClock::new());
    let rig = Rig::with(Scripted::default(), |b| b.clock(clock));
    rig.store.always("get", Act::Hang);
    rig.store.always("set", Act::Hang);
    let error = at_once(rig.cache.get::<u8>("a")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("Tokio runtime"), "{error}");
    assert_eq!(at_once(rig.cache.set("a", 1_u8)).unwrap_err().kind(), ErrorKind::Config);
    // How far that write came is unknown: the key is deleted before it is served.
    rig.store.calm();
    at_once(rig.store_value("a"));
    assert!(!at_once(rig.cache.has("a")).unwrap());
    assert_eq!(rig.handle.busy_keys(), 0);
}

impl Rig {
    async fn store_value(&self, text: &str) {
        self.plant(text, larder_core::Value::Int(1)).await;
    }
}

async fn mixed(cache: Cache) {
    let tasks: Vec<_> = (0..64_usize)
        .map(|n| {
            let cache = cache.clone();
            tokio::spawn(async move {
                for round in 0..50 {
                    let key = ((n + round) % 8).to_string();
                    match n % 4 {
                        0 => drop(cache.delete(&key).await.unwrap()),
                        1 => drop(
                            cache
                                .get_or_load_scoped(&key, || async {
                                    tokio::task::yield_now().await;
                                    fine("x".to_owned())
                                })
                                .await
                                .unwrap(),
                        ),
                        _ => {
                            let value = cache
                                .get_or_load(&key, || async {
                                    tokio::task::yield_now().await;
                                    fine("x".to_owned())
                                })
                                .await
                                .unwrap();
                            assert_eq!(value.as_str(), "x");
                        }
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_threads_load_and_invalidate_and_leave_nothing() {
    for rig in [Rig::new(), Rig::bytes()] {
        mixed(rig.cache.clone()).await;
        rig.at_rest().await;
    }
}

#[tokio::test]
async fn one_thread_does_too() {
    let rig = Rig::new();
    for operation in ["get", "set", "delete"] {
        rig.store.always(operation, Act::Yield);
    }
    mixed(rig.cache.clone()).await;
    rig.at_rest().await;
}

#[derive(Debug, Default)]
struct Counting(AtomicUsize);

impl Spawn for Counting {
    fn spawn(&self, task: BoxFuture<'static, ()>) -> Result<()> {
        self.0.fetch_add(1, Ordering::SeqCst);
        TokioSpawn.spawn(task)
    }
}

#[derive(Debug)]
struct Refusing;

impl Spawn for Refusing {
    fn spawn(&self, _task: BoxFuture<'static, ()>) -> Result<()> {
        Err(larder_core::Error::new(ErrorKind::Overloaded, "no room"))
    }
}

#[tokio::test]
async fn tasks_start_through_the_seam_and_only_where_needed() {
    let spawn = Arc::new(Counting::default());
    let seam = Arc::clone(&spawn) as Arc<dyn Spawn>;
    let rig = Rig::with(Scripted::default(), |b| b.spawn(seam));
    rig.cache.set("a", 1_u8).await.unwrap();
    rig.cache.get_or_load_scoped("b", || async { fine(1_u8) }).await.unwrap();
    assert_eq!(spawn.0.load(Ordering::SeqCst), 0, "nothing waited");
    rig.cache.get_or_load("c", || async { fine(1_u8) }).await.unwrap();
    assert_eq!(spawn.0.load(Ordering::SeqCst), 1);
    rig.store.once("set", Act::Yield);
    rig.cache.set("a", 2_u8).await.unwrap();
    assert_eq!(spawn.0.load(Ordering::SeqCst), 2);
    rig.cache
        .get_or_load_many(["d", "e"], |_| async { fine(std::collections::HashMap::<String, u8>::new()) })
        .await;
    assert_eq!(spawn.0.load(Ordering::SeqCst), 3);
    rig.at_rest().await;
}

#[tokio::test]
async fn a_seam_that_refuses_is_an_error_that_frees_the_key() {
    let rig = Rig::with(Scripted::default(), |b| b.spawn(Arc::new(Refusing)));
    let error = rig.cache.get_or_load("a", || async { fine(1_u8) }).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Overloaded);
    let many = rig
        .cache
        .get_or_load_many(["b"], |_| async { fine(std::collections::HashMap::<String, u8>::new()) })
        .await;
    assert_eq!(many[0].as_ref().unwrap_err().kind(), ErrorKind::Overloaded);
    assert_eq!(*rig.cache.get_or_load_scoped("a", || async { fine(2_u8) }).await.unwrap(), 2);
    rig.at_rest().await;
}

/// What a delete that was dropped on its way leaves: the old value may still be there, and nobody is served it.
async fn leaves_its_key_unserved(rig: &Rig) {
    assert!(rig.stored("a").await.is_some());
    rig.store.always("delete", Act::Fail(ErrorKind::Unavailable));
    assert!(rig.cache.get::<String>("a").await.unwrap().is_none());
    rig.store.calm();
    assert!(!rig.cache.has("a").await.unwrap());
    assert!(rig.stored("a").await.is_none(), "the read itself settles it");
    assert_eq!(rig.cache.stats().in_doubt, 0);
    rig.at_rest().await;
}

#[tokio::test]
async fn an_invalidation_that_a_seam_refuses_to_carry_on_is_ambiguous_and_leaves_its_key_unserved() {
    let rig = Rig::with(Scripted::default(), |b| b.spawn(Arc::new(Refusing)));
    rig.cache.set("a", "old".to_owned()).await.unwrap();
    rig.store.once("delete", Act::Hang);
    let error = rig.cache.delete("a").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Ambiguous);
    assert!(error.to_string().ends_with(": no room") && !error.is_retryable(), "{error}");
    leaves_its_key_unserved(&rig).await;

    let shop = rig.cache.namespace("shop").unwrap();
    shop.set("a", 1_u8).await.unwrap();
    rig.store.once("clear", Act::Hang);
    assert_eq!(shop.clear().await.unwrap_err().kind(), ErrorKind::Ambiguous);
    assert!(shop.get::<u8>("a").await.unwrap().is_none());
    shop.clear().await.unwrap();
    assert_eq!(rig.cache.stats().in_doubt, 0);
}

#[test]
fn without_a_runtime_a_dropped_invalidation_leaves_its_key_unserved() {
    let rig = Rig::new();
    at_once(rig.cache.set("a", "old".to_owned())).unwrap();
    rig.store.once("delete", Act::Hang);
    {
        let mut delete = pin!(rig.cache.delete("a"));
        let polled = delete.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending());
    }
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(leaves_its_key_unserved(&rig));
}
