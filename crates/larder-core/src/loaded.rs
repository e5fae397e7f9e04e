//! What a loader returns.

use std::{sync::Arc, time::Duration};

use crate::{Cacheable, EntryOptions, Timeout};

/// A loaded value with what its loader has to say about keeping it. A loader returns this, or just the value.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
/// # fn main() { example(|cache| async move {
/// use std::time::Duration;
/// use larder_core::{Error, Loaded};
///
/// let price = cache
///     .get_or_load("price", || async {
///         let (price, valid_for) = (42_u32, Duration::from_secs(5)); // from the answer of some service
///         Ok::<_, Error>(Loaded::new(price).timeout(valid_for))
///     })
///     .await?;
/// assert_eq!(*price, 42);
/// # Ok(()) }) }
/// ```
#[derive(Clone, Debug)]
pub struct Loaded<T> {
    pub(crate) value: Arc<T>,
    pub(crate) options: EntryOptions,
    pub(crate) keep: bool,
}

impl<T> Loaded<T> {
    /// A value to be kept as the caller asked.
    ///
    /// ```
    /// let loaded = larder_core::Loaded::new("value");
    /// ```
    pub fn new(value: T) -> Self {
        Self::shared(Arc::new(value))
    }

    /// The same for a value that is behind a pointer already.
    ///
    /// ```
    /// use std::sync::Arc;
    /// let loaded = larder_core::Loaded::shared(Arc::new("value"));
    /// ```
    pub fn shared(value: Arc<T>) -> Self {
        Self { value, options: EntryOptions::new(), keep: true }
    }

    /// Overrides the timeout that the caller asked for, and any [`none_timeout`](EntryOptions::none_timeout).
    ///
    /// ```
    /// use larder_core::{Loaded, Timeout};
    /// let loaded = Loaded::new(1_u8).timeout(Timeout::Never);
    /// ```
    #[must_use]
    pub fn timeout(self, timeout: impl Into<Timeout>) -> Self {
        self.change(|options| options.timeout(timeout))
    }

    /// Adds a tag that the value turned out to have.
    ///
    /// ```
    /// let loaded = larder_core::Loaded::new(1_u8).tag("product:42");
    /// ```
    #[must_use]
    pub fn tag(self, name: impl Into<Box<str>>) -> Self {
        self.change(|options| options.tag(name))
    }

    /// Adds tags that the value turned out to have.
    ///
    /// ```
    /// let loaded = larder_core::Loaded::new(1_u8).tags(["product:42", "brand:7"]);
    /// ```
    #[must_use]
    pub fn tags(self, names: impl IntoIterator<Item = impl Into<Box<str>>>) -> Self {
        self.change(|options| options.tags(names))
    }

    /// Overrides how long the value may be served stale while it is loaded again.
    ///
    /// ```
    /// # use std::time::Duration;
    /// let loaded = larder_core::Loaded::new(1_u8).stale_while_revalidate(Duration::from_secs(5));
    /// ```
    #[must_use]
    pub fn stale_while_revalidate(self, window: Duration) -> Self {
        self.change(|options| options.stale_while_revalidate(window))
    }

    /// Overrides how long the value may be served stale where loading it again fails.
    ///
    /// ```
    /// # use std::time::Duration;
    /// let loaded = larder_core::Loaded::new(1_u8).stale_if_error(Duration::from_secs(3600));
    /// ```
    #[must_use]
    pub fn stale_if_error(self, window: Duration) -> Self {
        self.change(|options| options.stale_if_error(window))
    }

    /// Sets everything the loader has to say at once, instead of what was said before. What is not set stays as the caller
    /// asked; tags are added to the caller's.
    ///
    /// ```
    /// use std::time::Duration;
    /// use larder_core::{EntryOptions, Loaded};
    /// let loaded = Loaded::new(1_u8).with_options(EntryOptions::new().jitter(0.1).tag("prices"));
    /// let shorter = Loaded::new(1_u8).with_options(Duration::from_secs(1));
    /// ```
    #[must_use]
    pub fn with_options(mut self, options: impl Into<EntryOptions>) -> Self {
        self.options = options.into();
        self
    }

    fn change(mut self, change: impl FnOnce(EntryOptions) -> EntryOptions) -> Self {
        self.options = change(self.options);
        self
    }

    /// Gives the value to those who wait for it, and keeps nothing.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() { example(|cache| async move {
    /// use larder_core::{Error, Loaded};
    /// let draft = cache.get_or_load("draft", || async { Ok::<_, Error>(Loaded::new(1_u8).do_not_keep()) }).await?;
    /// assert_eq!(*draft, 1);
    /// assert!(!cache.has("draft").await?);
    /// # Ok(()) }) }
    /// ```
    #[must_use]
    pub fn do_not_keep(mut self) -> Self {
        self.keep = false;
        self
    }
}

/// What a loader may return: the value itself, or a [`Loaded`].
///
/// ```
/// use larder_core::{IntoLoaded, Loaded};
/// fn both() -> (Loaded<u8>, Loaded<u8>) {
///     (1.into_loaded(), Loaded::new(1).into_loaded())
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "a loader cannot return `{Self}`",
    note = "return a value that derives `serde::Serialize` and `serde::Deserialize`, or a `larder::Loaded` of one"
)]
pub trait IntoLoaded {
    /// What is cached.
    type Value: Cacheable;

    /// The value with its options.
    ///
    /// ```
    /// use larder_core::{IntoLoaded, Loaded};
    /// let loaded: Loaded<u8> = 7.into_loaded();
    /// ```
    fn into_loaded(self) -> Loaded<Self::Value>;
}

impl<T: Cacheable> IntoLoaded for T {
    type Value = T;

    fn into_loaded(self) -> Loaded<T> {
        Loaded::new(self)
    }
}

impl<T: Cacheable> IntoLoaded for Loaded<T> {
    type Value = T;

    fn into_loaded(self) -> Self {
        self
    }
}
