//! What is computed from a value that its load did not keep goes with that value's tags all the same.

use std::{sync::Arc, time::Duration};

use larder_core::{Cache, EntryOptions, Error, ErrorKind, Kept, Loaded, NotKept, Outcome, Result, Source};

use crate::support::{Act, Cluster, Gate, Rig, fine, load_with, settle};

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn rigs() -> [Rig; 2] {
    [Rig::new(), Cluster::new().process()]
}

fn tagged() -> EntryOptions {
    EntryOptions::new().timeout(secs(60)).tag("inner")
}

fn kept(outcome: Result<Outcome<String>>) -> Kept {
    match outcome.unwrap().source() {
        Source::Loaded(kept) => kept,
        other => panic!("{other:?}"),
    }
}

/// `outer`, computed from `inner`, which is this.
async fn outer(cache: &Cache, options: EntryOptions, inner: Loaded<String>) -> Kept {
    let from = cache.clone();
    let loader = move || async move {
        let inner = from.get_or_load_with("inner", options, || async { fine(inner) }).await?;
        Ok::<_, Error>(format!("from {}", *inner))
    };
    kept(cache.get_or_load("outer", loader).await)
}

#[tokio::test]
async fn by_a_load_that_waited_in_vain_for_another() {
    for rig in rigs() {
        let gate = Gate::new();
        let patient = EntryOptions::new().load_timeout(Duration::from_mins(10));
        let slow = load_with(&rig, "inner", patient, &gate, "slow");
        gate.reached().await;
        let cache = rig.cache.clone();
        let outer = tokio::spawn(async move {
            let from = cache.clone();
            let loader = move || async move {
                let options = tagged().load_timeout(secs(1));
                let inner = from.refresh("inner", options, || async { fine("inner".to_owned()) }).await?;
                assert_eq!(inner.source(), Source::Loaded(Kept::No(NotKept::LoadedElsewhere)));
                Ok::<_, Error>(format!("from {}", *inner))
            };
            cache.get_or_load("outer", loader).await
        });
        for _ in 0..10 {
            settle().await;
            rig.clock.advance(Duration::from_millis(100));
        }
        assert_eq!(kept(outer.await.unwrap()), Kept::Yes);
        rig.cache.invalidate_tags(["inner"]).await.unwrap();
        assert!(!rig.cache.has("outer").await.unwrap());
        gate.open();
        slow.await.unwrap().unwrap();
        rig.at_rest().await;
    }
}

#[tokio::test]
async fn by_a_load_that_asked_for_more_time_than_its_tag_had_and_lost_it() {
    for rig in rigs() {
        let gate = Gate::new();
        let (cache, held) = (rig.cache.clone(), Arc::clone(&gate));
        let outer = tokio::spawn(async move {
            let from = cache.clone();
            let loader = move || async move {
                let load = move || async move {
                    held.pass().await;
                    fine(Loaded::new("old".to_owned()).timeout(Duration::from_hours(9)))
                };
                let inner = from.get_or_load_with("inner", tagged(), load).await?;
                Ok::<_, Error>(format!("from {}", *inner))
            };
            cache.get_or_load("outer", loader).await
        });
        gate.reached().await;
        rig.cache.invalidate_tags(["inner"]).await.unwrap();
        gate.open();
        assert_eq!(kept(outer.await.unwrap()), Kept::No(NotKept::Invalidated));
        assert!(!rig.cache.has("outer").await.unwrap());
        rig.at_rest().await;
    }
}

#[tokio::test]
async fn by_a_load_that_says_not_to_keep_it_and_names_a_tag() {
    for rig in rigs() {
        // The first time nobody watches for tags that become known late.
        for expected in [Kept::No(NotKept::StampsUnreadable), Kept::Yes] {
            let loaded = Loaded::new("inner".to_owned()).tag("late").do_not_keep();
            assert_eq!(outer(&rig.cache, EntryOptions::new(), loaded).await, expected);
            rig.cache.invalidate_tags(["late"]).await.unwrap();
            assert!(!rig.cache.has("outer").await.unwrap(), "{expected:?}");
        }
        rig.at_rest().await;
    }
}

#[tokio::test]
async fn by_a_load_that_says_not_to_keep_it_and_whose_stamps_cannot_be_read() {
    for rig in rigs() {
        rig.store.always("get_versioned", Act::Fail(ErrorKind::Unavailable));
        let loaded = Loaded::new("inner".to_owned()).do_not_keep();
        let unreadable = Kept::No(NotKept::StampsUnreadable);
        assert_eq!(outer(&rig.cache, tagged(), loaded).await, unreadable);
        rig.at_rest().await;
    }
}

#[tokio::test]
async fn by_a_load_that_failed_and_found_another_value_there() {
    for rig in rigs() {
        let gate = Gate::new();
        let stale = tagged().stale_if_error(secs(3600));
        rig.cache.set_with("inner", "old".to_owned(), stale.clone()).await.unwrap();
        rig.clock.advance(secs(61));
        let (cache, held) = (rig.cache.clone(), Arc::clone(&gate));
        let outer = tokio::spawn(async move {
            let from = cache.clone();
            let loader = move || async move {
                let load = move || async move {
                    held.pass().await;
                    Err::<String, _>("the source is down")
                };
                let inner = from.get_or_load_with("inner", stale, load).await?;
                Ok::<_, Error>(format!("from {}", *inner))
            };
            cache.get_or_load("outer", loader).await
        });
        gate.reached().await;
        rig.cache.set_with("inner", "new".to_owned(), EntryOptions::new().tag("other")).await.unwrap();
        gate.open();
        assert_eq!(outer.await.unwrap().unwrap().as_str(), "from new");
        assert!(rig.cache.has("outer").await.unwrap());
        rig.cache.invalidate_tags(["other"]).await.unwrap();
        assert!(!rig.cache.has("outer").await.unwrap());
        rig.at_rest().await;
    }
}
