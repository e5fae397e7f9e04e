//! Invalidating by tag, and clearing namespaces.

use std::sync::Arc;

use super::{Cache, inner::Inner, ops::Operation, stamps::ClearBy, write::settle};
use crate::{ErrorKind, Key, Namespace, Operations, Result, flight::Fence};

impl Cache {
    /// Invalidates every entry that has one of these tags, in whatever namespace of this cache. Once this returned `Ok`, none
    /// of them is served again, by any process, no load that began before it can bring one back, and no later caller is
    /// given such a load's result; entries that were computed from tagged ones within a load included.
    ///
    /// Costs two round trips, however many entries there are: they go when they expire. Needs a store with
    /// [`VERSIONS`](Operations::VERSIONS). On an error the tags may or may not be invalidated; this process serves
    /// nothing that has them until that succeeds, which it goes on trying. (More than 10 000 that failed are cleared with
    /// everything that has tags; a store that cannot clear needs caches that all clear by the same stamps for that, or they wait
    /// for a restart.)
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() { example(|cache| async move {
    /// use larder_core::EntryOptions;
    /// cache.set_with("page", "hello".to_owned(), EntryOptions::new().tag("author:ada")).await?;
    /// cache.invalidate_tags(["author:ada"]).await?;
    /// assert!(!cache.has("page").await?);
    /// # Ok(()) }) }
    /// ```
    #[must_use = "a failed invalidation leaves old data: handle its error"]
    pub fn invalidate_tags<S: AsRef<str>>(
        &self,
        tags: impl IntoIterator<Item = S>,
    ) -> impl Future<Output = Result<()>> + Send {
        let tags: Vec<Box<str>> = tags.into_iter().map(|tag| tag.as_ref().into()).collect();
        let inner = Arc::clone(&self.inner);
        async move {
            inner.needs(Operations::VERSIONS, "invalidate_tags")?;
            let stamps: Vec<Key> = tags.iter().map(|tag| inner.tag_key(tag)).collect();
            let work = Arc::clone(&inner);
            inner.to_the_end(async move { work.invalidate_tags(&stamps).await }).await
        }
    }

    /// Removes every entry of this namespace and its children, and nothing else, with the same promise as
    /// [`delete`](Cache::delete). By the store's own `clear`, or by a stamp: see [`ClearBy`].
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() { example(|cache| async move {
    /// let pages = cache.namespace("pages")?;
    /// pages.set("home", "hello".to_owned()).await?;
    /// pages.clear().await?;
    /// assert!(!pages.has("home").await?);
    /// # Ok(()) }) }
    /// ```
    #[must_use = "a failed invalidation leaves old data: handle its error"]
    pub fn clear(&self) -> impl Future<Output = Result<()>> + Send {
        let (inner, namespace) = (Arc::clone(&self.inner), self.namespace.clone());
        async move {
            let work = Arc::clone(&inner);
            match inner.clear_by {
                ClearBy::Store => inner.needs_clear()?,
                ClearBy::Stamps => drop(inner.namespace_stamp(&namespace)?),
            }
            let clear = async move {
                match work.clear_by {
                    ClearBy::Store => work.clear_in_store(&namespace).await,
                    ClearBy::Stamps => work.clear_by_stamp(&namespace).await,
                }
            };
            inner.to_the_end(clear).await
        }
    }
}

impl Inner {
    /// Renews the epoch, then deletes the stamps: a load that learns of a tag late sees that something moved.
    async fn invalidate_tags(self: &Arc<Self>, stamps: &[Key]) -> Result<()> {
        if stamps.is_empty() {
            return Ok(());
        }
        let fence = Fence::around_stamps(&self.handle.flights, stamps);
        let renewed = self.renew_epoch().await;
        // Tried even where the epoch could not be renewed: what can be invalidated is.
        let deleted = self.delete_stamps(stamps).await;
        let ended = renewed.and(deleted);
        settle(fence, &ended, true);
        ended
    }

    async fn delete_stamps(&self, stamps: &[Key]) -> Result<()> {
        self.remembered.forget(stamps);
        let call = self.handle.store.delete_many(stamps);
        let deleted = self.batched(Operation::idempotent("delete_many"), stamps.len(), call).await;
        self.remembered.forget(stamps);
        // Already gone is as good: then no entry holds it.
        deleted.into_iter().find_map(Result::err).map_or(Ok(()), Err)
    }

    /// `clear` by the store itself, fenced from running loads.
    pub(super) async fn clear_in_store(&self, namespace: &Namespace) -> Result<()> {
        let fence = Fence::around_namespace(&self.handle.flights, namespace).await;
        let call = self.handle.store.clear(namespace);
        let cleared = self.bulk(Operation::idempotent("clear"), call).await;
        settle(fence, &cleared, true);
        cleared
    }

    /// The same by the namespace's stamp, which settles no more than the stamp: other caches' entries do not hold it.
    pub(super) async fn clear_by_stamp(&self, namespace: &Namespace) -> Result<()> {
        let stamp = self.namespace_stamp(namespace)?;
        let fence = Fence::around_stamp(&self.handle.flights, namespace, &stamp).await;
        let cleared = self.delete_stamps(&[stamp]).await;
        settle(fence, &cleared, true);
        cleared
    }

    fn needs_clear(&self) -> Result<()> {
        self.needs(Operations::CLEAR, "clear").map_err(|error| {
            crate::Error::new(
                ErrorKind::Unsupported,
                "this store cannot clear: build the cache with `clear_by(ClearBy::Stamps)` (`clear_by = \"stamps\"`)",
            )
            .with_source(error)
        })
    }
}
