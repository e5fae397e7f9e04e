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
    /// Most entries have neither stamps nor a lease, and pay one pointer for that.
    pub(crate) fencing: Option<Arc<Fencing>>,
}

/// The parts of an entry that fence loads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fencing {
    pub(crate) stamps: Vec<Stamp>,
    pub(crate) lease: Option<Lease>,
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
            fencing: None,
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
        self.fencing.as_deref()?.lease.as_ref()
    }

    /// The stamps the entry was made under.
    pub(crate) fn stamps(&self) -> &[Stamp] {
        self.fencing.as_deref().map_or(&[], |fencing| &fencing.stamps)
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
}

/// The right to load a key and store the result, void once the key is invalidated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lease {
    pub(crate) nonce: [u8; 16],
    pub(crate) deadline: Timestamp,
}
