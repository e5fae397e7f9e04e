//! How long loads may take, and what is remembered of those that came to nothing.

use std::{
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use larder_core::{EntryOptions, ErrorKind, Kept, Source};

use crate::support::{Cluster, Gate, Rig, Scripted, fine, load_with, settle, until};

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn rigs() -> [Rig; 2] {
    [Rig::new(), Cluster::new().process()]
}

struct Flag(Arc<AtomicUsize>);

impl Drop for Flag {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn past_its_deadline_a_load_is_dropped_and_its_key_is_free() {
    for rig in rigs() {
        let dropped = Arc::new(AtomicUsize::new(0));
        let (cache, flag) = (rig.cache.clone(), Flag(Arc::clone(&dropped)));
        let hanging = tokio::spawn(async move {
            let loader = || async move {
                let _flag = flag;
                std::future::pending::<()>().await;
                fine(1_u8)
            };
            cache.get_or_load_with("a", EntryOptions::new().load_timeout(secs(2)), loader).await
        });
        settle().await;
        rig.clock.advance(secs(1));
        settle().await;
        assert!(!hanging.is_finished());
        rig.clock.advance(secs(1));
        let error = hanging.await.unwrap().unwrap_err();
        assert!(error.to_string().contains("2s"), "{error}");
        rig.at_rest().await;
        until(|| dropped.load(Ordering::SeqCst) == 1).await;
        settle().await;
        let next = rig.cache.get_or_load("a", || async { fine(2_u8) }).await.unwrap();
        assert_eq!((*next, next.source()), (2, Source::Loaded(Kept::Yes)));
        assert_eq!((rig.cache.stats().load_errors, rig.cache.stats().loads), (1, 1));
    }
}

#[tokio::test]
async fn an_error_is_told_for_as_long_as_asked_unless_the_key_is_deleted() {
    for rig in rigs() {
        let options = EntryOptions::new().error_timeout(secs(5));
        let tries = Arc::new(AtomicUsize::new(0));
        let failing = async || {
            let tries = Arc::clone(&tries);
            let loader = || async move {
                tries.fetch_add(1, Ordering::SeqCst);
                Err::<u8, _>(std::io::Error::other("no rows"))
            };
            rig.cache.get_or_load_with("a", options.clone(), loader).await.unwrap_err()
        };
        for _ in 0..3 {
            assert!(failing().await.downcast_ref::<std::io::Error>().is_some());
        }
        assert_eq!(tries.load(Ordering::SeqCst), 1);
        assert!(
            rig.cache
                .get_or_load_many(["a"], |_| async { fine(std::collections::HashMap::<_, u8>::new()) })
                .await[0]
                .is_err()
        );
        rig.clock.advance(secs(6));
        failing().await;
        assert_eq!(tries.load(Ordering::SeqCst), 2);
        rig.cache.delete("a").await.unwrap();
        failing().await;
        assert_eq!(tries.load(Ordering::SeqCst), 3, "a delete forgets it");
        // What was loaded since is what counts.
        rig.cache.refresh("a", EntryOptions::new().timeout(secs(1)), || async { fine(1_u8) }).await.unwrap();
        rig.clock.advance(secs(2));
        failing().await;
        assert_eq!(tries.load(Ordering::SeqCst), 4);
    }
}

#[tokio::test]
async fn the_error_of_a_load_that_was_invalidated_is_not_remembered() {
    let rig = Rig::new();
    let options = EntryOptions::new().error_timeout(secs(5));
    let gate = Gate::new();
    let (cache, held, asked) = (rig.cache.clone(), Arc::clone(&gate), options.clone());
    let failing = tokio::spawn(async move {
        let loader = || async move {
            held.pass().await;
            Err::<u8, _>("no rows")
        };
        cache.get_or_load_with("a", asked, loader).await
    });
    gate.reached().await;
    rig.cache.delete("a").await.unwrap();
    gate.open();
    failing.await.unwrap().unwrap_err();
    assert_eq!(*rig.cache.get_or_load_with("a", options, || async { fine(1_u8) }).await.unwrap(), 1);
}

#[tokio::test]
async fn nothing_may_be_kept_for_a_shorter_time() {
    for rig in rigs() {
        let options = EntryOptions::new().timeout(secs(100)).stale_if_error(secs(100)).none_timeout(secs(5));
        let load = async |value: Option<String>| {
            let loader = move || async move { fine(value) };
            rig.cache.get_or_load_with("a", options.clone(), loader).await.unwrap()
        };
        assert_eq!(load(None).await.source(), Source::Loaded(Kept::Yes));
        rig.clock.advance(secs(4));
        assert!(load(Some("x".to_owned())).await.is_hit());
        rig.clock.advance(secs(2));
        assert_eq!(load(Some("x".to_owned())).await.source(), Source::Loaded(Kept::Yes));
        rig.clock.advance(secs(90));
        assert!(load(None).await.is_hit());
        let at_all = EntryOptions::new().none_timeout(Duration::ZERO);
        rig.cache.get_or_load_with("b", at_all, || async { fine(None::<u8>) }).await.unwrap();
        assert!(!rig.cache.has("b").await.unwrap());
    }
}

/// Holds a thread until it is let go.
#[derive(Default)]
struct Block(Mutex<bool>, Condvar);

impl Block {
    fn wait(&self) {
        let open = self.0.lock().unwrap();
        drop(self.1.wait_while(open, |open| !*open).unwrap());
    }

    fn open(&self) {
        *self.0.lock().unwrap() = true;
        self.1.notify_all();
    }
}

#[tokio::test]
async fn a_loader_that_blocks_runs_on_counted_and_capped() {
    let rig = Rig::with(Scripted::default(), |builder| builder.max_detached(2));
    let block = Arc::new(Block::default());
    let blocking = |key: &'static str| {
        let (cache, block) = (rig.cache.clone(), Arc::clone(&block));
        tokio::spawn(async move {
            let options = EntryOptions::new().load_timeout(secs(1));
            let loader = move || {
                block.wait();
                fine(key.to_owned())
            };
            cache.get_or_load_blocking(key, options, loader).await
        })
    };
    let (one, two) = (blocking("one"), blocking("two"));
    until(|| rig.cache.stats().detached == 2).await;
    settle().await;
    let full = blocking("three").await.unwrap().unwrap_err();
    assert_eq!(full.kind(), ErrorKind::Load);
    assert!(full.to_string().contains("max_detached"), "{full}");
    rig.clock.advance(secs(2));
    for caller in [one, two] {
        assert_eq!(caller.await.unwrap().unwrap_err().kind(), ErrorKind::Load);
    }
    rig.at_rest().await;
    assert_eq!(rig.cache.stats().detached, 2, "they cannot be dropped");
    block.open();
    while rig.cache.stats().detached > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(*blocking("one").await.unwrap().unwrap(), "one");
    let panicking = rig.cache.get_or_load_blocking("p", EntryOptions::new(), || {
        assert!(std::hint::black_box(false), "out of cheese");
        fine(1_u8)
    });
    assert_eq!(panicking.await.unwrap_err().kind(), ErrorKind::Load);
    assert_eq!(rig.cache.stats().detached, 0, "its place is free");
}

#[tokio::test]
async fn a_slow_load_without_a_stale_entry_is_waited_for() {
    let rig = Rig::new();
    let gate = Gate::new();
    let options = EntryOptions::new().soft_timeout(Duration::from_millis(10));
    let caller = load_with(&rig, "a", options, &gate, "new");
    gate.reached().await;
    rig.clock.advance(secs(5));
    settle().await;
    assert!(!caller.is_finished());
    gate.open();
    assert_eq!(caller.await.unwrap().unwrap().as_str(), "new");
}

#[tokio::test]
async fn the_error_of_a_load_is_forgotten_with_its_tags() {
    for rig in rigs() {
        let options = EntryOptions::new().error_timeout(secs(60)).tag("t");
        let load = async |answer: Result<u8, &'static str>| {
            rig.cache.get_or_load_with("a", options.clone(), move || async move { answer }).await
        };
        load(Err("no rows")).await.unwrap_err();
        rig.cache.invalidate_tags(["other"]).await.unwrap();
        load(Ok(1)).await.unwrap_err();
        rig.cache.invalidate_tags(["t"]).await.unwrap();
        assert_eq!(*load(Ok(1)).await.unwrap(), 1);
    }
}

