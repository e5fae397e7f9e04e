//! The one-line way to a cache.

use larder_core::{Cache, Result};

use crate::Registry;

/// The cache that a URL describes: the scheme says which store, settings follow.
///
/// | URL | feature | store | its settings |
/// |---|---|---|---|
/// | `file:///var/cache/app` | `filesystem` | `FileSystemStore` | `max_entries`, `max_bytes`, `durability`, `sweep_every` |
/// | `memcached://a,b:11211,c*2` | `memcached` | `MemcachedStore` | `prefix`, `lanes`, `rehash`, .. |
/// | `memory://` | `simple` | `SimpleStore` | `max_entries`, `max_bytes`, `eviction` |
/// | `null://` | `null` | `NullStore` | `warn` |
/// | `postgres://user@host/database` | `postgres` | `PostgresStore` | `table`, `create_table`, `prefix`, `sslmode`, .. |
/// | `redis://host:6379/0` | `redis` | `RedisStore` | `prefix`, `wait_replicas`, `read_from`, .. |
///
/// [`docs::configuration`](crate::docs::configuration) has all URLs (TLS, Unix sockets, Sentinel, clusters) and settings, with those of every cache, such as `timeout=5m` and
/// `namespace=shop`. To read them from a file or the environment see [`CacheConfig`](crate::CacheConfig), for stores of
/// others [`Registry`].
///
/// Each call makes a new cache with a store of its own; share a [`Cache`] by cloning it.
///
/// # Errors
///
/// Of kind [`Config`](crate::ErrorKind::Config): no URL, an unknown scheme, one whose feature is off, and a setting that is
/// unknown, given twice or out of range. The error names it and what is allowed, and never holds a password.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> larder::Result<()> {
/// # #[cfg(feature = "simple")] {
/// let cache = larder::connect("memory://?max_entries=10000&timeout=5m").await?;
/// cache.set("greeting", "hello".to_owned()).await?;
/// # }
/// let error = larder::connect("memory://?max_entires=10").await.unwrap_err();
/// # #[cfg(feature = "simple")]
/// assert!(error.to_string().contains("did you mean `max_entries`?"));
/// # Ok(()) }
/// ```
pub async fn connect(url: &str) -> Result<Cache> {
    Registry::with_defaults().connect(url).await
}
