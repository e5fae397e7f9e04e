//! What a store can do, as data.

use std::{fmt, ops::BitOr, time::Duration};

/// A set of the operations that a store may leave out.
///
/// ```
/// use larder_core::Operations;
///
/// let some = Operations::INCREMENT | Operations::CLEAR;
/// assert!(some.contains(Operations::CLEAR));
/// assert!(!some.contains(Operations::VERSIONS));
/// assert!(Operations::ALL.contains(some));
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Operations(u16);

impl Operations {
    /// None of them: `get`, `set` and `delete` alone.
    pub const NONE: Self = Self(0);
    /// `get_versioned`, `add` and `replace`.
    pub const VERSIONS: Self = Self(1);
    /// `increment`.
    pub const INCREMENT: Self = Self(1 << 1);
    /// `touch`.
    pub const TOUCH: Self = Self(1 << 2);
    /// `expiry`.
    pub const EXPIRY: Self = Self(1 << 3);
    /// `clear`.
    pub const CLEAR: Self = Self(1 << 4);
    /// `keys`.
    pub const KEYS: Self = Self(1 << 5);
    /// `len`.
    pub const LEN: Self = Self(1 << 6);
    /// All of them.
    pub const ALL: Self = Self((1 << 7) - 1);

    const NAMES: [(Self, &str); 7] = [
        (Self::VERSIONS, "versions"),
        (Self::INCREMENT, "increment"),
        (Self::TOUCH, "touch"),
        (Self::EXPIRY, "expiry"),
        (Self::CLEAR, "clear"),
        (Self::KEYS, "keys"),
        (Self::LEN, "len"),
    ];

    /// Whether every operation of `other` is in this set.
    ///
    /// ```
    /// use larder_core::Operations;
    /// assert!(Operations::ALL.contains(Operations::TOUCH));
    /// ```
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// This set without those of `other`.
    ///
    /// ```
    /// use larder_core::Operations;
    /// assert!(!Operations::ALL.without(Operations::KEYS).contains(Operations::KEYS));
    /// ```
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The name of each operation in the set.
    ///
    /// ```
    /// use larder_core::Operations;
    /// let names: Vec<_> = (Operations::CLEAR | Operations::LEN).names().collect();
    /// assert_eq!(names, ["clear", "len"]);
    /// ```
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES.into_iter().filter(move |(operation, _)| self.contains(*operation)).map(|(_, name)| name)
    }
}

impl BitOr for Operations {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl fmt::Debug for Operations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

/// What a store can do. No I/O is done to know it, and it does not change while the store lives.
///
/// The conformance suite holds a store to it from both sides: what it declares must work, what it does not declare must
/// return [`Unsupported`](crate::ErrorKind::Unsupported).
///
/// ```
/// use std::time::Duration;
/// use larder_core::{Capabilities, Operations};
///
/// let capabilities = Capabilities::new()
///     .with_operations(Operations::VERSIONS | Operations::INCREMENT)
///     .with_shared(true)
///     .with_expiry_resolution(Duration::from_millis(1))
///     .with_max_value_bytes(1 << 20);
/// assert!(capabilities.supports(Operations::INCREMENT));
/// assert!(capabilities.retains());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[expect(clippy::struct_excessive_bools, reason = "facts that have nothing to do with each other")]
pub struct Capabilities {
    operations: Operations,
    retains: bool,
    shared: bool,
    remote: bool,
    merges_reads: bool,
    expiry_resolution: Duration,
    max_value_bytes: Option<usize>,
    weighs: bool,
}

impl Default for Capabilities {
    fn default() -> Self {
        Self::new()
    }
}

impl Capabilities {
    /// A private store that keeps what it is given, has the three required operations, exact expiry and no limits.
    ///
    /// ```
    /// use larder_core::{Capabilities, Operations};
    /// assert!(!Capabilities::new().supports(Operations::CLEAR));
    /// ```
    pub const fn new() -> Self {
        Self {
            operations: Operations::NONE,
            retains: true,
            shared: false,
            remote: false,
            merges_reads: false,
            expiry_resolution: Duration::ZERO,
            max_value_bytes: None,
            weighs: false,
        }
    }

    /// Declares optional operations.
    ///
    /// ```
    /// use larder_core::{Capabilities, Operations};
    /// let all = Capabilities::new().with_operations(Operations::ALL);
    /// assert!(all.supports(Operations::KEYS));
    /// ```
    pub const fn with_operations(mut self, operations: Operations) -> Self {
        self.operations = operations;
        self
    }

    /// Whether a value that was set can be read again; `false` for a store that keeps nothing. Default `true`.
    ///
    /// ```
    /// assert!(!larder_core::Capabilities::new().with_retains(false).retains());
    /// ```
    pub const fn with_retains(mut self, retains: bool) -> Self {
        self.retains = retains;
        self
    }

