//! The layer.

use std::sync::Arc;

use larder_core::{Cache, Error, ErrorKind, Key, Result, Timestamp};
use tower_layer::Layer;

use crate::{CacheLayerBuilder, CacheService, RequestHead, recent::Recent, request, rules::Rules};

/// A [`tower` layer](tower_layer::Layer) that caches whole responses in a [`Cache`].
///
/// Cloning is cheap, and clones share everything. What is stored and what is not stands in the [crate](crate)'s
/// documentation.
///
/// ```
/// use std::time::Duration;
/// use axum::{Router, routing::get};
/// use larder_core::Cache;
/// use larder_simple::SimpleStore;
/// use larder_tower::CacheLayer;
///
/// let layer = CacheLayer::builder(Cache::new(SimpleStore::new())).timeout(Duration::from_secs(60)).build()?;
/// let app: Router = Router::new().route("/", get(|| async { "slow" })).layer(layer);
/// # Ok::<(), larder_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct CacheLayer {
    shared: Arc<Shared>,
}

/// What all services of one layer share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) cache: Cache,
    pub(crate) rules: Rules,
    pub(crate) recent: Recent,
}

impl Shared {
    pub(crate) fn now(&self) -> Timestamp {
        self.cache.now()
    }
}

impl CacheLayer {
    /// Starts a layer over a cache; give the cache a namespace of its own, so that it can be cleared alone.
    ///
    /// ```
    /// use larder_core::Cache;
    /// use larder_simple::SimpleStore;
    /// let pages = Cache::new(SimpleStore::new()).namespace("pages")?;
    /// let layer = larder_tower::CacheLayer::builder(pages).build()?;
    /// # Ok::<(), larder_core::Error>(())
    /// ```
    pub fn builder(cache: Cache) -> CacheLayerBuilder {
        CacheLayerBuilder::new(cache)
    }

    pub(crate) fn new(cache: Cache, rules: Rules) -> Self {
        let shared = Shared { cache, rules, recent: Recent::new() };
        Self { shared: Arc::new(shared) }
    }

    /// The cache that the responses are in, for `clear` and `stats`.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> larder_core::Result<()> {
    /// # use {larder_core::Cache, larder_simple::SimpleStore, larder_tower::CacheLayer};
    /// let layer = CacheLayer::builder(Cache::new(SimpleStore::new()).namespace("pages")?).build()?;
    /// layer.cache().clear().await?;
    /// # Ok(()) }
    /// ```
    pub fn cache(&self) -> &Cache {
        &self.shared.cache
    }

    /// The key under which the response to a GET of this target is stored; `None` if it has none.
    ///
    /// Only what is in the key is looked at: the method, credentials and personal cookies of `head` do not matter, so that
    /// the head of the POST that changed something will do.
    ///
    /// ```
    /// # use {larder_core::Cache, larder_simple::SimpleStore, larder_tower::CacheLayer};
    /// let layer = CacheLayer::builder(Cache::new(SimpleStore::new())).build()?;
    /// let head = |uri| http::Request::post(uri).body(()).unwrap().into_parts().0;
    /// assert!(layer.key_for(&head("http://example.org/")).is_some());
    /// assert!(layer.key_for(&head("/without/a/host")).is_none());
    /// # Ok::<(), larder_core::Error>(())
    /// ```
    pub fn key_for(&self, head: &RequestHead) -> Option<Key> {
        self.key(head).ok()
    }

    /// Removes the response to a GET of this target; `true` if there was one. As [`key_for`](CacheLayer::key_for), it looks
    /// only at what is in the key.
    ///
    /// A handler that is filling the entry right now does not undo it. The store's errors are returned; a target that
    /// has no key is one of kind [`InvalidKey`](ErrorKind::InvalidKey).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> larder_core::Result<()> {
    /// # use {larder_core::Cache, larder_simple::SimpleStore, larder_tower::CacheLayer};
    /// let layer = CacheLayer::builder(Cache::new(SimpleStore::new())).build()?;
    /// let head = http::Request::get("http://example.org/menu").body(()).unwrap().into_parts().0;
    /// assert!(!layer.invalidate(&head).await?); // it was not there
    /// # Ok(()) }
    /// ```
    #[must_use = "a failed invalidation leaves an old response to be served"]
    pub fn invalidate(&self, head: &RequestHead) -> impl Future<Output = Result<bool>> + Send + 'static {
        let key = self.key(head);
        let cache = self.shared.cache.clone();
        async move { cache.delete(&key?).await }
    }

    fn key(&self, head: &RequestHead) -> Result<Key> {
        let text = request::entry_key(&self.shared.rules, head).map_err(|reason| {
            Error::new(ErrorKind::InvalidKey, format!("requests like this one have no entry: {reason}"))
        })?;
        self.shared.cache.key(text.as_str())
    }
}

impl<S> Layer<S> for CacheLayer {
    type Service = CacheService<S>;

    fn layer(&self, inner: S) -> CacheService<S> {
        CacheService::new(inner, Arc::clone(&self.shared))
    }
}
