//! The store.

use std::{fmt, sync::Arc, time::Duration};

use fred::clients::Pool;
use larder_core::{
    CacheStore, Capabilities, Expiry, Guarantees, Key, Namespace, Operations, Result, Value, Version,
    async_trait,
};

use crate::{config::RedisStoreBuilder, engine::Engine, guarantees, wire::Found};

/// Keeps entries in Redis: one server, one watched by Sentinel, or a cluster.
///
/// It has every optional operation. Clones share their connections; when the last one is dropped, the connections are closed and the tasks
/// behind them end.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> larder_core::Result<()> {
/// use larder_core::{CacheStore, ErrorKind, Key, Namespace};
/// use larder_redis::RedisStore;
///
/// // Nobody listens there: an application starts while its server is down.
/// let store = RedisStore::builder("redis://127.0.0.1:1").build()?;
/// let error = store.get(&Key::new(&Namespace::root(), "greeting")?).await.unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Unavailable);
/// # Ok(()) }
/// ```
#[doc(alias = "valkey")]
#[doc(alias = "sentinel")]
#[doc(alias = "cluster")]
#[derive(Clone)]
pub struct RedisStore {
    engine: Arc<Engine>,
}

impl RedisStore {
    /// Sets up a store at an address: see the [crate's page](crate#addresses) for its forms.
    ///
    /// ```
    /// let builder = larder_redis::RedisStore::builder("redis+cluster://a.internal,b.internal:6380");
    /// ```
    pub fn builder(address: &str) -> RedisStoreBuilder {
        RedisStoreBuilder::at(address)
    }

    /// A store at an address, with the defaults. It connects in the background.
    ///
    /// # Errors
    /// [`Config`](larder_core::ErrorKind::Config) if the address is none, and outside a Tokio runtime.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> larder_core::Result<()> {
    /// let store = larder_redis::RedisStore::connect("redis://127.0.0.1:6379")?;
    /// # Ok(()) }
    /// ```
    pub fn connect(address: &str) -> Result<Self> {
        Self::builder(address).build()
    }

    /// Sets up a store over an application's own client, which the application connects and closes.
    ///
    /// The client needs a reconnect policy, and its `max_command_buffer_len` must be 0: [`build`](RedisStoreBuilder::build)
    /// refuses others. With a `default_command_timeout`, its `replica.ignore_reconnection_errors` must be false (except in a cluster):
    /// fred asks for the replicas on each new connection, and a late answer is taken for the one to the next command. In a cluster, its `max_redirections` must be 0 too: following a key that is on its way to another server, fred
    /// mixes up the answers on a connection. The store follows keys itself.
    /// A write is [`Ambiguous`](larder_core::ErrorKind::Ambiguous) when it is refused with one of its `reconnect_errors`, which are `LOADING` and `READONLY` by
    /// default: fred gives such an answer to everything in flight.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use larder_redis::{RedisStore, fred::prelude::*};
    ///
    /// let config = Config::from_url("redis://127.0.0.1:6379")?;
    /// let policy = ReconnectPolicy::new_exponential(0, 50, 500, 2);
    /// let pool = Pool::new(config, None, None, Some(policy), 1)?;
    /// pool.connect();
    /// let store = RedisStore::from_client(pool).prefix("shop:").build()?;
    /// # Ok(()) }
    /// ```
    pub fn from_client(client: Pool) -> RedisStoreBuilder {
        RedisStoreBuilder::over(client)
    }

    pub(crate) fn new(engine: Engine) -> Self {
        Self { engine: Arc::new(engine) }
    }
}