    /// Whether other processes see the same entries. Default `false`.
    ///
    /// ```
    /// assert!(larder_core::Capabilities::new().with_shared(true).shared());
    /// ```
    pub const fn with_shared(mut self, shared: bool) -> Self {
        self.shared = shared;
        self
    }

    /// Whether its operations cross a network, or a socket: such a store is given a circuit breaker, and its reads are
    /// batched under load unless it [merges](Self::with_merges_reads) them. Default `false`.
    ///
    /// ```
    /// assert!(larder_core::Capabilities::new().with_remote(true).remote());
    /// ```
    pub const fn with_remote(mut self, remote: bool) -> Self {
        self.remote = remote;
        self
    }

    /// Whether the store itself makes one command of single reads that wait at the same time. Such a store is not given
    /// [batching](crate::Batching) by default, which would do the same before it, at a cost. Default `false`.
    ///
    /// ```
    /// assert!(larder_core::Capabilities::new().with_merges_reads(true).merges_reads());
    /// ```
    pub const fn with_merges_reads(mut self, merges: bool) -> Self {
        self.merges_reads = merges;
        self
    }

    /// How exactly the store ends an entry, so that the conformance suite waits long enough. Zero (the default)
    /// means exact.
    ///
    /// ```
    /// use std::time::Duration;
    /// let seconds = larder_core::Capabilities::new().with_expiry_resolution(Duration::from_secs(1));
    /// assert_eq!(seconds.expiry_resolution(), Duration::from_secs(1));
    /// ```
    pub const fn with_expiry_resolution(mut self, resolution: Duration) -> Self {
        self.expiry_resolution = resolution;
        self
    }

    /// The largest value the store takes, in bytes as encoded; above it `set` is
    /// [`TooLarge`](crate::ErrorKind::TooLarge). Default: no limit.
    ///
    /// ```
    /// let limited = larder_core::Capabilities::new().with_max_value_bytes(1024);
    /// assert_eq!(limited.max_value_bytes(), Some(1024));
    /// ```
    pub const fn with_max_value_bytes(mut self, limit: usize) -> Self {
        self.max_value_bytes = Some(limit);
        self
    }

    /// Declares that the store asks values for their [weight](crate::Value::weight), because it is bounded in bytes.
    /// Default `false`: nobody pays for weighing.
    ///
    /// ```
    /// assert!(larder_core::Capabilities::new().with_weighing(true).weighs());
    /// ```
    pub const fn with_weighing(mut self, weighs: bool) -> Self {
        self.weighs = weighs;
        self
    }

    /// The optional operations it has.
    ///
    /// ```
    /// use larder_core::{Capabilities, Operations};
    /// assert_eq!(Capabilities::new().operations(), Operations::NONE);
    /// ```
    pub const fn operations(&self) -> Operations {
        self.operations
    }

    /// Whether it has all of these operations.
    ///
    /// ```
    /// use larder_core::{Capabilities, Operations};
    /// assert!(!Capabilities::new().supports(Operations::LEN));
    /// ```
    pub const fn supports(&self, operations: Operations) -> bool {
        self.operations.contains(operations)
    }

    /// Whether what was set can be read again.
    ///
    /// ```
    /// assert!(larder_core::Capabilities::new().retains());
    /// ```
    pub const fn retains(&self) -> bool {
        self.retains
    }

    /// Whether other processes see the same entries.
    ///
    /// ```
    /// assert!(!larder_core::Capabilities::new().shared());
    /// ```
    pub const fn shared(&self) -> bool {
        self.shared
    }

    /// Whether its operations cross a network, or a socket.
    ///
    /// ```
    /// assert!(!larder_core::Capabilities::new().remote());
    /// ```
    pub const fn remote(&self) -> bool {
        self.remote
    }

    /// Whether it makes one command of single reads that wait at the same time.
    ///
    /// ```
    /// assert!(!larder_core::Capabilities::new().merges_reads());
    /// ```
    pub const fn merges_reads(&self) -> bool {
        self.merges_reads
    }

    /// How exactly the store ends an entry; zero is exact.
    ///
    /// ```
    /// assert!(larder_core::Capabilities::new().expiry_resolution().is_zero());
    /// ```
    pub const fn expiry_resolution(&self) -> Duration {
        self.expiry_resolution
    }

    /// The largest value it takes, in bytes as encoded.
    ///
    /// ```
    /// assert_eq!(larder_core::Capabilities::new().max_value_bytes(), None);
    /// ```
    pub const fn max_value_bytes(&self) -> Option<usize> {
        self.max_value_bytes
    }

    /// Whether it asks values for their weight.
    ///
    /// ```
    /// assert!(!larder_core::Capabilities::new().weighs());
    /// ```
    pub const fn weighs(&self) -> bool {
        self.weighs
    }
}
