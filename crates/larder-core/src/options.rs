//! What one write, or one load, asks for beyond the cache's defaults.

use std::{sync::Arc, time::Duration};

use crate::{Cacheable, Timeout};

/// What one write or load asks for. A [`Duration`] or a [`Timeout`] converts into it.
///
/// ```
/// use std::time::Duration;
/// use larder_core::{EntryOptions, Timeout};
///
/// let options = EntryOptions::new().timeout(Duration::from_secs(60));
/// assert_eq!(options, Duration::from_secs(60).into());
/// assert_ne!(options, Timeout::Never.into());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EntryOptions {
    pub(crate) timeout: Timeout,
}

impl EntryOptions {
    /// The cache's defaults.
    ///
    /// ```
    /// assert_eq!(larder_core::EntryOptions::new(), Default::default());
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// How long the entry is kept.
    ///
    /// ```
    /// use larder_core::{EntryOptions, Timeout};
    /// let for_ever = EntryOptions::new().timeout(Timeout::Never);
    /// ```
    #[must_use]
    pub fn timeout(mut self, timeout: impl Into<Timeout>) -> Self {
        self.timeout = timeout.into();
        self
    }
}

impl From<Duration> for EntryOptions {
    fn from(timeout: Duration) -> Self {
        Self::new().timeout(timeout)
    }
}

impl From<Timeout> for EntryOptions {
    fn from(timeout: Timeout) -> Self {
        Self::new().timeout(timeout)
    }
}

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
    pub(crate) timeout: Option<Timeout>,
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
        Self { value, timeout: None, keep: true }
    }

    /// Overrides the timeout that the caller asked for.
    ///
    /// ```
    /// use larder_core::{Loaded, Timeout};
    /// let loaded = Loaded::new(1_u8).timeout(Timeout::Never);
    /// ```
    #[must_use]
    pub fn timeout(mut self, timeout: impl Into<Timeout>) -> Self {
        self.timeout = Some(timeout.into());
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
