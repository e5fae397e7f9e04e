//! The store.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use deadpool_postgres::Pool;
use larder_core::{
    CacheStore, Capabilities, Error, ErrorKind, Expiry, Guarantees, Key, Namespace, Operations, Result,
    StoreEvents, Value, Version, async_trait,
};
use tokio::sync::watch;

use crate::{
    batch::hash,
    config::PostgresStoreBuilder,
    engine::Engine,
    error::Effect,
    guarantees,
    hub::{Hub, Route},
    parameters::Parameters,
    random::{OsRandom, Random, salt},
    rows::{self, Filing, Wire, get},
    session::Connector,
    sql::Sql,
    supervisor, sweep,
};

/// Keeps entries in one table of a PostgreSQL database, which any number of processes may share.
///
/// It has every optional operation. Point operations share a few pipelined connections, which are made and replaced in
/// the background; walks through many entries, and the upkeep of the table, have one of their own. Dropping a future at
/// any await leaves all of them usable. See the [crate documentation](crate) for what holds.
///
/// It has no `Clone`: loads are shared and fenced by the handle around a store, so share that
/// ([`StoreHandle`](larder_core::StoreHandle)) or the cache. When it is dropped its tasks end and its connections close.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> larder_core::Result<()> {
/// use larder_core::{CacheStore, ErrorKind, Key, Namespace};
/// use larder_postgres::PostgresStore;
///
/// // Nothing listens there: the store is built all the same, and says so when it is used.
/// let store = PostgresStore::connect("postgres://shop@127.0.0.1:1/shop")?;
/// let error = store.get(&Key::new(&Namespace::root(), "greeting")?).await.unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Unavailable);
/// # Ok(()) }
/// ```
#[doc(alias = "postgresql")]
#[doc(alias = "tokio-postgres")]
pub struct PostgresStore {
    engine: Engine,
    filing: Filing,
    random: Arc<dyn Random>,
    events: Arc<OnceLock<Arc<dyn StoreEvents>>>,
    /// Dropped with the store, which ends its tasks.
    _closing: watch::Sender<()>,
}

impl PostgresStore {
    /// Sets up a store at this address: `postgres://user:password@host:5432/database`, or `postgresql://`. Several hosts,
    /// separated by commas, are tried in order until one takes writes; a Unix socket is named by its directory
    /// (`postgres://shop@%2Frun%2Fpostgresql/shop`). Options are methods of the builder, never part of this address.
    ///
    /// ```
    /// let builder = larder_postgres::PostgresStore::builder("postgres://shop@localhost/shop").create_table(true);
    /// ```
    pub fn builder(address: &str) -> PostgresStoreBuilder {
        PostgresStoreBuilder::of_address(address)
    }

    /// A store at this address with the default settings: see [`builder`](PostgresStore::builder) and
    /// [`build`](PostgresStoreBuilder::build). The table must be there.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> larder_core::Result<()> {
    /// let store = larder_postgres::PostgresStore::connect("postgres://shop@127.0.0.1:1/shop")?;
    /// # Ok(()) }
    /// ```
    pub fn connect(address: &str) -> Result<Self> {
        Self::builder(address).build()
    }

    /// Sets up a store that has its connections made by an application's own pool: its address, TLS and hooks hold.
    ///
    /// It takes [`connections`](PostgresStoreBuilder::connections) and one more **out of the pool, for good**, and
    /// shares them among all operations: the pool does not count them any more, and never sees them again. Checking one
    /// out for each operation would cost more than twice the time.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> larder_core::Result<()> {
    /// use larder_postgres::{PostgresStore, deadpool_postgres::{Config, Runtime}};
    /// # use larder_postgres::deadpool_postgres::tokio_postgres::NoTls;
    ///
    /// let mut config = Config::new();
    /// config.url = Some("postgres://shop@127.0.0.1:1/shop".into());
    /// let pool = config.create_pool(Some(Runtime::Tokio1), NoTls).unwrap();
    /// let store = PostgresStore::from_pool(pool).connections(2).build()?;
    /// # Ok(()) }
    /// ```
    pub fn from_pool(pool: Pool) -> PostgresStoreBuilder {
        PostgresStoreBuilder::of_pool(pool)
    }