#[tokio::test]
async fn a_load_that_ran_out_of_time_is_remembered_as_one_that_failed() {
    // Several times, as those who wait and the load itself find out in whatever order.
    for how in ["alone", "batch", "scoped"].into_iter().cycle().take(30) {
        for rig in rigs() {
            let options = EntryOptions::new().load_timeout(secs(2)).error_timeout(secs(5));
            let tries = Arc::new(AtomicUsize::new(0));
            let ask = || {
                let (cache, tries, options) = (rig.cache.clone(), Arc::clone(&tries), options.clone());
                tokio::spawn(async move {
                    let hangs = move || {
                        tries.fetch_add(1, Ordering::SeqCst);
                        std::future::pending::<Result<u8, std::convert::Infallible>>()
                    };
                    match how {
                        "alone" => cache.get_or_load_with("a", options, hangs).await.map(drop),
                        "scoped" => cache.get_or_load_scoped_with("a", options, hangs).await.map(drop),
                        _ => {
                            let batch = move |_| {
                                let found = hangs();
                                async { found.await.map(|_| std::collections::HashMap::<String, u8>::new()) }
                            };
                            cache.get_or_load_many_with(["a"], options, batch).await.remove(0).map(drop)
                        }
                    }
                })
            };
            let first = ask();
            settle().await;
            rig.clock.advance(secs(2));
            assert!(first.await.unwrap().unwrap_err().to_string().contains("load_timeout"), "{how}");
            let second = ask();
            settle().await;
            assert!(second.is_finished(), "{how}: it is loaded again");
            assert!(second.await.unwrap().unwrap_err().to_string().contains("load_timeout"), "{how}");
            assert_eq!((tries.load(Ordering::SeqCst), rig.cache.stats().load_errors), (1, 1), "{how}");
        }
    }
}

#[tokio::test]
async fn a_load_in_the_caller_waits_and_runs_within_one_load_timeout() {
    let cluster = Cluster::new();
    let (a, b) = cluster.two();
    let gate = Gate::new();
    let elsewhere = crate::support::load(&a, "a", &gate, "slow");
    gate.reached().await;
    let (cache, began) = (b.cache.clone(), b.cache.now());
    let hangs = tokio::spawn(async move {
        let options = EntryOptions::new().load_timeout(secs(2));
        cache.get_or_load_scoped_with("a", options, std::future::pending::<Result<String, &str>>).await
    });
    assert_eq!(cluster.end(hangs).await.unwrap_err().kind(), ErrorKind::Load);
    let took = b.cache.now().saturating_since(began);
    assert!(took <= secs(2), "{took:?}");
    gate.open();
    cluster.end(elsewhere).await.unwrap();
}
