//! Entry metadata: when stored, when stale, when gone, under which stamps, and whose lease.

use std::{fmt, sync::Arc, time::Duration};

use crate::{Expiry, Timestamp};

/// What Larder knows of an entry besides its value.
///
/// ```
/// use std::time::Duration;
/// use larder_core::{EntryMeta, Expiry, Timestamp};
///
/// let now = Timestamp::from_nanos(1_000);
/// let meta = EntryMeta::new(now, Expiry::After(Duration::from_nanos(50)));
/// assert_eq!(meta.created(), now);
/// assert_eq!(meta.expires_at(), Timestamp::from_nanos(1_050));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EntryMeta {
    pub(crate) created: Timestamp,
    /// `Timestamp::MAX` where the entry is fresh until it expires.
    pub(crate) stale_at: Timestamp,
    pub(crate) expires_at: Timestamp,
    /// In microseconds, saturating: a load of over an hour is long enough for every use of this.
    pub(crate) cost: u32,
    /// Most entries have none, and pay one pointer for that. Never empty: there is one form of each entry.
    pub(crate) extras: Option<Arc<Extras>>,
}

/// What only some entries have: the parts that fence loads, and a window of serving stale.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Extras {
    pub(crate) stamps: Vec<Stamp>,
    pub(crate) lease: Option<Lease>,
    /// Until when the stale entry is served without waiting for its load; past `stale_at`.
    pub(crate) revalidate_until: Option<Timestamp>,
}

impl EntryMeta {
    /// The metadata of an entry made at `now`.
    ///
    /// ```
    /// use larder_core::{EntryMeta, Expiry, Timestamp};
    /// let meta = EntryMeta::new(Timestamp::from_nanos(1), Expiry::Never);
    /// assert_eq!(meta.expires_at(), Timestamp::MAX);
    /// ```
    pub fn new(now: Timestamp, expiry: Expiry) -> Self {
        Self {
            created: now,
            stale_at: Timestamp::MAX,
            expires_at: expiry.deadline(now),
            cost: 0,
            extras: None,
        }
    }

    /// Records how long the value took to load.
    ///
    /// ```
    /// use std::time::Duration;
    /// use larder_core::{EntryMeta, Expiry, Timestamp};
    /// let meta = EntryMeta::new(Timestamp::from_nanos(1), Expiry::Never).with_cost(Duration::from_millis(3));
    /// assert_eq!(meta.cost(), Duration::from_millis(3));
    /// ```
    #[must_use]
    pub fn with_cost(mut self, cost: Duration) -> Self {
        self.cost = u32::try_from(cost.as_micros()).unwrap_or(u32::MAX);
        self
    }

    /// When the value was made, by the clock of the process that made it.
    ///
    /// ```
    /// # use larder_core::{EntryMeta, Expiry, Timestamp};
    /// let meta = EntryMeta::new(Timestamp::from_nanos(9), Expiry::Never);
    /// assert_eq!(meta.created().as_nanos(), 9);
    /// ```
    pub fn created(&self) -> Timestamp {
        self.created
    }

    /// When the entry stops being fresh: its expiry, or earlier where it may be served stale after that.
    ///
    /// ```
    /// # use larder_core::{EntryMeta, Expiry, Timestamp};
    /// let meta = EntryMeta::new(Timestamp::from_nanos(9), Expiry::Never);
    /// assert_eq!(meta.stale_at(), Timestamp::MAX);
    /// ```
    #[inline]
    pub fn stale_at(&self) -> Timestamp {
        self.stale_at.min(self.expires_at)
    }

    /// When the entry may never be served again; [`Timestamp::MAX`] for never.
    ///
    /// ```
    /// # use larder_core::{EntryMeta, Expiry, Timestamp};
    /// assert_eq!(EntryMeta::new(Timestamp::from_nanos(9), Expiry::Never).expires_at(), Timestamp::MAX);
    /// ```
    #[inline]
    pub fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// How long the value took to load, to the microsecond and at most 71 minutes; zero where it was set.
    ///
    /// ```
    /// # use larder_core::{EntryMeta, Expiry, Timestamp};
    /// assert!(EntryMeta::new(Timestamp::from_nanos(9), Expiry::Never).cost().is_zero());
    /// ```
    #[inline]
    pub fn cost(&self) -> Duration {
        Duration::from_micros(u64::from(self.cost))
    }

