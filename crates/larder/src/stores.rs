//! The stores whose features are on.

#[cfg(feature = "filesystem")]
pub use larder_filesystem::{Durability, FileSystemStore, FileSystemStoreBuilder};
#[cfg(feature = "memcached")]
pub use larder_memcached::{MemcachedStore, MemcachedStoreBuilder};
#[cfg(feature = "null")]
pub use larder_null::NullStore;
#[cfg(feature = "postgres")]
pub use larder_postgres::{
    MIGRATION as POSTGRES_MIGRATION, PostgresStore, PostgresStoreBuilder, SslMode, deadpool_postgres,
};
#[cfg(feature = "redis")]
pub use larder_redis::{OnRollback, ReadFrom, RedisStore, RedisStoreBuilder, fred};
#[cfg(feature = "simple")]
pub use larder_simple::{Eviction, SimpleStore, SimpleStoreBuilder};
