//! The shared stores, each on a server of `cargo xtask services` or in a directory of the exam.

use std::{
    env,
    path::{Path, PathBuf},
    sync::Mutex,
    time::Duration,
};

use anyhow::{Context, Result};
use larder_core::{CacheStore, StoreHandle};
use larder_filesystem::FileSystemStore;
use larder_memcached::MemcachedStore;
use larder_postgres::PostgresStore;
use larder_redis::RedisStore;

use crate::{delays::Delayed, kind::Kind};

/// Four processes share two processors: an operation that takes longer than applications want is no failure here.
pub(crate) const PATIENCE: Duration = Duration::from_secs(8);

pub(crate) const STORES: [&str; 6] =
    ["redis", "redis_sentinel", "redis_cluster", "memcached", "postgres", "filesystem"];

/// Where the filesystem store of an exam is.
pub(crate) const PATH: &str = "LARDER_RACE_PATH";

static HERE: Mutex<Option<PathBuf>> = Mutex::new(None);

/// In the parent: where the filesystem store of this trial is. Trials run one after the other.
pub(crate) fn at(directory: &Path) {
    *HERE.lock().unwrap() = Some(directory.join("cache"));
}

/// What [`at`] said, or the parent.
pub(crate) fn path() -> Result<String> {
    match &*HERE.lock().unwrap() {
        Some(path) => Ok(path.to_str().context("temporary paths are text")?.to_owned()),
        None => crate::process::given(PATH),
    }
}

/// Memcached cannot clear.
pub(crate) fn has(store: &str, kind: Kind) -> bool {
    store != "memcached" || kind != Kind::Clear
}

pub(crate) fn variable(name: &str) -> Result<String> {
    env::var(name)
        .with_context(|| format!("{name} is not set: run `cargo xtask test`, or `cargo xtask services up`"))
}

/// A store, with delays around every step where there is a seed for them.
pub(crate) async fn open(store: &str, delays: Option<u64>) -> Result<StoreHandle> {
    Ok(match store {
        "redis" => handle(redis("LARDER_TEST_REDIS")?, delays),
        "redis_sentinel" => handle(redis("LARDER_TEST_REDIS_SENTINEL")?, delays),
        "redis_cluster" => handle(redis("LARDER_TEST_REDIS_CLUSTER")?, delays),
        "memcached" => {
            let url = variable("LARDER_TEST_MEMCACHED")?;
            handle(MemcachedStore::builder(url).operation_timeout(PATIENCE).build()?, delays)
        }
        "postgres" => {
            let url = variable("LARDER_TEST_POSTGRES")?;
            let builder = PostgresStore::builder(&url).table("race").create_table(true).connections(4);
            handle(builder.operation_timeout(PATIENCE).build()?, delays)
        }
        "filesystem" => {
            let path = PathBuf::from(path()?);
            handle(FileSystemStore::builder(path).operation_timeout(PATIENCE).open().await?, delays)
        }
        other => anyhow::bail!("no such store: {other}"),
    })
}

fn redis(name: &str) -> Result<RedisStore> {
    Ok(RedisStore::builder(&variable(name)?).operation_timeout(PATIENCE).build()?)
}

fn handle(store: impl CacheStore, delays: Option<u64>) -> StoreHandle {
    match delays {
        Some(seed) => StoreHandle::new(Delayed::new(store, seed)),
        None => StoreHandle::new(store),
    }
}
