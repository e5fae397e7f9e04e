//! The stores whose features are on.

#[cfg(feature = "filesystem")]
pub use larder_filesystem::{Durability, FileSystemStore, FileSystemStoreBuilder};
#[cfg(feature = "null")]
pub use larder_null::NullStore;
#[cfg(feature = "simple")]
pub use larder_simple::{Eviction, SimpleStore, SimpleStoreBuilder};
