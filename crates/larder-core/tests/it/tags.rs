//! Tags: entries are served only under the stamps they were made under.

use std::{sync::Arc, time::Duration};

use larder_core::{CacheStore as _, EntryOptions, ErrorKind, Kept, NotKept, Outcome, Result, Source, Value};

use crate::support::{Act, Cluster, Gate, Rig, fine, load_with, settle};

fn tagged() -> EntryOptions {
    EntryOptions::new().timeout(Duration::from_hours(1)).tag("t")
}

async fn loaded(rig: &Rig, value: &'static str) -> (String, Source) {
    let outcome =
        rig.cache.get_or_load_with("a", tagged(), move || async move { fine(value.to_owned()) }).await;
    of(outcome)
}

fn of(outcome: Result<Outcome<String>>) -> (String, Source) {
    let outcome = outcome.unwrap();
    (outcome.to_string(), outcome.source())
}

const LOADED: Source = Source::Loaded(Kept::Yes);

/// The store lets all stamps go, as a full one may. They are kept under keys of Larder's own.
async fn drop_stamps(cluster: &Cluster) {
    for key in cluster.server.keys(&larder_core::Namespace::root()).await.unwrap() {
        if key.as_str().starts_with("1/~/") {
            cluster.server.delete(&key).await.unwrap();
        }
    }
}

#[tokio::test]
async fn what_is_tagged_is_a_hit_until_its_tag_is_invalidated_anywhere() {
    let cluster = Cluster::new();
    let (a, b) = cluster.two();
    assert_eq!(loaded(&a, "one").await.1, LOADED);
    b.cache.set_with("b", "set".to_owned(), tagged().tag("other")).await.unwrap();
    a.cache.set("untagged", "stays".to_owned()).await.unwrap();
    for rig in [&a, &b] {
        assert_eq!(loaded(rig, "x").await, ("one".to_owned(), Source::Hit));
        let found = rig.cache.get_many::<String>(["a", "b", "untagged"]).await;
        assert!(found.iter().all(|found| found.as_ref().unwrap().is_some()));
    }
    b.cache.invalidate_tags(["t"]).await.unwrap();
    for rig in [&a, &b] {
        assert!(rig.cache.get::<String>("a").await.unwrap().is_none());
        assert!(!rig.cache.has("b").await.unwrap());
        let found = rig.cache.get_many::<String>(["a", "b", "untagged"]).await;
        let found: Vec<_> = found.into_iter().map(|found| found.unwrap().is_some()).collect();
        assert_eq!(found, [false, false, true]);
    }
    assert_eq!(loaded(&a, "two").await, ("two".to_owned(), LOADED));
    assert_eq!(loaded(&b, "x").await, ("two".to_owned(), Source::Hit));
    b.cache.invalidate_tags(["other"]).await.unwrap();
    assert_eq!(loaded(&a, "x").await, ("two".to_owned(), Source::Hit), "another tag");
    b.cache.invalidate_tags([""; 0]).await.unwrap();
}

#[tokio::test]
async fn invalidated_during_a_load_its_result_is_for_those_who_came_before() {
    for own in [true, false] {
        let cluster = Cluster::new();
        let (a, b) = cluster.two();
        let (old, new) = (Gate::new(), Gate::new());
        let leader = load_with(&a, "a", tagged(), &old, "old");
        old.reached().await;
        let follower = load_with(&a, "a", tagged(), &old, "unused");
        settle().await;
        if own { &a } else { &b }.cache.invalidate_tags(["t"]).await.unwrap();
        let later = load_with(&a, "a", tagged(), &new, "new");
        new.reached().await;
        old.open();
        assert_eq!(leader.await.unwrap().unwrap().as_str(), "old");
        assert_eq!(follower.await.unwrap().unwrap().as_str(), "old");
        assert!(b.cache.get::<String>("a").await.unwrap().is_none(), "own: {own}");
        new.open();
        assert_eq!(of(later.await.unwrap()), ("new".to_owned(), LOADED));
        assert_eq!(loaded(&b, "x").await, ("new".to_owned(), Source::Hit));
    }
}

