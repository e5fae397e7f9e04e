//! What one write, or one load, asks for beyond the cache's defaults.

use std::{fmt, time::Duration};

use crate::{Error, ErrorKind, Result, Timeout};

/// When an entry is loaded again although it is still fresh, behind whoever asks for it, so that nobody waits for it later.
///
/// ```
/// use larder_core::{EarlyRefresh, EntryOptions};
///
/// let at_ninety_percent = EntryOptions::new().early_refresh(EarlyRefresh::After(0.9));
/// let by_chance = EntryOptions::new().early_refresh(EarlyRefresh::XFetch { beta: 1.0 });
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum EarlyRefresh {
    /// Not before it is stale.
    #[default]
    Never,
    /// On the first read after this part of its fresh time, from 0 to 1.
    After(f64),
    /// By chance, which grows towards the end, and sooner the longer the last load took: `XFetch` (Vattani, Chierichetti,
    /// Lowenstein: *Optimal Probabilistic Cache Stampede Prevention*, 2015). It needs nothing shared between processes. An
    /// entry that was set, not loaded, is never refreshed so, since its cost is not known.
    XFetch {
        /// 1 is the optimum of the paper; more refreshes earlier. Finite and over 0.
        beta: f64,
    },
}

/// What one write or load asks for; what is not set is as the cache was [built](crate::CacheBuilder::default_options). A
/// [`Duration`] or a [`Timeout`] converts into it.
///
/// ```
/// use std::time::Duration;
/// use larder_core::{EntryOptions, Timeout};
///
/// let options = EntryOptions::new().timeout(Duration::from_secs(60));
/// assert_eq!(options, Duration::from_secs(60).into());
/// assert_ne!(options, Timeout::Never.into());
/// ```
#[derive(Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct EntryOptions {
    pub(crate) timeout: Option<Timeout>,
    /// Most options are a timeout at most, and pay one pointer for the rest.
    pub(crate) rest: Option<Box<Rest>>,
}

/// What few ask for.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Rest {
    pub(crate) tags: Vec<Box<str>>,
    pub(crate) stale_while_revalidate: Option<Duration>,
    pub(crate) stale_if_error: Option<Duration>,
    pub(crate) soft_timeout: Option<Duration>,
    pub(crate) load_timeout: Option<Duration>,
    pub(crate) early: Option<EarlyRefresh>,
    pub(crate) jitter: Option<f64>,
    pub(crate) none_timeout: Option<Timeout>,
    pub(crate) error_timeout: Option<Duration>,
    pub(crate) error_backoff: Option<Duration>,
    pub(crate) late_tags: Option<bool>,
}

impl EntryOptions {
    /// The longest name of a tag, in bytes.
    pub const MAX_TAG_LEN: usize = 1024;
    /// How many tags an entry may have.
    pub const MAX_TAGS: usize = 128;

    /// The cache's defaults.
    ///
    /// ```
    /// assert_eq!(larder_core::EntryOptions::new(), Default::default());
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// How long the entry is fresh.
    ///
    /// ```
    /// use larder_core::{EntryOptions, Timeout};
    /// let for_ever = EntryOptions::new().timeout(Timeout::Never);
    /// ```
    #[must_use]
    pub fn timeout(mut self, timeout: impl Into<Timeout>) -> Self {
        self.timeout = Some(timeout.into());
        self
    }

    /// Adds a tag: invalidating it invalidates the entry. At least 1 byte and at most
    /// [`MAX_TAG_LEN`](Self::MAX_TAG_LEN), else the operation is an error of kind [`InvalidKey`](ErrorKind::InvalidKey). An
    /// integer with a tag is no counter.
    ///
    /// ```
    /// let options = larder_core::EntryOptions::new().tag("products").tag("product:42");
    /// ```
    #[must_use]
    pub fn tag(self, name: impl Into<Box<str>>) -> Self {
        self.tags([name])
    }

    /// Adds tags; at most [`MAX_TAGS`](Self::MAX_TAGS) in all, with those of the cache. See [`tag`](Self::tag).
    ///
    /// ```
    /// let options = larder_core::EntryOptions::new().tags(["products", "product:42"]);
    /// ```
    #[must_use]
    pub fn tags(self, names: impl IntoIterator<Item = impl Into<Box<str>>>) -> Self {
        self.change(|rest| rest.tags.extend(names.into_iter().map(Into::into)))
    }

