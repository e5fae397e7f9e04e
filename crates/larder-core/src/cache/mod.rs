//! The handle an application uses.

mod approach;
mod batch;
mod begin;
mod build;
mod builder;
mod chain;
mod commit;
mod counter;
mod fly;
mod health;
mod held;
mod inner;
mod landing;
mod lease;
mod load;
mod load_many;
mod look;
mod marks;
mod ops;
mod prepare;
mod promises;
mod read;
mod refresh;
mod renewal;
mod replay;
mod round;
mod seat;
mod sharing;
mod stamps;
mod tags;
mod versioned;
mod watch;
mod write;

use std::{fmt, sync::Arc};

use self::inner::Inner;
pub use self::{
    builder::{CacheBuilder, FailurePolicy},
    chain::within_load,
    health::Health,
    load_many::LoadedBatch,
    refresh::Renewed,
    seat::{Leader, Seat},
    stamps::ClearBy,
};
use crate::{Expiry, IntoKey, Key, Namespace, Result, Stats, StoreHandle};

/// A cache: typed values under text keys, over any store.
///
/// Cheap to clone, and not generic over the store: keep one in your application's state. All clones and child namespaces
/// share the store, the counters and the running loads.
///
/// # Failure
///
/// Explicit operations (`get`, `set`, `delete`, ..) return the store's errors; loads (`get_or_load` and its kin) treat a
/// store that fails as one that has nothing, and go on without it. Both can be
/// [changed](CacheBuilder::explicit_errors). Every store operation ends within the
/// [operation timeout](CacheBuilder::operation_timeout).
///
/// # Invalidation
///
/// Once `delete`, `set`, `add`, `increment` or `clear` returned `Ok`, no load that began before it can put its value back,
/// and no caller who comes after it is given one.
///
/// # Cancellation
///
/// Every future may be dropped at any await. A write that reached a store that needs I/O is carried to its end in the
/// background, so that its outcome is not left open.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
/// # fn main() { example(|_| async move {
/// use larder_core::{Cache, Error};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct User { name: String }
///
/// let cache = Cache::new(MapStore::default());
/// let users = cache.namespace("users")?;
/// let ada = users
///     .get_or_load("ada", || async { Ok::<_, Error>(User { name: "Ada".into() }) }) // asks a database, say
///     .await?;
/// assert_eq!(ada.name, "Ada");
/// users.delete("ada").await?;
/// # Ok(()) }) }
/// ```
#[derive(Clone)]
pub struct Cache {
    inner: Arc<Inner>,
    namespace: Namespace,
}

impl Cache {
    /// A cache with the defaults: entries stay 300 s, values are kept as `MessagePack` where a store keeps bytes, and an
    /// operation on the store takes at most 500 ms.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() {
    /// let cache = larder_core::Cache::new(MapStore::default());
    /// # }
    /// ```
    pub fn new(store: impl Into<StoreHandle>) -> Self {
        Self::builder(store).build().expect("the defaults are valid")
    }

    /// A cache with other settings than the defaults.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() {
    /// use std::time::Duration;
    /// use larder_core::Cache;
    /// let cache = Cache::builder(MapStore::default()).default_timeout(Duration::from_secs(60)).build().unwrap();
    /// # }
    /// ```
    pub fn builder(store: impl Into<StoreHandle>) -> CacheBuilder {
        CacheBuilder::new(store.into())
    }

    /// The same cache, for keys within `name`: `clear` and `keys` of the child do not touch the rest. An empty name, or a
    /// path over 96 bytes, is an error of kind [`InvalidKey`](crate::ErrorKind::InvalidKey).
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() { example(|cache| async move {
    /// let (shop, blog) = (cache.namespace("shop")?, cache.namespace("blog")?);
    /// shop.set("1", "hat".to_owned()).await?;
    /// blog.set("1", "post".to_owned()).await?;
    /// shop.clear().await?;
    /// assert!(blog.has("1").await?);
    /// # Ok(()) }) }
    /// ```
    pub fn namespace(&self, name: &str) -> Result<Self> {
        Ok(Self { inner: Arc::clone(&self.inner), namespace: self.namespace.child(name)? })
    }

    /// The namespace that this handle's keys are in.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() { example(|cache| async move {
    /// assert!(cache.path().is_root());
    /// # Ok(()) }) }
    /// ```
    pub fn path(&self) -> &Namespace {
        &self.namespace
    }

    /// The key that an operation on this handle uses for `key`.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() { example(|cache| async move {
    /// assert_eq!(cache.namespace("users")?.key("ada")?.as_str(), "1/users/:ada");
    /// # Ok(()) }) }
    /// ```
    pub fn key(&self, key: impl IntoKey) -> Result<Key> {
        key.into_key(&self.namespace)
    }

    /// The store, for another cache over it.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() { example(|cache| async move {
    /// use larder_core::{Cache, Codec};
    /// let as_json = Cache::builder(cache.store().clone()).codec(Codec::Json).build()?;
    /// # Ok(()) }) }
    /// ```
    pub fn store(&self) -> &StoreHandle {
        &self.inner.handle
    }

    /// How long entries stay where nothing else is asked for.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() { example(|cache| async move {
    /// use std::time::Duration;
    /// assert_eq!(cache.default_expiry(), larder_core::Expiry::After(Duration::from_secs(300)));
    /// # Ok(()) }) }
    /// ```
    pub fn default_expiry(&self) -> Expiry {
        self.inner.default_expiry
    }

    /// The time by this cache's clock.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() { example(|cache| async move {
    /// assert!(cache.now() <= cache.now());
    /// # Ok(()) }) }
    /// ```
    pub fn now(&self) -> crate::Timestamp {
        self.inner.clock.now()
    }

    /// What has been counted since the cache was built, child namespaces included.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() { example(|cache| async move {
    /// assert_eq!(cache.stats().hits, 0);
    /// # Ok(()) }) }
    /// ```
    pub fn stats(&self) -> Stats {
        self.inner.stats()
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("namespace", &self.namespace)
            .field("store", self.inner.handle.store())
            .field("default_expiry", &self.inner.default_expiry)
            .field("codec", &self.inner.codec)
            .finish_non_exhaustive()
    }
}