#[tokio::test]
async fn a_stamp_that_the_store_let_go_is_a_counted_miss() {
    let cluster = Cluster::new();
    let (a, b) = cluster.two();
    loaded(&a, "one").await;
    drop_stamps(&cluster).await;
    assert!(b.cache.get::<String>("a").await.unwrap().is_none());
    assert_eq!(b.cache.stats().stamps_missing, 1);
    assert_eq!(loaded(&b, "two").await, ("two".to_owned(), LOADED));
    assert_eq!(loaded(&a, "x").await, ("two".to_owned(), Source::Hit));
}

#[tokio::test]
async fn a_stamp_that_cannot_be_read_is_never_a_hit() {
    let cluster = Cluster::new();
    let (a, b) = cluster.two();
    loaded(&a, "one").await;
    // The first read is the entry's, the next its stamp's.
    b.store.once("get", Act::Yield);
    b.store.always("get", Act::Fail(ErrorKind::Unavailable));
    assert_eq!(b.cache.get::<String>("a").await.unwrap_err().kind(), ErrorKind::Unavailable);
    b.store.calm();
    b.store.once("get", Act::Yield);
    b.store.always("get", Act::Fail(ErrorKind::Unavailable));
    let (value, source) = loaded(&b, "two").await;
    assert_eq!(value, "two");
    assert!(
        matches!(source, Source::Loaded(Kept::No(NotKept::StampsUnreadable | NotKept::StoreFailed))),
        "{source:?}"
    );
    b.store.calm();
    assert_eq!(loaded(&b, "x").await, ("one".to_owned(), Source::Hit));
}

#[tokio::test]
async fn a_stamp_lives_on_as_long_as_entries_under_it() {
    let cluster = Cluster::new();
    let a = cluster.process();
    loaded(&a, "one").await;
    for round in 0..5 {
        cluster.clock.advance(Duration::from_mins(50));
        // One of another key every time: the stamp is the same, and is renewed past half of its life.
        let key = format!("other {round}");
        a.cache.set_with(key.as_str(), round, tagged()).await.unwrap();
        cluster.clock.advance(Duration::from_secs(3500));
        assert!(a.cache.has(key.as_str()).await.unwrap(), "round {round}");
        assert_eq!(a.cache.stats().stamps_missing, 0);
    }
}

#[tokio::test]
async fn a_failed_invalidation_is_not_served_from_here_until_it_is_settled() {
    for act in [Act::Fail(ErrorKind::Unavailable), Act::Fail(ErrorKind::Ambiguous)] {
        let cluster = Cluster::new();
        let (a, b) = cluster.two();
        loaded(&a, "one").await;
        a.store.always("delete_many", act.clone());
        a.store.always("delete", act);
        a.cache.invalidate_tags(["t"]).await.unwrap_err();
        assert!(a.cache.get::<String>("a").await.is_err(), "its stamp is not to be believed");
        assert_eq!(loaded(&b, "x").await, ("one".to_owned(), Source::Hit), "elsewhere nobody knows");
        a.store.calm();
        assert!(a.cache.get::<String>("a").await.unwrap().is_none());
        assert!(b.cache.get::<String>("a").await.unwrap().is_none(), "the read has settled it");
        assert_eq!(loaded(&a, "two").await, ("two".to_owned(), LOADED));
    }
}

#[tokio::test]
async fn stamps_may_be_believed_for_a_while() {
    let cluster = Cluster::new();
    let a = cluster.process_with(|builder| builder.stamp_staleness(Duration::from_secs(1)));
    let b = cluster.process();
    loaded(&a, "one").await;
    assert_eq!(loaded(&a, "x").await.1, Source::Hit);
    a.store.take_calls();
    assert_eq!(loaded(&a, "x").await.1, Source::Hit);
    assert_eq!(a.store.take_calls(), [("get", 1)], "no read of its stamp");
    b.cache.invalidate_tags(["t"]).await.unwrap();
    assert_eq!(loaded(&a, "x").await.1, Source::Hit, "as the setting says");
    cluster.clock.advance(Duration::from_secs(2));
    assert_eq!(loaded(&a, "two").await, ("two".to_owned(), LOADED));
    // What this process invalidates it knows at once, whatever is being read meanwhile.
    cluster.clock.advance(Duration::from_secs(2));
    let gate = Gate::new();
    a.store.once("get", Act::Yield);
    a.store.once("get", Act::HoldAfter(Arc::clone(&gate)));
    let cache = a.cache.clone();
    let reading = tokio::spawn(async move { cache.get::<String>("a").await });
    gate.reached().await;
    a.cache.invalidate_tags(["t"]).await.unwrap();
    gate.open();
    drop(reading.await.unwrap().unwrap());
    assert!(a.cache.get::<String>("a").await.unwrap().is_none());
}

