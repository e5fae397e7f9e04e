//! What a cache does, on every topology.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use larder::{Cache, EntryOptions, Error};

use crate::topology::{ALL, Topology, unused};

/// Runs it on every topology, one after the other, and says which it was that failed.
async fn on_all<F: Future<Output = larder::Result<()>>>(test: impl Fn(Topology) -> F) {
    for topology in ALL {
        test(topology).await.unwrap_or_else(|error| panic!("{topology:?}: {error}"));
    }
}

#[tokio::test]
async fn values_are_kept_replaced_and_deleted() {
    on_all(|topology| async move {
        let cache = topology.cache().await;
        assert_eq!(cache.get::<String>("k").await?, None, "{topology:?}");
        cache.set("k", "one".to_owned()).await?;
        cache.set("k", "two".to_owned()).await?;
        assert_eq!(
            cache.get::<String>("k").await?.as_deref().map(String::as_str),
            Some("two"),
            "{topology:?}"
        );
        assert!(cache.delete("k").await?, "{topology:?}");
        assert!(!cache.delete("k").await?, "{topology:?}");
        assert_eq!(cache.get::<String>("k").await?, None, "{topology:?}");
        assert_eq!(cache.increment("n", 5).await?, 5, "{topology:?}");
        assert_eq!(cache.increment("n", 2).await?, 7, "{topology:?}");
        Ok(())
    })
    .await;
}

async fn loaded(cache: &Cache, loads: &Arc<AtomicU32>) -> larder::Result<u32> {
    let loads = Arc::clone(loads);
    let load = move || async move { Ok::<_, Error>(loads.fetch_add(1, Ordering::SeqCst) + 1) };
    Ok(*cache.get_or_load_with("loaded", Duration::from_mins(1), load).await?)
}

#[tokio::test]
async fn a_value_is_loaded_once_for_all_processes_until_it_is_deleted() {
    on_all(|topology| async move {
        let prefix = unused();
        // As two processes would: two stores, each with connections of its own.
        let (here, there) = (topology.cache_with(&prefix, "").await, topology.cache_with(&prefix, "").await);
        let loads = Arc::new(AtomicU32::new(0));
        assert_eq!(loaded(&here, &loads).await?, 1, "{topology:?}");
        assert_eq!(loaded(&there, &loads).await?, 1, "{topology:?}");
        assert!(there.delete("loaded").await?, "{topology:?}");
        assert_eq!(loaded(&here, &loads).await?, 2, "{topology:?}");
        assert_eq!(loads.load(Ordering::SeqCst), 2, "{topology:?}");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_tag_is_invalidated_for_all_processes() {
    on_all(|topology| async move {
        let prefix = unused();
        let (here, there) = (topology.cache_with(&prefix, "").await, topology.cache_with(&prefix, "").await);
        here.set_with("tagged", 1_u8, EntryOptions::new().tag("shop")).await?;
        here.set_with("other", 2_u8, EntryOptions::new().tag("blog")).await?;
        assert_eq!(there.get::<u8>("tagged").await?.as_deref(), Some(&1), "{topology:?}");
        there.invalidate_tags(["shop"]).await?;
        assert_eq!(here.get::<u8>("tagged").await?, None, "{topology:?}");
        assert_eq!(here.get::<u8>("other").await?.as_deref(), Some(&2), "{topology:?}");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_namespace_is_cleared_alone() {
    on_all(|topology| async move {
        let cache = topology.cache_with(&unused(), topology.to_clear).await;
        let (pages, users) = (cache.namespace("pages")?, cache.namespace("users")?);
        let inner = pages.namespace("inner")?;
        for (cache, value) in [(&pages, 1_u8), (&users, 2), (&inner, 3)] {
            cache.set("k", value).await?;
        }
        pages.clear().await?;
        assert_eq!(pages.get::<u8>("k").await?, None, "{topology:?}");
        assert_eq!(inner.get::<u8>("k").await?, None, "{topology:?}");
        assert_eq!(users.get::<u8>("k").await?.as_deref(), Some(&2), "{topology:?}");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn two_prefixes_never_meet() {
    on_all(|topology| async move {
        let common = unused();
        let (one, other) = (format!("{common}a"), format!("{common}ab"));
        let (one, other) = (
            topology.cache_with(&one, topology.to_clear).await,
            topology.cache_with(&other, topology.to_clear).await,
        );
        for key in ["k", "b1/k", "a"] {
            one.set(key, 1_u8).await?;
            assert_eq!(other.get::<u8>(key).await?, None, "{topology:?} {key}");
            other.set(key, 2_u8).await?;
            assert_eq!(one.get::<u8>(key).await?.as_deref(), Some(&1), "{topology:?} {key}");
        }
        one.clear().await?;
        assert_eq!(one.get::<u8>("k").await?, None, "{topology:?}");
        assert_eq!(other.get::<u8>("k").await?.as_deref(), Some(&2), "{topology:?}");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn health_and_guarantees_speak_of_the_servers() {
    on_all(|topology| async move {
        let cache = topology.cache_with(&unused(), "&circuit_breaker_minimum_calls=100").await;
        cache.set("k", 1_u8).await?;
        let health = cache.health().await?;
        assert!(!health.circuits.is_empty(), "{topology:?}");
        let guarantees = cache.guarantees();
        let fences_all = |said: &std::borrow::Cow<'_, str>| said.contains("between all processes");
        assert!(guarantees.promises().iter().any(fences_all), "{topology:?}: {guarantees:?}");
        let unguarded = topology.cache_with(&unused(), "&circuit_breaker=false&batching=false").await;
        unguarded.set("k", 1_u8).await?;
        assert_eq!(unguarded.get::<u8>("k").await?.as_deref(), Some(&1), "{topology:?}");
        assert!(unguarded.health().await?.circuits.is_empty(), "{topology:?}");
        Ok(())
    })
    .await;
}
