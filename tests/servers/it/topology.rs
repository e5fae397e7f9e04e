//! The servers that `cargo xtask test` starts, and URLs for them.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::SystemTime,
};

use larder::Cache;

/// One way to run a store's servers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Topology {
    /// Behind `LARDER_TEST_`.
    name: &'static str,
    /// What its URL needs beside what the variable says.
    settings: &'static str,
    /// What it needs besides to clear a namespace.
    pub(crate) to_clear: &'static str,
}

const fn topology(name: &'static str, settings: &'static str) -> Topology {
    Topology { name, settings, to_clear: "" }
}

/// memcached cannot list keys, so namespaces are cleared by stamps, which counters cannot hold.
const fn memcached(name: &'static str) -> Topology {
    Topology { name, settings: "operation_timeout=10s&connect_timeout=10s", to_clear: "&clear_by=stamps" }
}

// What takes longest on a busy machine is a first connection; the operations wait for it.
const REDIS: &str = "operation_timeout=10s&connect_timeout=10s";
const POSTGRES: &str = "operation_timeout=10s&connect_timeout=10s&create_table=true";

pub(crate) const ALL: [Topology; 12] = [
    topology("REDIS", REDIS),
    topology("REDIS_UNIX", REDIS),
    topology("REDIS_TLS", REDIS),
    topology("REDIS_SENTINEL", REDIS),
    topology("REDIS_CLUSTER", REDIS),
    memcached("MEMCACHED"),
    memcached("MEMCACHED_THREE"),
    memcached("MEMCACHED_UNIX"),
    memcached("MEMCACHED_TLS"),
    topology("POSTGRES", POSTGRES),
    topology("POSTGRES_TLS", POSTGRES),
    topology("PGBOUNCER", POSTGRES),
];

/// Those that the demonstration site runs on.
pub(crate) const OF_THE_SITE: [Topology; 3] =
    [topology("REDIS", REDIS), memcached("MEMCACHED_THREE"), topology("POSTGRES", POSTGRES)];

impl Topology {
    /// A cache that nobody had before.
    pub(crate) async fn cache(self) -> Cache {
        self.cache_with(&unused(), "").await
    }

    /// The cache with this prefix.
    pub(crate) async fn cache_with(self, prefix: &str, settings: &str) -> Cache {
        let variable = format!("LARDER_TEST_{}", self.name);
        let url = std::env::var(&variable).unwrap_or_else(|_| {
            panic!("{variable} is not set: run `cargo xtask test`, or `cargo xtask services up`")
        });
        let separator = if url.contains('?') { '&' } else { '?' };
        let url = format!("{url}{separator}prefix={prefix}&{}{settings}", self.settings);
        larder::connect(&url).await.unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }
}

/// A prefix that no test has had, on servers that outlive the tests.
pub(crate) fn unused() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos();
    format!("{now:x}.{}:", COUNT.fetch_add(1, Ordering::Relaxed))
}