    /// For how long after its timeout a load may serve the entry at once and load it again behind. Default: not at all. A
    /// timeout of zero keeps nothing all the same. An integer with such a window is no counter.
    ///
    /// ```
    /// use std::time::Duration;
    /// let options = larder_core::EntryOptions::new()
    ///     .timeout(Duration::from_secs(60))
    ///     .stale_while_revalidate(Duration::from_secs(10));
    /// ```
    #[must_use]
    pub fn stale_while_revalidate(self, window: Duration) -> Self {
        self.change(|rest| rest.stale_while_revalidate = Some(window))
    }

    /// For how long after its timeout the entry may be served where loading it again fails, or is slower than
    /// [`soft_timeout`](Self::soft_timeout). Default: not at all. An integer with such a window is no counter.
    ///
    /// ```
    /// use std::time::Duration;
    /// let options = larder_core::EntryOptions::new()
    ///     .timeout(Duration::from_secs(60))
    ///     .stale_if_error(Duration::from_secs(24 * 3600));
    /// ```
    #[must_use]
    pub fn stale_if_error(self, window: Duration) -> Self {
        self.change(|rest| rest.stale_if_error = Some(window))
    }

    /// How long a caller waits for a load where there is a stale entry to serve instead; the load goes on behind. Default: as
    /// long as the load may take.
    ///
    /// ```
    /// use std::time::Duration;
    /// let options = larder_core::EntryOptions::new()
    ///     .stale_if_error(Duration::from_secs(3600))
    ///     .soft_timeout(Duration::from_millis(100));
    /// ```
    #[must_use]
    pub fn soft_timeout(self, timeout: Duration) -> Self {
        self.change(|rest| rest.soft_timeout = Some(timeout))
    }

    /// How long the load may take: see [`CacheBuilder::load_timeout`](crate::CacheBuilder::load_timeout), the default. Zero
    /// is an error of kind [`Config`](ErrorKind::Config).
    ///
    /// ```
    /// # use std::time::Duration;
    /// let options = larder_core::EntryOptions::new().load_timeout(Duration::from_secs(2));
    /// ```
    #[must_use]
    pub fn load_timeout(self, timeout: Duration) -> Self {
        self.change(|rest| rest.load_timeout = Some(timeout))
    }

    /// When the entry is loaded again although it is fresh. Default: never.
    ///
    /// ```
    /// use larder_core::{EarlyRefresh, EntryOptions};
    /// let options = EntryOptions::new().early_refresh(EarlyRefresh::After(0.8));
    /// ```
    #[must_use]
    pub fn early_refresh(self, early: EarlyRefresh) -> Self {
        self.change(|rest| rest.early = Some(early))
    }

    /// Up to which part of the timeout, from 0 to 1, is taken off by chance, so that what was stored together does not end
    /// together. Default: 0. No entry outlives its timeout by it.
    ///
    /// ```
    /// use std::time::Duration;
    /// let from_54_to_60_seconds = larder_core::EntryOptions::new().timeout(Duration::from_secs(60)).jitter(0.1);
    /// ```
    #[must_use]
    pub fn jitter(self, fraction: f64) -> Self {
        self.change(|rest| rest.jitter = Some(fraction))
    }

    /// How long a `None` is kept; [`Duration::ZERO`]: not at all. Default: like any value. It is not served stale. The timeout
    /// of a [`Loaded`](crate::Loaded) goes over it.
    ///
    /// ```
    /// use std::time::Duration;
    /// let options = larder_core::EntryOptions::new()
    ///     .timeout(Duration::from_secs(3600))
    ///     .none_timeout(Duration::from_secs(5));
    /// ```
    #[must_use]
    pub fn none_timeout(self, timeout: impl Into<Timeout>) -> Self {
        self.change(|rest| rest.none_timeout = Some(timeout.into()))
    }

    /// How long the error of a load is remembered in this process and given to whoever asks for the key, without another load;
    /// at most until this process invalidates the key or a tag that the load asked for. Default: not at all.
    ///
    /// ```
    /// # use std::time::Duration;
    /// let options = larder_core::EntryOptions::new().error_timeout(Duration::from_millis(500));
    /// ```
    #[must_use]
    pub fn error_timeout(self, timeout: Duration) -> Self {
        self.change(|rest| rest.error_timeout = Some(timeout))
    }

    /// After a failed load of an entry that is stale, how long it is served before the next try. Default: 1 s.
    ///
    /// ```
    /// # use std::time::Duration;
    /// let options = larder_core::EntryOptions::new().error_backoff(Duration::from_secs(10));
    /// ```
    #[must_use]
    pub fn error_backoff(self, backoff: Duration) -> Self {
        self.change(|rest| rest.error_backoff = Some(backoff))
    }

