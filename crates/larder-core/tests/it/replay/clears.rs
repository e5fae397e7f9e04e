//! Failed clears are replayed as they were meant, whichever of the caches over the store does it.

use std::time::Duration;

use larder_core::{Cache, ClearBy, EntryOptions, ErrorKind, Operations};

use super::pass;
use crate::support::{Act, Rig, Scripted};

const LONG: Duration = Duration::from_secs(5);

#[tokio::test]
async fn a_clear_by_the_store_is_not_replayed_by_stamps() {
    let rig =
        Rig::with(Scripted::default(), |builder| builder.namespace("stamped").clear_by(ClearBy::Stamps));
    for path in ["plain", "stamped"] {
        // One beside the stamped cache, one in its own namespace: neither holds stamps.
        let plain = Cache::builder(rig.handle.clone()).namespace(path).build().unwrap();
        plain.set("a", "old".to_owned()).await.unwrap();
        rig.store.once("clear", Act::Fail(ErrorKind::Unavailable));
        plain.clear().await.unwrap_err();
        assert!(!plain.has("a").await.unwrap());
        pass(&rig, LONG).await;
        assert_eq!(rig.cache.stats().in_doubt, 0, "{path}");
        assert!(!plain.has("a").await.unwrap(), "{path}");
    }
    rig.at_rest().await;
}

#[tokio::test]
async fn a_clear_by_stamps_is_replayed_by_a_cache_that_has_none() {
    let rig = Rig::with(Scripted::without(Operations::CLEAR), |builder| builder.namespace("plain"));
    let stamped =
        Cache::builder(rig.handle.clone()).namespace("s").clear_by(ClearBy::Stamps).build().unwrap();
    stamped.set("a", "old".to_owned()).await.unwrap();
    rig.store.always("delete_many", Act::Fail(ErrorKind::Unavailable));
    rig.store.always("delete", Act::Fail(ErrorKind::Unavailable));
    stamped.clear().await.unwrap_err();
    assert!(!matches!(stamped.get::<String>("a").await, Ok(Some(_))));
    assert_eq!(rig.cache.stats().in_doubt, 1);
    rig.store.calm();
    pass(&rig, LONG).await;
    assert_eq!(rig.cache.stats().in_doubt, 0);
    assert!(!stamped.has("a").await.unwrap());
    stamped.set("a", "new".to_owned()).await.unwrap();
    assert!(stamped.has("a").await.unwrap());
    rig.at_rest().await;
}

/// Fails so many invalidations of tags that they are in doubt as one.
async fn fail_many(rig: &Rig, cache: &Cache) {
    cache.set_with("a", "old".to_owned(), EntryOptions::new().tag("10000")).await.unwrap();
    rig.store.once("delete_many", Act::Fail(ErrorKind::Unavailable));
    cache.invalidate_tags((0..=10_000).map(|tag| tag.to_string())).await.unwrap_err();
    assert!(!matches!(cache.get::<String>("a").await, Ok(Some(_))));
}

#[tokio::test]
async fn too_many_failed_tags_are_replayed_as_a_clear_of_the_whole_cache() {
    let rig = Rig::with(Scripted::without(Operations::CLEAR), |builder| builder.clear_by(ClearBy::Stamps));
    fail_many(&rig, &rig.cache).await;
    pass(&rig, LONG).await;
    assert_eq!(rig.cache.stats().in_doubt, 0);
    assert!(!rig.cache.has("a").await.unwrap());
    rig.at_rest().await;
}

#[tokio::test]
async fn and_not_as_a_clear_of_another_cache() {
    let rig = Rig::with(Scripted::without(Operations::CLEAR), |builder| {
        builder.namespace("first").clear_by(ClearBy::Stamps)
    });
    let other =
        Cache::builder(rig.handle.clone()).namespace("other").clear_by(ClearBy::Stamps).build().unwrap();
    fail_many(&rig, &other).await;
    pass(&rig, LONG).await;
    assert!(!matches!(other.get::<String>("a").await, Ok(Some(_))), "a clear of `first` does not settle it");
    rig.at_rest().await;
}