#[tokio::test]
async fn tags_are_those_of_the_cache_and_need_versions() {
    let rig =
        Rig::with(crate::support::Scripted::without(larder_core::Operations::VERSIONS), |builder| builder);
    let unsupported = ErrorKind::Unsupported;
    assert_eq!(rig.cache.invalidate_tags(["t"]).await.unwrap_err().kind(), unsupported);
    assert_eq!(rig.cache.set_with("a", 1, tagged()).await.unwrap_err().kind(), unsupported);
    let cluster = Cluster::new();
    let (a, b) = (cluster.process(), cluster.process_with(|builder| builder.namespace("other")));
    loaded(&a, "one").await;
    b.cache.invalidate_tags(["t"]).await.unwrap();
    assert_eq!(loaded(&a, "x").await.1, Source::Hit);
    let child = a.cache.namespace("child").unwrap();
    child.set_with("c", 1, tagged()).await.unwrap();
    assert!(
        matches!(cluster.stored(&child, "c").await, Some(Value::Bytes(_))),
        "a counter could hold no stamp"
    );
    a.cache.invalidate_tags(["t"]).await.unwrap();
    assert!(!child.has("c").await.unwrap());
}

#[tokio::test]
async fn an_entry_that_is_touched_takes_its_stamps_along() {
    let cluster = Cluster::new();
    let a = cluster.process();
    a.cache.set_with("session", "..".to_owned(), tagged().timeout(Duration::from_mins(5))).await.unwrap();
    assert!(a.cache.touch("session", Duration::from_hours(24)).await.unwrap());
    cluster.clock.advance(Duration::from_hours(23));
    assert!(a.cache.has("session").await.unwrap(), "its stamp has to live as long as it does");
    a.cache.invalidate_tags(["t"]).await.unwrap();
    assert!(!a.cache.touch("session", Duration::from_hours(24)).await.unwrap());
    assert!(!a.cache.has("session").await.unwrap());
}

#[tokio::test]
async fn a_none_that_is_kept_for_long_has_stamps_that_last_as_long() {
    let a = Cluster::new().process();
    let options = tagged().timeout(Duration::from_secs(5)).none_timeout(Duration::from_hours(24));
    let found = a.cache.get_or_load_with("a", options, || async { fine(None::<String>) }).await.unwrap();
    assert_eq!(found.source(), LOADED);
    a.clock.advance(Duration::from_hours(23));
    assert!(a.cache.has("a").await.unwrap());
}

#[tokio::test]
async fn the_stamps_of_many_entries_are_read_in_one_call() {
    let cluster = Cluster::new();
    let a = cluster.process();
    for key in ["a", "b", "c"] {
        let options = tagged().tags(["all", key]);
        a.cache.set_with(key, key.to_owned(), options).await.unwrap();
    }
    a.store.take_calls();
    let found = a.cache.get_many::<String>(["a", "b", "c", "d"]).await;
    assert_eq!(found.iter().filter(|found| found.as_ref().unwrap().is_some()).count(), 3);
    assert_eq!(a.store.take_calls(), [("get_many", 2)], "the entries, then every stamp once");
    let unused =
        |_: Vec<String>| async { Err::<std::collections::HashMap<String, String>, _>("not asked for") };
    let found = a.cache.get_or_load_many(["a", "b", "c"], unused).await;
    assert!(found.iter().all(|found| found.as_ref().unwrap().as_ref().unwrap().is_hit()));
    assert_eq!(a.store.take_calls(), [("get_many", 2)]);
    a.cache.invalidate_tags(["b"]).await.unwrap();
    let found = a.cache.get_many::<String>(["a", "b", "c"]).await;
    let found: Vec<_> = found.into_iter().map(|found| found.unwrap().is_some()).collect();
    assert_eq!(found, [true, false, true]);
}
