//! How a store is set up.

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use fred::clients::Pool;
use larder_core::{Error, ErrorKind, Result, SystemClock};

use crate::{RedisStore, connect, settings::Settings};

/// Which servers answer reads.
///
/// ```
/// use larder_redis::ReadFrom;
/// assert_eq!(ReadFrom::default(), ReadFrom::Primary);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ReadFrom {
    /// The primary, which has every acknowledged write.
    #[default]
    Primary,
    /// A replica where there is one, else the primary. It lags: a value that was deleted or replaced may be read a while longer.
    Replica,
}

/// What is believed of a server that came back with another state: from a snapshot, or as a replica that took over.
///
/// ```
/// use larder_redis::OnRollback;
/// assert_eq!(OnRollback::default(), OnRollback::Accept);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OnRollback {
    /// All of it: what was deleted or replaced after the snapshot is back.
    #[default]
    Accept,
    /// Nothing: only entries are served that were written since that server started or took over. Each entry carries eight bytes
    /// more for that, and a restart or fail-over empties the cache in effect. Not for clusters, nor with
    /// [`ReadFrom::Replica`].
    Distrust,
}

/// Sets up a [`RedisStore`]: see [`RedisStore::builder`] and [`RedisStore::from_client`].
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> larder_core::Result<()> {
/// use std::time::Duration;
/// use larder_redis::RedisStore;
///
/// let store = RedisStore::builder("redis://127.0.0.1:6379/2")
///     .prefix("shop:")
///     .operation_timeout(Duration::from_millis(250))
///     .build()?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
#[must_use = "a builder does nothing until `build`"]
pub struct RedisStoreBuilder {
    pub(crate) source: Source,
    pub(crate) username: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) sentinel_username: Option<String>,
    pub(crate) sentinel_password: Option<String>,
    pub(crate) database: Option<u32>,
    pub(crate) ca: Option<PathBuf>,
    pub(crate) client_cert: Option<PathBuf>,
    pub(crate) client_key: Option<PathBuf>,
    pub(crate) settings: Settings,
    pub(crate) connections: Option<usize>,
    pub(crate) connect_timeout: Option<Duration>,
    pub(crate) distrusts: OnRollback,
}

#[derive(Clone)]
pub(crate) enum Source {
    Address(String),
    Client(Pool),
}

impl RedisStoreBuilder {
    pub(crate) fn at(address: &str) -> Self {
        Self::new(Source::Address(address.to_owned()))
    }

    pub(crate) fn over(pool: Pool) -> Self {
        Self::new(Source::Client(pool))
    }

    fn new(source: Source) -> Self {
        Self {
            source,
            username: None,
            password: None,
            sentinel_username: None,
            sentinel_password: None,
            database: None,
            ca: None,
            client_cert: None,
            client_key: None,
            settings: Settings::default(),
            connections: None,
            connect_timeout: None,
            distrusts: OnRollback::Accept,
        }
    }

    /// The ACL user. Default: the one in the address, else the server's `default`.
    ///
    /// ```
    /// let builder = larder_redis::RedisStore::builder("redis://localhost").username("larder").password("secret");
    /// ```
    pub fn username(mut self, name: impl Into<String>) -> Self {
        self.username = Some(name.into());
        self
    }

