//! How a store is set up.

use std::{
    fmt,
    ops::RangeInclusive,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use larder_core::{Clock, Error, ErrorKind, Result, SystemClock};

use crate::{
    MemcachedStore,
    address::{Address, Credentials},
    commands,
    connect::Tls,
    item::Item,
    settings::Settings,
};

/// What memcached takes unless it is told otherwise (`-I 1m`).
const DEFAULT_ITEM: usize = 1 << 20;
/// The longest key: 50 bytes of a prefix, 200 of a key.
const LONGEST_KEY: usize = LONGEST_PREFIX + larder_core::Key::MAX_LEN;
const LONGEST_PREFIX: usize = 50;
/// What an item has besides a value's own bytes, the kind of the value included.
const BESIDES_VALUE: usize = commands::BESIDES_ITEM + LONGEST_KEY + Item::HEAD + 1;

const LANES: RangeInclusive<usize> = 1..=8;
const TIMEOUTS: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_mins(10);
const IN_FLIGHT: RangeInclusive<usize> = 1..=1_000_000;
/// `-I` takes 1 GiB at most.
const VALUES: RangeInclusive<usize> = 1..=(1 << 30) - BESIDES_VALUE;

/// Sets up a [`MemcachedStore`]: see [`MemcachedStore::builder`].
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> larder_core::Result<()> {
/// use std::time::Duration;
/// use larder_memcached::MemcachedStore;
///
/// let store = MemcachedStore::builder("memcached://cache-a:11211*2,cache-b:11211")
///     .prefix("shop:")
///     .operation_timeout(Duration::from_millis(250))
///     .build()?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
#[must_use = "a builder does nothing until `build`"]
pub struct MemcachedStoreBuilder {
    address: String,
    credentials: Option<(String, String)>,
    ca: Option<PathBuf>,
    prefix: String,
    lanes: usize,
    rehash: bool,
    connect_timeout: Duration,
    operation_timeout: Duration,
    max_in_flight: usize,
    max_value_bytes: usize,
    clock: Arc<dyn Clock>,
}

/// Settings that have been checked.
pub(crate) struct Config {
    pub(crate) address: Address,
    pub(crate) tls: Option<Tls>,
    pub(crate) prefix: String,
    pub(crate) lanes: usize,
    pub(crate) rehash: bool,
    pub(crate) connect_timeout: Duration,
    pub(crate) operation_timeout: Duration,
    pub(crate) max_in_flight: usize,
    pub(crate) max_value_bytes: usize,
    pub(crate) clock: Arc<dyn Clock>,
}

impl MemcachedStoreBuilder {
    pub(crate) fn new(address: String) -> Self {
        Self {
            address,
            credentials: None,
            ca: None,
            prefix: String::new(),
            lanes: 2,
            rehash: false,
            connect_timeout: Duration::from_millis(500),
            operation_timeout: Duration::from_millis(500),
            max_in_flight: 10_000,
            max_value_bytes: DEFAULT_ITEM - BESIDES_VALUE,
            clock: Arc::new(SystemClock::new()),
        }
    }

    /// The user and password of ASCII authentication (`memcached -Y FILE`), for all servers. Default: those of the
    /// address, or none. SASL, which needs the binary protocol, is not spoken.
    ///
    /// ```
    /// use larder_memcached::MemcachedStore;
    /// let builder = MemcachedStore::builder("memcached://localhost").credentials("larder", "s3cret");
    /// assert!(!format!("{builder:?}").contains("s3cret"));
    /// ```
    pub fn credentials(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.credentials = Some((user.into(), password.into()));
        self
    }

    /// A PEM file with the certificates that `memcacheds://` trusts. Default: what the machine trusts.
    ///
    /// ```
    /// use larder_memcached::MemcachedStore;
    /// let builder = MemcachedStore::builder("memcacheds://localhost").ca("/etc/larder/ca.pem");
    /// ```
    pub fn ca(mut self, path: impl AsRef<Path>) -> Self {
        self.ca = Some(path.as_ref().to_owned());
        self
    }

    /// What every key in the servers starts with, so that several applications can share them: at most 50 bytes of
    /// `A-Z a-z 0-9 - . _ ~ :`. Default: nothing.
    ///
    /// ```
    /// use larder_memcached::MemcachedStore;
    /// let builder = MemcachedStore::builder("memcached://localhost").prefix("shop:");
    /// ```
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Connections to each server, from 1 to 8. Default: 2. All operations on one key use the same one.
    ///
    /// ```
    /// use larder_memcached::MemcachedStore;
    /// let builder = MemcachedStore::builder("memcached://localhost").lanes(1);
    /// ```
    pub fn lanes(mut self, lanes: usize) -> Self {
        self.lanes = lanes;
        self
    }

    /// Whether the keys of a server that cannot be reached move to the others until it is back. Default: `false`, and
    /// then operations on them are errors.
    ///
    /// It weakens the store: a server that was only cut off, not restarted, comes back with values that were deleted or
    /// replaced in the meantime, and `guarantees()` says so.
    ///
    /// ```
    /// use larder_memcached::MemcachedStore;
    /// let builder = MemcachedStore::builder("memcached://a,b,c").rehash(true);
    /// ```
    pub fn rehash(mut self, rehash: bool) -> Self {
        self.rehash = rehash;
        self
    }

    /// How long one attempt to connect may take, from 1 ms to 10 minutes, authentication included. Default: 500 ms.
    /// Attempts are repeated after rests of 50 to 500 ms.
    ///
    /// ```
    /// use std::time::Duration;
    /// use larder_memcached::MemcachedStore;
    /// let builder = MemcachedStore::builder("memcached://localhost").connect_timeout(Duration::from_secs(1));
    /// ```
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.connect_timeout = limit;
        self
    }

    /// How long one operation may take, from 1 ms to 10 minutes, waiting for a connection included. Default: 500 ms.
    ///
    /// ```
    /// use std::time::Duration;
    /// use larder_memcached::MemcachedStore;
    /// let builder = MemcachedStore::builder("memcached://localhost").operation_timeout(Duration::from_millis(100));
    /// ```
    pub fn operation_timeout(mut self, limit: Duration) -> Self {
        self.operation_timeout = limit;
        self
    }

    /// The most operations that wait for the servers at once, from 1 to 1 000 000; more are refused as
    /// [`Overloaded`](ErrorKind::Overloaded). Default: 10 000. Each key of a batch counts.
    ///
    /// ```
    /// use larder_memcached::MemcachedStore;
    /// let builder = MemcachedStore::builder("memcached://localhost").max_in_flight(1_000);
    /// ```
    pub fn max_in_flight(mut self, operations: usize) -> Self {
        self.max_in_flight = operations;
        self
    }

    /// The largest value, in bytes as encoded; a larger one is [`TooLarge`](ErrorKind::TooLarge), and what was there stays.
    /// Default: what a server takes that was started without `-I`, 1 048 240 bytes (1 MiB less 336 for the longest key and
    /// what is kept besides). Raise it together with `-I`; a server's own limit, where it tells it, holds as well.
    ///
    /// ```
    /// use larder_memcached::MemcachedStore;
    /// let builder = MemcachedStore::builder("memcached://localhost").max_value_bytes(8 << 20);
    /// ```
    pub fn max_value_bytes(mut self, bytes: usize) -> Self {
        self.max_value_bytes = bytes;
        self
    }

    /// The clock that decides when entries end. Default: [`SystemClock`]. Under a clock that is moved by hand the servers
    /// end nothing by themselves. A [`Cache`](larder_core::Cache) over the store uses the same clock.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use larder_core::ManualClock;
    /// use larder_memcached::MemcachedStore;
    ///
    /// let clock = ManualClock::default();
    /// let builder = MemcachedStore::builder("memcached://localhost").clock(Arc::new(clock.clone()));
    /// ```
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Makes the store. It connects when it is first used, so that an application starts while a server is down.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config), with the name of the setting, for a setting or an address that is wrong, for a `ca`
    /// that cannot be read, and outside a Tokio runtime.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use larder_core::ErrorKind;
    /// use larder_memcached::MemcachedStore;
    ///
    /// let error = MemcachedStore::builder("memcached://localhost").lanes(0).build().unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Config);
    /// assert!(error.to_string().contains("`lanes`"));
    /// # }
    /// ```
    pub fn build(self) -> Result<MemcachedStore> {
        MemcachedStore::new(self.checked()?)
    }

    fn checked(self) -> Result<Config> {
        let mut address = Address::parse(&self.address)?;
        if let Some((user, password)) = self.credentials {
            if address.credentials.is_some() {
                return Err(config("`credentials` are given twice: in the address and by themselves"));
            }
            address.credentials = Some(Credentials::new(user, password)?);
        }
        check_prefix(&self.prefix)?;
        within("lanes", self.lanes, &LANES)?;
        within("max_in_flight", self.max_in_flight, &IN_FLIGHT)?;
        within("max_value_bytes", self.max_value_bytes, &VALUES)?;
        for (name, given) in
            [("connect_timeout", self.connect_timeout), ("operation_timeout", self.operation_timeout)]
        {
            if !TIMEOUTS.contains(&given) {
                return Err(config(format!(
                    "`{name}` is {given:?}: it must be from {:?} to {:?}",
                    TIMEOUTS.start(),
                    TIMEOUTS.end()
                )));
            }
        }
        Ok(Config {
            tls: tls(&address, self.ca.as_deref())?,
            address,
            prefix: self.prefix,
            lanes: self.lanes,
            rehash: self.rehash,
            connect_timeout: self.connect_timeout,
            operation_timeout: self.operation_timeout,
            max_in_flight: self.max_in_flight,
            max_value_bytes: self.max_value_bytes,
            clock: self.clock,
        })
    }
}

