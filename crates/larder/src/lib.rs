//! Application caching for Rust: one [`Cache`] handle, any store, correct under concurrency.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> larder::Result<()> {
//! # #[cfg(feature = "simple")] {
//! use std::time::Duration;
//!
//! let cache = larder::connect("memory://?max_entries=10000").await?;
//!
//! // Computed once, however many ask for it at the same time; then kept for a minute.
//! let user = cache
//!     .get_or_load_with("user:7", Duration::from_secs(60), || async { Ok::<_, larder::Error>("Ada".to_owned()) })
//!     .await?;
//! assert_eq!(*user, "Ada");
//!
//! // Once this has returned, no load that began before it can bring the old value back.
//! cache.delete("user:7").await?;
//! # }
//! # Ok(()) }
//! ```
//!
//! [`connect`] opens a cache by URL, [`CacheConfig`] from a file or the environment
//! ([every setting](docs::configuration)), [`Cache::builder`] from code over a store of [`stores`] or your own
//! ([`CacheStore`]). The `tower` feature adds a layer that caches whole HTTP responses.
//!
//! # Features
//!
//! | feature | default | what it adds |
//! |---|---|---|
//! | `simple` | yes | `SimpleStore`, `memory://`: values kept in this process |
//! | `null` | | `NullStore`, `null://`: keeps nothing |
//! | `filesystem` | | `FileSystemStore`, `file://`: values kept in a directory, across restarts |
//! | `redis` | | `RedisStore`, `redis://`: Redis alone, behind Sentinel, as a cluster |
//! | `memcached` | | `MemcachedStore`, `memcached://`: a ring of memcached servers |
//! | `postgres` | | `PostgresStore`, `postgres://`: a table of PostgreSQL |
//! | `toml` | | configuration from TOML files: `CacheConfig::from_file` |
//! | `tower` | | `larder::tower`: a layer that caches HTTP responses |
//! | `tracing` | | events of the cache as `tracing` events |
//! | `metrics` | | hits, misses, loads and errors as metrics |
//! | `full` | | all of these |
#![cfg_attr(docsrs, feature(doc_cfg))]

mod builtin;
mod config;
mod connect;
pub mod docs;
mod registry;
mod settings;
pub mod stores;
mod suggest;
mod url;

#[cfg(feature = "metrics")]
pub use larder_core::MetricsObserver;
#[cfg(feature = "tracing")]
pub use larder_core::TracingObserver;
pub use larder_core::{
    Batching, BoxError, BoxFuture, Cache, CacheBuilder, CacheStore, Cacheable, Capabilities, Circuit,
    CircuitBreaker, CircuitState, ClearBy, Clock, Coalesce, Codec, EarlyRefresh, EntryMeta, EntryOptions,
    Error, ErrorKind, Event, EvictionCause, Expiry, FailurePolicy, Guarantees, Hazard, Health, IntoKey,
    IntoLoaded, Kept, Key, Leader, Loaded, LoadedBatch, ManualClock, Namespace, NotKept, Object, Observer,
    Operations, Outcome, Random, Renewed, Result, Seat, SeededRandom, Source, Spawn, StaleWhy, Stats,
    StoreEvents, StoreHandle, StoreHandleBuilder, SystemClock, SystemRandom, Timeout, Timestamp, TokioSpawn,
    Value, Version, Weakness, async_trait, within_load,
};
#[cfg(feature = "filesystem")]
pub use larder_filesystem::FileSystemStore;
#[cfg(feature = "memcached")]
pub use larder_memcached::MemcachedStore;
#[cfg(feature = "null")]
pub use larder_null::NullStore;
#[cfg(feature = "postgres")]
pub use larder_postgres::PostgresStore;
#[cfg(feature = "redis")]
pub use larder_redis::RedisStore;
#[cfg(feature = "simple")]
pub use larder_simple::{Eviction, SimpleStore};
#[cfg(feature = "tower")]
pub use larder_tower as tower;

pub use crate::{
    config::{CacheConfig, CachesConfig},
    connect::connect,
    registry::{Registry, StoreFactory},
    url::StoreUrl,
};

/// The code in the README is compiled and run.
#[cfg(all(doctest, feature = "simple"))]
#[doc = include_str!("../README.md")]
struct ReadmeDoctests;
