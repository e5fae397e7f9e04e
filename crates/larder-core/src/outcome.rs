//! What a load tells its caller besides the value.

use std::{fmt, ops::Deref, sync::Arc, time::Duration};

/// Why a loaded value was not kept. Its callers have it all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NotKept {
    /// The loader [said so](crate::Loaded::do_not_keep).
    Requested,
    /// The key, or a tag or namespace of it, was invalidated while the load ran; or its lease ended before it did.
    Invalidated,
    /// The store failed, or refused the value; see the cache's events for the error.
    StoreFailed,
    /// The value is larger than the cache's [`max_value_bytes`](crate::CacheBuilder::max_value_bytes), or than the store
    /// takes. The store is well.
    TooLarge,
    /// An earlier write or invalidation of unknown outcome may still appear under the key.
    InDoubt,
    /// The load was not shared, because another one gave up on this key, or as [`Coalesce::Off`](crate::Coalesce::Off)
    /// says.
    Unshared,
    /// Another process, or an earlier load in this one, loads the key and took too long.
    LoadedElsewhere,
    /// The stamps of its tags or namespaces could not be read, so that nobody could have invalidated it.
    StampsUnreadable,
    /// Its loader named a tag, and some tag was invalidated while it ran (or nobody watched, which the first such load
    /// changes; see [`EntryOptions::late_tags`](crate::EntryOptions::late_tags)).
    LateTags,
}

/// Why a stale value was served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StaleWhy {
    /// It is being loaded again, here or in another process.
    Refreshing,
    /// The load failed, now or a moment ago.
    LoadFailed,
    /// The load takes longer than the soft timeout; it goes on.
    SlowLoad,
}

/// Whether the store has a loaded value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kept {
    /// It is in the store.
    Yes,
    /// It is not, and why.
    No(NotKept),
}

/// Where a value came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Source {
    /// The store had it, fresh.
    Hit,
    /// This call loaded it.
    Loaded(Kept),
    /// A load that was running already gave it.
    Joined(Kept),
    /// The store had it, stale.
    #[non_exhaustive]
    Stale {
        /// For how long it has been.
        since: Duration,
        /// Why it was served all the same.
        why: StaleWhy,
    },
}

/// A value, and where it came from. It dereferences to the value.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
/// # fn main() { example(|cache| async move {
/// use larder_core::{Error, Kept, Source};
///
/// let load = || async { Ok::<_, Error>("expensive".to_owned()) };
/// let first = cache.get_or_load("report", load).await?;
/// assert_eq!(first.source(), Source::Loaded(Kept::Yes));
/// let second = cache.get_or_load("report", load).await?;
/// assert!(second.is_hit());
/// assert_eq!(second.len(), 9); // a method of the value
/// # Ok(()) }) }
/// ```
#[derive(Debug)]
pub struct Outcome<T> {
    value: Arc<T>,
    source: Source,
}

impl<T> Outcome<T> {
    pub(crate) fn new(value: Arc<T>, source: Source) -> Self {
        Self { value, source }
    }

    /// The value.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() { example(|cache| async move {
    /// # use larder_core::Error;
    /// let one = cache.get_or_load("one", || async { Ok::<_, Error>(1_u8) }).await?;
    /// assert_eq!(**one.value(), 1);
    /// # Ok(()) }) }
    /// ```
    pub fn value(&self) -> &Arc<T> {
        &self.value
    }

    /// The value, without the rest.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() { example(|cache| async move {
    /// # use larder_core::Error;
    /// let one = cache.get_or_load("one", || async { Ok::<_, Error>(1_u8) }).await?.into_value();
    /// assert_eq!(*one, 1);
    /// # Ok(()) }) }
    /// ```
    pub fn into_value(self) -> Arc<T> {
        self.value
    }

    /// Where it came from.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() { example(|cache| async move {
    /// # use larder_core::{Error, Kept, Source};
    /// let one = cache.get_or_load("one", || async { Ok::<_, Error>(1_u8) }).await?;
    /// assert_eq!(one.source(), Source::Loaded(Kept::Yes));
    /// # Ok(()) }) }
    /// ```
    pub fn source(&self) -> Source {
        self.source
    }

    /// Whether the store had it, fresh.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() { example(|cache| async move {
    /// # use larder_core::Error;
    /// cache.set("one", 1_u8).await?;
    /// assert!(cache.get_or_load("one", || async { Ok::<_, Error>(2_u8) }).await?.is_hit());
    /// # Ok(()) }) }
    /// ```
    pub fn is_hit(&self) -> bool {
        self.source == Source::Hit
    }
}

/// Copies a pointer.
impl<T> Clone for Outcome<T> {
    fn clone(&self) -> Self {
        Self { value: Arc::clone(&self.value), source: self.source }
    }
}

impl<T> Deref for Outcome<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: fmt::Display> fmt::Display for Outcome<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}
