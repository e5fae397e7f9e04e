//! How a store is set up.

use std::{fmt, path::PathBuf, time::Duration};

use deadpool_postgres::Pool;
use larder_core::Result;

use crate::{PostgresStore, SslMode, names::Names, origin::Origin, session::Connector, settings::Settings};

/// Sets up a [`PostgresStore`]: see [`PostgresStore::builder`].
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> larder_core::Result<()> {
/// use larder_postgres::PostgresStore;
///
/// let store = PostgresStore::builder("postgres://shop@127.0.0.1:1/shop")
///     .password("secret")
///     .create_table(true)
///     .max_entries(100_000)
///     .build()?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
#[expect(clippy::struct_excessive_bools, reason = "settings that have nothing to do with each other")]
#[must_use = "a builder does nothing until `build`"]
pub struct PostgresStoreBuilder {
    origin: Origin,
    schema: String,
    table: String,
    create_table: bool,
    logged: bool,
    synchronous_writes: bool,
    connections: usize,
    pgbouncer: bool,
    prefix: String,
    operation_timeout: Duration,
    walk_timeout: Duration,
    connect_timeout: Duration,
    max_in_flight: usize,
    max_entries: u64,
    max_bytes: u64,
    max_value_bytes: usize,
    sweep_every: Duration,
}

impl PostgresStoreBuilder {
    pub(crate) fn of_address(address: &str) -> Self {
        Self::new(Origin::of_address(address))
    }

    pub(crate) fn of_pool(pool: Pool) -> Self {
        Self::new(Origin::of_pool(pool))
    }

    fn new(origin: Origin) -> Self {
        Self {
            origin,
            schema: String::from("public"),
            table: String::from("larder_cache"),
            create_table: false,
            logged: false,
            synchronous_writes: true,
            connections: 4,
            pgbouncer: false,
            prefix: String::new(),
            operation_timeout: Duration::from_millis(500),
            walk_timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(2),
            max_in_flight: 10_000,
            max_entries: 1_000_000,
            max_bytes: 1 << 30,
            max_value_bytes: 8 << 20,
            sweep_every: Duration::from_mins(1),
        }
    }

    /// The role to connect as, where the address does not name it. Default: the address's, else the name of the system's user.
    ///
    /// ```
    /// # use larder_postgres::PostgresStore;
    /// let builder = PostgresStore::builder("postgres://localhost/shop").user("shop");
    /// ```
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.origin.user = Some(user.into());
        self
    }

    /// Its password, where the address does not hold it. Never shown by `Debug`, errors or logs. Default: the address's,
    /// else none.
    ///
    /// ```
    /// # use larder_postgres::PostgresStore;
    /// let builder = PostgresStore::builder("postgres://localhost/shop").password("secret");
    /// ```
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.origin.password = Some(password.into());
        self
    }

    /// Whether connections use TLS. Default: [`SslMode::Disable`]; it must be asked for, and is then always verified.
    ///
    /// ```
    /// # use larder_postgres::PostgresStore;
    /// let builder = PostgresStore::builder("postgres://localhost/shop").sslmode(larder_postgres::SslMode::Require);
    /// ```
    pub fn sslmode(mut self, mode: SslMode) -> Self {
        self.origin.sslmode = mode;
        self
    }

    /// A PEM file of the certificates to trust, instead of those of the system. Needs [`sslmode`](Self::sslmode).
    ///
    /// ```
    /// # use larder_postgres::PostgresStore;
    /// let builder = PostgresStore::builder("postgres://localhost/shop").ca("/etc/ssl/shop-ca.pem");
    /// ```
    pub fn ca(mut self, path: impl Into<PathBuf>) -> Self {
        self.origin.ca = Some(path.into());
        self
    }

    /// The schema of the table. Letters, digits, `_`, `-`, `$`; quoted, so upper case stays. Default: `public`.
    ///
    /// ```
    /// # use larder_postgres::PostgresStore;
    /// let builder = PostgresStore::builder("postgres://localhost/shop").schema("cache");
    /// ```
    pub fn schema(mut self, name: impl Into<String>) -> Self {
        self.schema = name.into();
        self
    }

    /// The table; its sequence has the same name and `_version`. At most 55 bytes. Default: `larder_cache`.
    ///
    /// ```
    /// # use larder_postgres::PostgresStore;
    /// let builder = PostgresStore::builder("postgres://localhost/shop").table("page_cache");
    /// ```
    pub fn table(mut self, name: impl Into<String>) -> Self {
        self.table = name.into();
        self
    }

    /// Whether to create or migrate the table on connecting. Default: `false`: a missing table is an error of kind
    /// [`Config`](larder_core::ErrorKind::Config) that says how to make it.
    ///
    /// ```
    /// # use larder_postgres::PostgresStore;
    /// let builder = PostgresStore::builder("postgres://localhost/shop").create_table(true);
    /// ```
    pub fn create_table(mut self, create: bool) -> Self {
        self.create_table = create;
        self
    }

    /// Whether the table is LOGGED: it survives a crash of the server and is replicated, and is several times slower to
    /// write. Default: `false`, UNLOGGED: **after a crash of the server it is empty**. The table must be what this says.
    ///
    /// ```
    /// # use larder_postgres::PostgresStore;
    /// let builder = PostgresStore::builder("postgres://localhost/shop").logged(true);
    /// ```
    pub fn logged(mut self, logged: bool) -> Self {
        self.logged = logged;
        self
    }

    /// Whether writes to a LOGGED table wait for the disk. `false`: `set`, `add`, `replace`, `increment` and `touch` do not,
    /// and a crash may take back the last of them; what removes entries always waits. Default: `true`.
    ///
    /// ```
    /// # use larder_postgres::PostgresStore;
    /// let builder = PostgresStore::builder("postgres://localhost/shop").logged(true).synchronous_writes(false);
    /// ```
    pub fn synchronous_writes(mut self, synchronous: bool) -> Self {
        self.synchronous_writes = synchronous;
        self
    }

    /// How many connections point operations share; one more is for upkeep, `clear`, `keys` and `len`. 1 to 64. Default: 4.
    ///
    /// ```
    /// # use larder_postgres::PostgresStore;
    /// let builder = PostgresStore::builder("postgres://localhost/shop").connections(2);
    /// ```
    pub fn connections(mut self, count: usize) -> Self {
        self.connections = count;
        self
    }

    /// Whether a PgBouncer in transaction mode stands between: nothing is then kept in a session, no prepared statements and
    /// no settings, and a connection carries one statement at a time. See the [crate documentation](crate#behind-pgbouncer). Default: `false`.
    ///
    /// ```
    /// # use larder_postgres::PostgresStore;
    /// let builder = PostgresStore::builder("postgres://localhost/shop").pgbouncer(true);
    /// ```
    pub fn pgbouncer(mut self, pgbouncer: bool) -> Self {
        self.pgbouncer = pgbouncer;
        self
    }

    /// What comes before every key: stores with different prefixes share a table and never see each other. At most 50 bytes
    /// of `A-Z a-z 0-9 - . ~ : /`. Default: none.
    ///
    /// ```
    /// # use larder_postgres::PostgresStore;
    /// let builder = PostgresStore::builder("postgres://localhost/shop").prefix("shop");
    /// ```
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// How long an operation may take, waiting for a connection included; the server stops statements after it too. 1 ms to
    /// 24 hours. Default: 500 ms.
    ///
    /// ```
    /// # use larder_postgres::PostgresStore;
    /// let builder = PostgresStore::builder("postgres://localhost/shop").operation_timeout(std::time::Duration::from_millis(200));
    /// ```
    pub fn operation_timeout(mut self, limit: Duration) -> Self {
        self.operation_timeout = limit;
        self
    }

    /// How long `clear`, `keys` and `len` may take. 1 ms to 24 hours. Default: 30 s.
    ///
    /// ```
    /// # use larder_postgres::PostgresStore;
    /// let builder = PostgresStore::builder("postgres://localhost/shop").walk_timeout(std::time::Duration::from_secs(5));
    /// ```
    pub fn walk_timeout(mut self, limit: Duration) -> Self {
        self.walk_timeout = limit;
        self
    }

    /// How long one attempt to connect may take, in the background, until statements are prepared. After a quarter of it,
    /// and no sooner than 500 ms, the next one begins beside it. Of a name with several addresses, each has a quarter of it
    /// to take the connection. 1 ms to 24 hours. Default: 2 s.
    ///
    /// ```
    /// # use larder_postgres::PostgresStore;
    /// let builder = PostgresStore::builder("postgres://localhost/shop").connect_timeout(std::time::Duration::from_secs(5));
    /// ```
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.connect_timeout = limit;
        self
    }

    /// How many operations may be under way at once; more are refused with
    /// [`Overloaded`](larder_core::ErrorKind::Overloaded). 1 to 1 000 000. Default: 10 000.
    ///
    /// ```
    /// # use larder_postgres::PostgresStore;
    /// let builder = PostgresStore::builder("postgres://localhost/shop").max_in_flight(1_000);
    /// ```
    pub fn max_in_flight(mut self, count: usize) -> Self {
        self.max_in_flight = count;
        self
    }

    /// The most entries of the table, whatever their prefix; the sweeper removes what was written longest ago. See the
    /// [crate documentation](crate#bounds) for how exactly. Default: 1 000 000.
    ///
    /// ```
    /// # use larder_postgres::PostgresStore;
    /// let builder = PostgresStore::builder("postgres://localhost/shop").max_entries(50_000);
    /// ```
    pub fn max_entries(mut self, count: u64) -> Self {
        self.max_entries = count;
        self
    }

    /// The most bytes of the table: keys, values and 64 for each entry. At least 16 KiB. Default: 1 GiB.
    ///
    /// ```
    /// # use larder_postgres::PostgresStore;
    /// let builder = PostgresStore::builder("postgres://localhost/shop").max_bytes(64 << 20);
    /// ```
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// The largest value it takes, as encoded; above it [`TooLarge`](larder_core::ErrorKind::TooLarge). 1 B to 512 MiB: a
    /// value travels whole, within the operation timeout, and others wait behind it. Default: 8 MiB.
    ///
    /// ```
    /// # use larder_postgres::PostgresStore;
    /// let builder = PostgresStore::builder("postgres://localhost/shop").max_value_bytes(1 << 20);
    /// ```
    pub fn max_value_bytes(mut self, bytes: usize) -> Self {
        self.max_value_bytes = bytes;
        self
    }

    /// How often one of all processes removes what has expired. 100 ms to 24 hours; zero: this one takes no part, and keeps no
    /// bounds. Default: 60 s.
    ///
    /// ```
    /// # use larder_postgres::PostgresStore;
    /// let builder = PostgresStore::builder("postgres://localhost/shop").sweep_every(std::time::Duration::from_secs(10));
    /// ```
    pub fn sweep_every(mut self, rest: Duration) -> Self {
        self.sweep_every = rest;
        self
    }

    /// Builds the store. It connects in the background, so the server may be down.
    ///
    /// # Errors
    /// [`Config`](larder_core::ErrorKind::Config), naming the setting, where one is wrong; where the certificates cannot be
    /// read; or outside a Tokio runtime.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use larder_core::ErrorKind;
    /// use larder_postgres::PostgresStore;
    ///
    /// let error = PostgresStore::builder("postgres://localhost/shop").connections(0).build().unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Config);
    /// assert!(error.to_string().contains("`connections`"));
    /// # }
    /// ```
    pub fn build(self) -> Result<PostgresStore> {
        let server = self.origin.server(self.connect_timeout)?;
        let settings = Settings {
            names: Names::new(&self.schema, &self.table)?,
            logged: self.logged,
            create_table: self.create_table,
            synchronous_writes: self.synchronous_writes,
            connections: self.connections,
            pgbouncer: self.pgbouncer,
            prefix: self.prefix,
            operation_timeout: self.operation_timeout,
            walk_timeout: self.walk_timeout,
            connect_timeout: self.connect_timeout,
            max_in_flight: self.max_in_flight,
            max_entries: self.max_entries,
            max_bytes: self.max_bytes,
            max_value_bytes: self.max_value_bytes,
            sweep_every: self.sweep_every,
        };
        settings.check()?;
        PostgresStore::open(Connector::new(server, settings))
    }
}

/// Shows neither the address nor the password.
impl fmt::Debug for PostgresStoreBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStoreBuilder")
            .field("schema", &self.schema)
            .field("table", &self.table)
            .field("logged", &self.logged)
            .field("connections", &self.connections)
            .field("sslmode", &self.origin.sslmode)
            .field("pgbouncer", &self.pgbouncer)
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}