    pub(crate) fn open(connector: Connector) -> Result<Self> {
        let filing = Filing::new(&connector.settings.prefix);
        let engine = Engine::new(Arc::new(Hub::new(connector)));
        let (closing, closed) = watch::channel(());
        let events = Arc::default();
        supervisor::start(&engine.hub, &closed)?;
        sweep::start(engine.clone(), Arc::clone(&events), closed)?;
        Ok(Self { engine, filing, random: Arc::new(OsRandom), events, _closing: closing })
    }

    /// Makes the table and its sequence if they are missing, on a connection of its own. Any number of processes may call
    /// it at once. What is there already is left as it is.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) where a table of this name is not Larder's, or not as the settings say, or the role
    /// may not make one; else as any operation. It has no deadline but
    /// [`walk_timeout`](PostgresStoreBuilder::walk_timeout).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> larder_core::Result<()> {
    /// let store = larder_postgres::PostgresStore::connect("postgres://shop@127.0.0.1:1/shop")?;
    /// if let Err(error) = store.migrate().await {
    ///     eprintln!("no table: {error}");
    /// }
    /// # Ok(()) }
    /// ```
    pub async fn migrate(&self) -> Result<()> {
        self.engine.migrate().await
    }

    async fn read(&self, sql: Sql, key: &Key) -> Result<Option<tokio_postgres::Row>> {
        let key: &[u8] = &self.filing.key(key);
        self.engine.row(sql, Route::Any, Effect::None, &[&key]).await
    }

    fn wire(&self, value: Value, expiry: Expiry) -> Result<Wire> {
        let wire = Wire::of(value, self.engine.hub.connector.settings.max_value_bytes)?;
        // What nobody will read need not travel.
        Ok(if expiry.is_past() { Wire::NOTHING } else { wire })
    }

    /// `set` or `add`.
    async fn put(
        &self,
        sql: Sql,
        key: &Key,
        wire: &Wire,
        expiry: Expiry,
        salt: i64,
    ) -> Result<Option<tokio_postgres::Row>> {
        let key: &[u8] = &self.filing.key(key);
        let (bytes, millis) = (wire.bytes.as_deref(), rows::millis(expiry));
        let parameters: Parameters<'_> = &[&key, &bytes, &wire.int, &millis, &salt];
        self.engine.row(sql, Route::Of(hash(key)), Effect::Possible, parameters).await
    }
}

