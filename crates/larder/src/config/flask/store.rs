//! `CACHE_TYPE`, and where the store is.

use larder_core::{Error, Result};

use super::{Variables, config, servers};
use crate::{StoreUrl, settings::shown, suggest};

/// The types there are a store for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    FileSystem,
    Memcached,
    Null,
    Redis,
    RedisCluster,
    RedisSentinel,
    Simple,
}

use Kind::{FileSystem, Memcached, Null, Redis, RedisCluster, RedisSentinel, Simple};

const KINDS: [(&str, Kind); 7] = [
    ("SimpleCache", Simple),
    ("NullCache", Null),
    ("FileSystemCache", FileSystem),
    ("RedisCache", Redis),
    ("RedisSentinelCache", RedisSentinel),
    ("RedisClusterCache", RedisCluster),
    ("MemcachedCache", Memcached),
];

const SASL: &str = "SASL needs the binary protocol of memcached, which is not spoken here; instead: \
                    `MemcachedCache` with ASCII authentication (`memcached -Y`), which reads \
                    `CACHE_MEMCACHED_USERNAME` and `CACHE_MEMCACHED_PASSWORD`";
const OWN_STORE: &str = "there is no such store; instead: one of your own, an implementation of `CacheStore`, \
                         registered by `Registry::register`";
/// Those there is none for, and what replaces them.
const NONE: [(&str, &str); 4] = [
    ("GoogleCloudStorageCache", OWN_STORE),
    ("SASLMemcachedCache", SASL),
    ("SpreadSASLMemcachedCache", SASL),
    ("UWSGICache", OWN_STORE),
];

const ALL_REDIS: &[Kind] = &[Redis, RedisSentinel, RedisCluster];
/// What only some stores read.
const OF_SOME: [(&str, &[Kind], &str); 14] = [
    ("CACHE_DIR", &[FileSystem], "`FileSystemCache`"),
    ("CACHE_MEMCACHED_PASSWORD", &[Memcached], "`MemcachedCache`"),
    ("CACHE_MEMCACHED_SERVERS", &[Memcached], "`MemcachedCache`"),
    ("CACHE_MEMCACHED_USERNAME", &[Memcached], "`MemcachedCache`"),
    ("CACHE_REDIS_CLUSTER", &[RedisCluster], "`RedisClusterCache`"),
    ("CACHE_REDIS_DB", &[Redis, RedisSentinel], "`RedisCache` and `RedisSentinelCache`"),
    ("CACHE_REDIS_HOST", &[Redis], "`RedisCache`"),
    ("CACHE_REDIS_PASSWORD", ALL_REDIS, "the stores of Redis"),
    ("CACHE_REDIS_PORT", &[Redis], "`RedisCache`"),
    ("CACHE_REDIS_SENTINELS", &[RedisSentinel], "`RedisSentinelCache`"),
    ("CACHE_REDIS_SENTINEL_MASTER", &[RedisSentinel], "`RedisSentinelCache`"),
    ("CACHE_REDIS_SENTINEL_PASSWORD", &[RedisSentinel], "`RedisSentinelCache`"),
    ("CACHE_REDIS_URL", &[Redis], "`RedisCache`"),
    ("CACHE_REDIS_USERNAME", ALL_REDIS, "the stores of Redis"),
];

impl Kind {
    /// Refuses what the store it names does not read.
    pub(super) fn read(given: &Variables) -> Result<Self> {
        let known: Vec<_> = KINDS.iter().map(|(name, _)| format!("`{name}`")).collect();
        let known = known.join(", ");
        let Some(text) = given.get("CACHE_TYPE") else {
            return Err(config(format!(
                "`CACHE_TYPE` is not set, and nothing would be kept: set it to one of {known}"
            )));
        };
        let plain = text.strip_prefix("flask_caching.backends.").unwrap_or(text);
        let Some((_, kind)) = KINDS.iter().find(|(name, _)| *name == plain) else {
            return Err(no_such_type(text, plain, &known));
        };
        for (name, kinds, with) in OF_SOME {
            if !kinds.contains(kind) {
                given.only_with(name, with)?;
            }
        }
        Ok(*kind)
    }

    /// Where the store is.
    pub(super) fn url(self, given: &Variables) -> Result<StoreUrl> {
        match self {
            Null => Ok(StoreUrl::from_parts("null", String::new())),
            Simple => Ok(StoreUrl::from_parts("memory", String::new())),
            FileSystem => directory(given),
            Memcached => servers::memcached(given),
            Redis => servers::redis(given),
            RedisCluster => servers::cluster(given),
            RedisSentinel => servers::sentinel(given),
        }
    }

    /// The names that are settings of the store under another name.
    pub(super) fn settings(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Memcached => {
                &[("CACHE_MEMCACHED_USERNAME", "username"), ("CACHE_MEMCACHED_PASSWORD", "password")]
            }
            Redis => &[
                ("CACHE_REDIS_DB", "database"),
                ("CACHE_REDIS_PASSWORD", "password"),
                ("CACHE_REDIS_USERNAME", "username"),
            ],
            RedisCluster => &[("CACHE_REDIS_PASSWORD", "password"), ("CACHE_REDIS_USERNAME", "username")],
            RedisSentinel => &[
                ("CACHE_REDIS_DB", "database"),
                ("CACHE_REDIS_PASSWORD", "password"),
                ("CACHE_REDIS_SENTINEL_PASSWORD", "sentinel_password"),
                ("CACHE_REDIS_USERNAME", "username"),
            ],
            FileSystem | Null | Simple => &[],
        }
    }
}

fn directory(given: &Variables) -> Result<StoreUrl> {
    let Some(directory) = given.get("CACHE_DIR").filter(|directory| !directory.is_empty()) else {
        return Err(config(
            "`CACHE_TYPE=FileSystemCache` needs `CACHE_DIR`, the absolute path of a directory",
        ));
    };
    if !directory.starts_with('/') {
        return Err(config(format!(
            "`CACHE_DIR={}`: `CACHE_DIR` must be absolute: another path depends on where the program is started",
            shown(directory)
        )));
    }
    Ok(StoreUrl::from_parts("file", directory.to_owned()))
}

fn no_such_type(kind: &str, plain: &str, known: &str) -> Error {
    let kind = shown(kind);
    if let Some((_, instead)) = NONE.iter().find(|(name, _)| *name == plain) {
        return config(format!("`CACHE_TYPE={kind}`: {instead}"));
    }
    if plain == "RedisSentinel" {
        return config(format!(
            "`CACHE_TYPE={kind}`: write `RedisSentinelCache`, as Flask-Caching wants it too"
        ));
    }
    if plain.contains('.') {
        return config(format!(
            "`CACHE_TYPE={kind}`: a store of your own is an implementation of `CacheStore`, registered by \
             `Registry::register`; built in are {known}"
        ));
    }
    let hint = suggest::near(plain, KINDS.iter().map(|(name, _)| *name));
    config(format!("`CACHE_TYPE={kind}`: `CACHE_TYPE` must be one of {known}{hint}"))
}