impl Config {
    pub(crate) fn settings(&self, name: String) -> Settings {
        Settings {
            name,
            connect_timeout: self.connect_timeout,
            operation_timeout: self.operation_timeout,
            timer: self.timer(),
            clock: Arc::clone(&self.clock),
            max_in_flight: self.max_in_flight,
        }
    }

    /// A server knows nothing of a clock that is moved by hand.
    fn timer(&self) -> Arc<dyn Clock> {
        if self.clock.is_real() { Arc::clone(&self.clock) } else { Arc::new(SystemClock::new()) }
    }
}

fn check_prefix(prefix: &str) -> Result<()> {
    // A key has a `/` in it. A prefix has none, so no prefix and key together read as another prefix and another key.
    let is_safe = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:".contains(&byte);
    if prefix.len() > LONGEST_PREFIX {
        return Err(config(format!("`prefix` has {} bytes: the limit is {LONGEST_PREFIX}", prefix.len())));
    }
    if !prefix.bytes().all(is_safe) {
        return Err(config("`prefix` takes only `A-Z a-z 0-9 - . _ ~ :`"));
    }
    Ok(())
}

fn within(name: &str, given: usize, range: &RangeInclusive<usize>) -> Result<()> {
    if range.contains(&given) {
        return Ok(());
    }
    Err(config(format!("`{name}` is {given}: it must be from {} to {}", range.start(), range.end())))
}

fn tls(address: &Address, ca: Option<&Path>) -> Result<Option<Tls>> {
    if !address.tls {
        return match ca {
            Some(_) => Err(config("`ca` is for TLS: write `memcacheds://`")),
            None => Ok(None),
        };
    }
    #[cfg(feature = "tls")]
    return Tls::new(ca).map(Some);
    #[cfg(not(feature = "tls"))]
    Err(config("`memcacheds://` needs the feature `tls` of larder-memcached"))
}

fn config(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Config, message)
}

/// Never shows the password, nor the address, which may hold one.
impl fmt::Debug for MemcachedStoreBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemcachedStoreBuilder")
            .field("user", &self.credentials.as_ref().map(|(user, _)| user))
            .field("ca", &self.ca)
            .field("prefix", &self.prefix)
            .field("lanes", &self.lanes)
            .field("rehash", &self.rehash)
            .field("connect_timeout", &self.connect_timeout)
            .field("operation_timeout", &self.operation_timeout)
            .field("max_in_flight", &self.max_in_flight)
            .field("max_value_bytes", &self.max_value_bytes)
            .finish_non_exhaustive()
    }
}