    /// The password. Default: the one in the address, else none.
    ///
    /// ```
    /// let builder = larder_redis::RedisStore::builder("redis://localhost").password("secret");
    /// assert!(!format!("{builder:?}").contains("secret"));
    /// ```
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.password = Some(password.into());
        self
    }

    /// The user that the sentinels know. Default: none. The sentinels' own, never that of the address.
    ///
    /// ```
    /// let builder = larder_redis::RedisStore::builder("redis+sentinel://localhost/larder")
    ///     .sentinel_username("watcher")
    ///     .sentinel_password("secret");
    /// ```
    pub fn sentinel_username(mut self, name: impl Into<String>) -> Self {
        self.sentinel_username = Some(name.into());
        self
    }

    /// The password that the sentinels want. Default: none.
    ///
    /// ```
    /// let builder = larder_redis::RedisStore::builder("redis+sentinel://localhost/larder").sentinel_password("secret");
    /// ```
    pub fn sentinel_password(mut self, password: impl Into<String>) -> Self {
        self.sentinel_password = Some(password.into());
        self
    }

    /// The database, 0 to 255. Default: the one in the address, else 0. A cluster has only 0.
    ///
    /// ```
    /// let builder = larder_redis::RedisStore::builder("unix:///run/redis.sock").database(3);
    /// ```
    pub fn database(mut self, number: u32) -> Self {
        self.database = Some(number);
        self
    }

    /// The certificates to trust instead of the system's: a PEM file. Only with a `rediss` address. The server's
    /// certificate is always verified.
    ///
    /// ```
    /// let builder = larder_redis::RedisStore::builder("rediss://localhost").ca("/etc/redis/ca.pem");
    /// ```
    pub fn ca(mut self, file: impl Into<PathBuf>) -> Self {
        self.ca = Some(file.into());
        self
    }

    /// The certificate to show to the server, with those that vouch for it: a PEM file. Goes with
    /// [`client_key`](RedisStoreBuilder::client_key).
    ///
    /// ```
    /// let builder = larder_redis::RedisStore::builder("rediss://localhost")
    ///     .client_cert("/etc/app/redis.pem")
    ///     .client_key("/etc/app/redis.key");
    /// ```
    pub fn client_cert(mut self, file: impl Into<PathBuf>) -> Self {
        self.client_cert = Some(file.into());
        self
    }

    /// The private key of the certificate to show: a PEM file.
    ///
    /// ```
    /// let builder = larder_redis::RedisStore::builder("rediss://localhost")
    ///     .client_cert("/etc/app/redis.pem")
    ///     .client_key("/etc/app/redis.key");
    /// ```
    pub fn client_key(mut self, file: impl Into<PathBuf>) -> Self {
        self.client_key = Some(file.into());
        self
    }

    /// What stands before every key: at most 50 bytes of `A-Z a-z 0-9 - . ~ : /`, without `1/`, which keys begin with.
    /// Stores with different prefixes never see each other's entries. Default: none.
    ///
    /// ```
    /// let builder = larder_redis::RedisStore::builder("redis://localhost").prefix("shop:");
    /// ```
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.settings.prefix = prefix.into();
        self
    }

    /// How long one operation may take, waiting for a connection included. 1 ms to 60 s; default: 500 ms.
    ///
    /// ```
    /// use std::time::Duration;
    /// let builder = larder_redis::RedisStore::builder("redis://localhost").operation_timeout(Duration::from_millis(100));
    /// ```
    pub fn operation_timeout(mut self, limit: Duration) -> Self {
        self.settings.operation_timeout = limit;
        self
    }

    /// How long making one connection may take, and each step of logging in. 1 ms to 60 s; default: 1 s.
    ///
    /// ```
    /// use std::time::Duration;
    /// let builder = larder_redis::RedisStore::builder("redis://far.example").connect_timeout(Duration::from_secs(3));
    /// ```
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.connect_timeout = Some(limit);
        self
    }

    /// How long `clear`, `keys` and `len` may take. 1 ms to an hour; default: 30 s.
    ///
    /// ```
    /// use std::time::Duration;
    /// let builder = larder_redis::RedisStore::builder("redis://localhost").scan_timeout(Duration::from_secs(120));
    /// ```
    pub fn scan_timeout(mut self, limit: Duration) -> Self {
        self.settings.scan_timeout = limit;
        self
    }

    /// How many connections to each server. 1 to 64; default: 1, which is fastest on few processors, because it is
    /// shared by pipelining. All writes to a key go over one of them.
    ///
    /// ```
    /// let builder = larder_redis::RedisStore::builder("redis://localhost").connections(2);
    /// ```
    pub fn connections(mut self, count: usize) -> Self {
        self.connections = Some(count);
        self
    }

    /// How many commands may be in flight; more are refused with [`Overloaded`](ErrorKind::Overloaded). 1 to 1 000 000;
    /// default: 10 000.
    ///
    /// ```
    /// let builder = larder_redis::RedisStore::builder("redis://localhost").max_in_flight(2_000);
    /// ```
    pub fn max_in_flight(mut self, commands: usize) -> Self {
        self.settings.max_in_flight = commands;
        self
    }

    /// The largest value, in bytes as stored; a larger one is refused with [`TooLarge`](ErrorKind::TooLarge), and what was
    /// there stays. 1 to 512 MiB less 64; default: 64 MiB.
    ///
    /// ```
    /// let builder = larder_redis::RedisStore::builder("redis://localhost").max_value_bytes(1 << 20);
    /// ```
    pub fn max_value_bytes(mut self, bytes: usize) -> Self {
        self.settings.max_value_bytes = bytes;
        self
    }

    /// Which servers answer `get`, `get_many` and `get_versioned`. Default: [`ReadFrom::Primary`].
    ///
    /// ```
    /// use larder_redis::{ReadFrom, RedisStore};
    /// let builder = RedisStore::builder("redis+cluster://localhost").read_from(ReadFrom::Replica);
    /// ```
    pub fn read_from(mut self, servers: ReadFrom) -> Self {
        self.settings.read_from = servers;
        self
    }

    /// How many replicas must have a write before it is acknowledged (`WAIT`); too few of them in time is
    /// [`Ambiguous`](ErrorKind::Ambiguous). 0 to 16; default: 0. Writes then have a connection of their own.
    ///
    /// ```
    /// let builder = larder_redis::RedisStore::builder("redis+sentinel://localhost/larder").wait_replicas(1);
    /// ```
    pub fn wait_replicas(mut self, count: u8) -> Self {
        self.settings.wait_replicas = count;
        self
    }

    /// What is believed of a server that came back with another state. Default: [`OnRollback::Accept`].
    ///
    /// ```
    /// use larder_redis::{OnRollback, RedisStore};
    /// let builder = RedisStore::builder("redis://localhost").on_rollback(OnRollback::Distrust);
    /// ```
    pub fn on_rollback(mut self, belief: OnRollback) -> Self {
        self.distrusts = belief;
        self
    }

    /// Builds the store. It connects in the background, and goes on trying for as long as it lives.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config), naming the setting, if one is out of range, contradicts another or names a file
    /// that cannot be read; and outside a Tokio runtime.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use larder_core::ErrorKind;
    /// use larder_redis::RedisStore;
    ///
    /// let error = RedisStore::builder("redis://localhost").connections(0).build().unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Config);
    /// assert!(error.to_string().contains("connections"));
    /// # }
    /// ```
    pub fn build(mut self) -> Result<RedisStore> {
        self.settings.connections = self.connections.unwrap_or(self.settings.connections);
        self.settings.connect_timeout = self.connect_timeout.unwrap_or(self.settings.connect_timeout);
        self.settings.distrusts = self.distrusts == OnRollback::Distrust;
        self.check_ranges()?;
        if tokio::runtime::Handle::try_current().is_err() {
            return Err(Error::new(
                ErrorKind::Config,
                "no Tokio runtime here: build the store within one (`#[tokio::main]`, `Runtime::block_on`)",
            ));
        }
        let clock = Arc::new(SystemClock::new());
        match self.source.clone() {
            Source::Address(text) => {
                let address = self.address(&text)?;
                self.check_topology(&address.topology)?;
                let files = self.tls_files(&address)?;
                let sentinel = (self.sentinel_username, self.sentinel_password);
                connect::open(self.settings, &address, &files, sentinel, &clock)
            }
            Source::Client(pool) => {
                let topology = self.adopted(&pool)?;
                self.check_topology(&topology)?;
                connect::adopt(self.settings, topology, &pool, &clock)
            }
        }
        .map(RedisStore::new)
    }
}

/// Shows the settings, but no address, which may hold a password.
impl fmt::Debug for RedisStoreBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStoreBuilder")
            .field("prefix", &self.settings.prefix)
            .field("operation_timeout", &self.settings.operation_timeout)
            .field("connections", &self.connections.unwrap_or(self.settings.connections))
            .field("read_from", &self.settings.read_from)
            .field("wait_replicas", &self.settings.wait_replicas)
            .field("on_rollback", &self.distrusts)
            .finish_non_exhaustive()
    }
}