/// Shows where it is and how it is set, never a password, a key or a value.
impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Engine { settings, topology, .. } = &*self.engine;
        f.debug_struct("RedisStore")
            .field("server", &topology.name())
            .field("prefix", &settings.prefix)
            .field("operation_timeout", &settings.operation_timeout)
            .field("connections", &settings.connections)
            .field("read_from", &settings.read_from)
            .field("wait_replicas", &settings.wait_replicas)
            .field("distrusts_rollback", &settings.distrusts)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl CacheStore for RedisStore {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new()
            .with_operations(Operations::ALL)
            .with_shared(true)
            .with_remote(true)
            .with_expiry_resolution(Duration::from_millis(1))
            .with_max_value_bytes(self.engine.settings.max_value_bytes)
    }

    async fn get(&self, key: &Key) -> Result<Option<Value>> {
        let engine = &*self.engine;
        let _inside = engine.gate.enter(1)?;
        Ok(engine.find(key).await?.map(Found::into_value))
    }

    async fn set(&self, key: &Key, value: Value, expiry: Expiry) -> Result<()> {
        let engine = &*self.engine;
        let _inside = engine.gate.enter(1)?;
        let key = engine.key(key);
        let lane = &*engine.write_lane(&key);
        if expiry.is_past() {
            return Box::pin(engine.set_past(lane, key, &value, &engine.deadline())).await;
        }
        engine.put(lane, key, &value, expiry).await
    }

    async fn delete(&self, key: &Key) -> Result<bool> {
        let engine = &*self.engine;
        let _inside = engine.gate.enter(1)?;
        let key = engine.key(key);
        engine.remove(&engine.write_lane(&key), key.clone(), &engine.deadline()).await
    }

    fn guarantees(&self) -> Guarantees {
        guarantees::of(&self.engine.settings, &self.engine.topology)
    }

    /// One: the server, the service that the sentinels watch, or the whole cluster. A lost primary stalls the one client
    /// of a cluster for all slots, and its servers change with time, so that they are not told apart.
    fn servers(&self) -> Vec<String> {
        vec![self.engine.topology.name()]
    }

    async fn ping(&self, _server: usize) -> Result<()> {
        let _inside = self.engine.gate.enter(1)?;
        self.engine.ping().await
    }

    async fn has(&self, key: &Key) -> Result<bool> {
        let _inside = self.engine.gate.enter(1)?;
        self.engine.has(key).await
    }

    async fn get_many(&self, keys: &[Key]) -> Vec<Result<Option<Value>>> {
        self.engine.get_many(keys).await
    }

    async fn set_many(&self, entries: Vec<(Key, Value, Expiry)>) -> Vec<Result<()>> {
        self.engine.set_many(entries).await
    }

    async fn delete_many(&self, keys: &[Key]) -> Vec<Result<bool>> {
        self.engine.delete_many(keys).await
    }

    async fn get_versioned(&self, key: &Key) -> Result<Option<(Value, Version)>> {
        let _inside = self.engine.gate.enter(1)?;
        let found = self.engine.find(key).await?;
        Ok(found.map(|found| {
            let version = found.version();
            (found.into_value(), version)
        }))
    }

    async fn add(&self, key: &Key, value: Value, expiry: Expiry) -> Result<Option<Version>> {
        let _inside = self.engine.gate.enter(1)?;
        self.engine.add(key, &value, expiry).await
    }

    async fn replace(
        &self,
        key: &Key,
        version: &Version,
        value: Value,
        expiry: Expiry,
    ) -> Result<Option<Version>> {
        let _inside = self.engine.gate.enter(1)?;
        self.engine.replace(key, version, &value, expiry).await
    }

    async fn increment(&self, key: &Key, delta: i64, expiry: Expiry) -> Result<i64> {
        let _inside = self.engine.gate.enter(1)?;
        self.engine.increment(key, delta, expiry).await
    }

    async fn touch(&self, key: &Key, expiry: Expiry) -> Result<bool> {
        let _inside = self.engine.gate.enter(1)?;
        self.engine.touch(key, expiry).await
    }

    async fn expiry(&self, key: &Key) -> Result<Option<Expiry>> {
        let _inside = self.engine.gate.enter(1)?;
        self.engine.expiry(key).await
    }

    async fn clear(&self, namespace: &Namespace) -> Result<()> {
        let _inside = self.engine.gate.enter(1)?;
        self.engine.clear(namespace).await
    }

    async fn keys(&self, namespace: &Namespace) -> Result<Vec<Key>> {
        let _inside = self.engine.gate.enter(1)?;
        self.engine.keys(namespace).await
    }

    async fn len(&self) -> Result<u64> {
        let _inside = self.engine.gate.enter(1)?;
        self.engine.len().await
    }
}