    /// The lease on the entry, held while some process loads its value.
    pub(crate) fn lease(&self) -> Option<&Lease> {
        self.extras.as_deref()?.lease.as_ref()
    }

    /// The stamps the entry was made under.
    pub(crate) fn stamps(&self) -> &[Stamp] {
        self.extras.as_deref().map_or(&[], |extras| &extras.stamps)
    }

    /// Until when the entry, once stale, is served without waiting for its load; where there is no such time, when it
    /// becomes stale.
    pub(crate) fn revalidate_until(&self) -> Timestamp {
        let until = self.extras.as_deref().and_then(|extras| extras.revalidate_until);
        until.map_or(self.stale_at(), |until| until.min(self.expires_at))
    }

    /// The same with these extras, or none where they say nothing.
    pub(crate) fn with_extras(mut self, extras: Extras) -> Self {
        self.extras = (extras != Extras::default()).then(|| Arc::new(extras));
        self
    }

    /// The same under another lease, or none.
    pub(crate) fn with_lease(self, lease: Option<Lease>) -> Self {
        self.changed(|extras| extras.lease = lease)
    }

    /// The same, made under other stamps.
    pub(crate) fn with_stamps(self, stamps: Vec<Stamp>) -> Self {
        self.changed(|extras| extras.stamps = stamps)
    }

    /// The same with other times to be stale and gone at. A time to revalidate until that is not past `stale_at` is none.
    pub(crate) fn with_windows(
        mut self,
        stale_at: Timestamp,
        revalidate_until: Timestamp,
        expires_at: Timestamp,
    ) -> Self {
        self.stale_at = stale_at;
        self.expires_at = expires_at;
        self.changed(|extras| {
            extras.revalidate_until = Some(revalidate_until).filter(|until| *until > stale_at);
        })
    }

    /// The same value, fresh for `expiry` from now on, with windows as long as they were; and when its store may drop it.
    pub(crate) fn renewed(&self, now: Timestamp, expiry: Expiry) -> (Self, Expiry) {
        let stale_at = expiry.deadline(now);
        let window = self.expires_at.saturating_since(self.stale_at());
        let Expiry::After(fresh) = expiry else {
            return (self.clone().with_windows(Timestamp::MAX, Timestamp::MAX, Timestamp::MAX), expiry);
        };
        if window.is_zero() || fresh.is_zero() {
            return (self.clone().with_windows(Timestamp::MAX, Timestamp::MAX, stale_at), expiry);
        }
        let revalidate = self.revalidate_until().saturating_since(self.stale_at());
        let expiry = Expiry::After(fresh.saturating_add(window));
        let revalidate_until = stale_at.saturating_add(revalidate);
        (self.clone().with_windows(stale_at, revalidate_until, expiry.deadline(now)), expiry)
    }

    fn changed(self, change: impl FnOnce(&mut Extras)) -> Self {
        let mut extras = self.extras.as_deref().cloned().unwrap_or_default();
        change(&mut extras);
        self.with_extras(extras)
    }
}

/// A random mark of a tag or namespace. An entry is valid while every stamp it was made under is unchanged.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) of: StampOf,
    pub(crate) mark: [u8; 16],
}

impl fmt::Debug for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}={:032x}", self.of, u128::from_be_bytes(self.mark))
    }
}

/// What a stamp marks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StampOf {
    /// A tag, by name.
    Tag(Box<str>),
    /// A clearable ancestor: how many components of the key's path it has.
    Namespace(u8),
    /// A tag or namespace of another entry, which this one was computed from: the key that its stamp is kept under.
    Elsewhere(Box<str>),
}

/// The right to load a key and store the result, void once the key is invalidated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lease {
    pub(crate) nonce: [u8; 16],
    pub(crate) deadline: Timestamp,
}