    /// Whether the loader may add tags. It costs two reads of the store for each load, which see that no tag was invalidated
    /// before it was known. Default: no, until a loader on this store has added one: that first result is not kept, and from
    /// then on every load is watched so.
    ///
    /// ```
    /// let options = larder_core::EntryOptions::new().late_tags(true);
    /// ```
    #[must_use]
    pub fn late_tags(self, may: bool) -> Self {
        self.change(|rest| rest.late_tags = Some(may))
    }

    fn change(mut self, change: impl FnOnce(&mut Rest)) -> Self {
        change(self.rest.get_or_insert_default());
        self
    }

    pub(crate) fn none_timeout_of(&self) -> Option<Timeout> {
        self.rest.as_ref()?.none_timeout
    }

    /// Whether entries may be refreshed before they are stale.
    #[inline]
    pub(crate) fn refreshes_early(&self) -> bool {
        self.rest.as_ref().and_then(|rest| rest.early).is_some_and(|early| early != EarlyRefresh::Never)
    }

    pub(crate) fn load_timeout_of(&self) -> Option<Duration> {
        self.rest.as_ref()?.load_timeout
    }

    /// Whether nothing is asked for.
    pub(crate) fn is_empty(&self) -> bool {
        self.timeout.is_none() && self.rest.is_none()
    }

    /// The same without what a cache has settings of its own for.
    pub(crate) fn without_timeouts(mut self) -> Self {
        self.timeout = None;
        if let Some(rest) = &mut self.rest {
            rest.load_timeout = None;
        }
        self
    }

    /// An error that names the setting that is out of range, if one is.
    pub(crate) fn check(&self) -> Result<()> {
        self.rest.as_deref().map_or(Ok(()), Rest::check)
    }
}

impl Rest {
    fn check(&self) -> Result<()> {
        let out_of_range = |name: &str, is: f64, must: &str| {
            Err(Error::new(ErrorKind::Config, format!("`{name}` is {is}: it must be {must}")))
        };
        match self.early {
            Some(EarlyRefresh::After(fraction)) if !(0.0..=1.0).contains(&fraction) => {
                return out_of_range("early_refresh", fraction, "after a part from 0 to 1");
            }
            Some(EarlyRefresh::XFetch { beta }) if !(beta.is_finite() && beta > 0.0) => {
                return out_of_range("early_refresh", beta, "by XFetch with a beta over 0 and finite");
            }
            _ => {}
        }
        if let Some(jitter) = self.jitter.filter(|jitter| !(0.0..=1.0).contains(jitter)) {
            return out_of_range("jitter", jitter, "a part from 0 to 1");
        }
        if self.load_timeout.is_some_and(|timeout| timeout.is_zero()) {
            return out_of_range("load_timeout", 0.0, "a positive duration");
        }
        check_tags_len(self.tags.len())?;
        self.tags.iter().try_for_each(|tag| check_tag(tag))
    }
}

/// An error where an entry cannot have so many tags.
pub(crate) fn check_tags_len(are: usize) -> Result<()> {
    let limit = EntryOptions::MAX_TAGS;
    if are > limit {
        return Err(Error::new(ErrorKind::InvalidKey, format!("{are} tags, the limit is {limit}")));
    }
    Ok(())
}

/// An error where `tag` cannot be the name of one.
pub(crate) fn check_tag(tag: &str) -> Result<()> {
    match tag.len() {
        0 => Err(Error::new(ErrorKind::InvalidKey, "a tag is empty")),
        1..=EntryOptions::MAX_TAG_LEN => Ok(()),
        len => Err(Error::new(
            ErrorKind::InvalidKey,
            format!("a tag of {len} bytes, the limit is {}", EntryOptions::MAX_TAG_LEN),
        )),
    }
}

/// Shows what is set.
impl fmt::Debug for EntryOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("EntryOptions");
        if let Some(timeout) = &self.timeout {
            shown.field("timeout", timeout);
        }
        if let Some(rest) = self.rest.as_deref() {
            macro_rules! show {
                ($($field:ident),*) => {
                    $(if let Some(value) = &rest.$field {
                        shown.field(stringify!($field), value);
                    })*
                };
            }
            if !rest.tags.is_empty() {
                shown.field("tags", &rest.tags);
            }
            show!(
                stale_while_revalidate,
                stale_if_error,
                soft_timeout,
                load_timeout,
                early,
                jitter,
                none_timeout,
                error_timeout,
                error_backoff,
                late_tags
            );
        }
        shown.finish()
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