/// Shows where it is and what it met last; never keys, values or passwords.
impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hub = &self.engine.hub;
        let settings = &hub.connector.settings;
        f.debug_struct("PostgresStore")
            .field("server", &hub.connector.server.name())
            .field("table", &settings.names.table)
            .field("prefix", &settings.prefix)
            .field("connected", &(0..hub.lanes()).filter(|lane| hub.is_live(*lane)).count())
            .field("trouble", &hub.trouble())
            .field("upkeep", &hub.upkeep())
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl CacheStore for PostgresStore {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new()
            .with_operations(Operations::ALL)
            .with_shared(true)
            .with_remote(true)
            .with_expiry_resolution(std::time::Duration::from_millis(1))
            .with_max_value_bytes(self.engine.hub.connector.settings.max_value_bytes)
    }

    fn guarantees(&self) -> Guarantees {
        guarantees::of(&self.engine.hub.connector.settings)
    }

    fn servers(&self) -> Vec<String> {
        vec![self.engine.hub.connector.server.name().to_owned()]
    }

    fn subscribe(&self, events: Arc<dyn StoreEvents>) {
        // Called once; a second listener is none of the contract's.
        let _ = self.events.set(events);
    }

    async fn get(&self, key: &Key) -> Result<Option<Value>> {
        match self.read(Sql::Get, key).await? {
            Some(row) => rows::value(row, 0),
            None => Ok(None),
        }
    }

    async fn has(&self, key: &Key) -> Result<bool> {
        Ok(self.read(Sql::Has, key).await?.is_some())
    }

    async fn set(&self, key: &Key, value: Value, expiry: Expiry) -> Result<()> {
        let wire = self.wire(value, expiry)?;
        if expiry.is_past() {
            return self.delete(key).await.map(drop);
        }
        self.put(Sql::Set, key, &wire, expiry, salt(&*self.random)?).await.map(drop)
    }

    async fn delete(&self, key: &Key) -> Result<bool> {
        let key: &[u8] = &self.filing.key(key);
        let row = self.engine.row(Sql::Delete, Route::Of(hash(key)), Effect::Possible, &[&key]).await?;
        row.map_or(Ok(false), |row| get(&row, 0))
    }

    async fn get_many(&self, keys: &[Key]) -> Vec<Result<Option<Value>>> {
        self.engine.get_many(&self.filing, keys).await
    }

    async fn set_many(&self, entries: Vec<(Key, Value, Expiry)>) -> Vec<Result<()>> {
        match salt(&*self.random) {
            Ok(salt) => self.engine.set_many(&self.filing, entries, salt).await,
            Err(error) => entries.iter().map(|_| Err(error.clone())).collect(),
        }
    }

    async fn delete_many(&self, keys: &[Key]) -> Vec<Result<bool>> {
        self.engine.delete_many(&self.filing, keys).await
    }

    async fn get_versioned(&self, key: &Key) -> Result<Option<(Value, Version)>> {
        let Some(row) = self.read(Sql::GetVersioned, key).await? else { return Ok(None) };
        let version = rows::version(get(&row, 0)?, get(&row, 1)?);
        Ok(rows::value(row, 2)?.map(|value| (value, version)))
    }

    async fn add(&self, key: &Key, value: Value, expiry: Expiry) -> Result<Option<Version>> {
        let wire = self.wire(value, expiry)?;
        let salt = salt(&*self.random)?;
        let row = self.put(Sql::Add, key, &wire, expiry, salt).await?;
        row.map(|row| Ok(rows::version(get(&row, 0)?, salt))).transpose()
    }

    async fn replace(
        &self,
        key: &Key,
        version: &Version,
        value: Value,
        expiry: Expiry,
    ) -> Result<Option<Version>> {
        let wire = self.wire(value, expiry)?;
        let salt = salt(&*self.random)?;
        let Some((number, old)) = rows::columns(version) else { return Ok(None) };
        let key: &[u8] = &self.filing.key(key);
        let route = Route::Of(hash(key));
        if expiry.is_past() {
            let gone =
                self.engine.row(Sql::DeleteVersion, route, Effect::Possible, &[&key, &number, &old]).await?;
            // There is no state that this version could be of.
            return Ok(gone.map(|_| rows::version(number, salt)));
        }
        let (bytes, millis) = (wire.bytes.as_deref(), rows::millis(expiry));
        let parameters: Parameters<'_> = &[&key, &bytes, &wire.int, &millis, &salt, &number, &old];
        let row = self.engine.row(Sql::Replace, route, Effect::Possible, parameters).await?;
        row.map(|row| Ok(rows::version(get(&row, 0)?, salt))).transpose()
    }

    async fn increment(&self, key: &Key, delta: i64, expiry: Expiry) -> Result<i64> {
        let salt = salt(&*self.random)?;
        let key: &[u8] = &self.filing.key(key);
        let millis = rows::millis(expiry);
        let route = Route::Of(hash(key));
        match self
            .engine
            .row(Sql::Increment, route, Effect::Possible, &[&key, &delta, &millis, &salt])
            .await?
        {
            Some(row) => get(&row, 0),
            None => Err(Error::new(ErrorKind::WrongType, "the entry is not a counter")),
        }
    }

    async fn touch(&self, key: &Key, expiry: Expiry) -> Result<bool> {
        if expiry.is_past() {
            return self.delete(key).await;
        }
        let salt = salt(&*self.random)?;
        let key: &[u8] = &self.filing.key(key);
        let millis = rows::millis(expiry);
        let row = self
            .engine
            .row(Sql::Touch, Route::Of(hash(key)), Effect::Possible, &[&key, &millis, &salt])
            .await?;
        Ok(row.is_some())
    }

    async fn expiry(&self, key: &Key) -> Result<Option<Expiry>> {
        let row = self.read(Sql::Expiry, key).await?;
        row.map(|row| Ok(rows::expiry(get(&row, 0)?))).transpose()
    }

    async fn clear(&self, namespace: &Namespace) -> Result<()> {
        self.engine.clear(&self.filing, namespace).await
    }

    async fn keys(&self, namespace: &Namespace) -> Result<Vec<Key>> {
        self.engine.keys(&self.filing, namespace).await
    }

    async fn len(&self) -> Result<u64> {
        self.engine.count(&self.filing).await
    }
}
