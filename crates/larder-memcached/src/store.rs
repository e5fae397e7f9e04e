//! The store.

use std::{borrow::Cow, fmt, sync::Arc};

use futures_util::future::join_all;
use larder_core::{
    CacheStore, Capabilities, Clock, Error, ErrorKind, Expiry, Guarantees, Hazard, Key, Operations, Result,
    Timestamp, Value, Version, async_trait,
};

use crate::{
    cluster::Cluster,
    config::{Config, MemcachedStoreBuilder},
    error,
    item::{Item, version},
    job::{Answer, Change, Op, Outcome},
    random::{Mark, Marks},
};

/// How many keys of a batch are under way at once.
const BATCH: usize = 4_096;

/// Keeps entries in memcached: one server, or several on a ring.
///
/// It has every optional operation but `clear`, `keys` and `len`, which memcached cannot do exactly: a
/// [`Cache`](larder_core::Cache) clears a namespace by renewing its stamp. Nothing is ever flushed.
///
/// No caller owns the protocol of a connection, callers only wait for their answer: a caller may go away at any moment
/// without harm to anybody else's. It has no `Clone`: loads are shared and fenced by the handle around a store, so share
/// that ([`StoreHandle`](larder_core::StoreHandle)) or the cache. Dropping the store closes its connections.
///
/// ```no_run
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> larder_core::Result<()> {
/// use larder_core::{CacheStore, Expiry, Key, Namespace, Value};
/// use larder_memcached::MemcachedStore;
///
/// let store = MemcachedStore::connect("memcached://localhost:11211")?;
/// let key = Key::new(&Namespace::root(), "greeting")?;
/// store.set(&key, Value::Bytes("hello".into()), Expiry::Never).await?;
/// assert!(store.has(&key).await?);
/// # Ok(()) }
/// ```
#[doc(alias = "memcache")]
#[doc(alias = "ketama")]
pub struct MemcachedStore {
    cluster: Cluster,
    config: Config,
    marks: Marks,
}

impl MemcachedStore {
    /// Sets up a store for these servers: `memcached://host:port`, or
    /// `memcached://user:password@host:port*weight,host2:port`; `memcacheds://` for TLS; `memcached+unix:///path` for a
    /// Unix socket. The port is 11211 and the weight 1 where they are not given.
    ///
    /// ```
    /// let builder = larder_memcached::MemcachedStore::builder("memcached://cache-a,cache-b");
    /// ```
    pub fn builder(address: impl Into<String>) -> MemcachedStoreBuilder {
        MemcachedStoreBuilder::new(address.into())
    }

    /// A store for these servers with every setting at its default. It connects when it is first used.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) for an address that is wrong, and outside a Tokio runtime.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> larder_core::Result<()> {
    /// use larder_core::CacheStore;
    /// use larder_memcached::MemcachedStore;
    ///
    /// let store = MemcachedStore::connect("memcached://cache-a,cache-b:11212")?;
    /// assert_eq!(store.servers(), ["cache-a:11211", "cache-b:11212"]);
    /// # Ok(()) }
    /// ```
    pub fn connect(address: &str) -> Result<Self> {
        Self::builder(address).build()
    }

    pub(crate) fn new(config: Config) -> Result<Self> {
        // What runs in it is started with the first operation; who has none should hear of it now.
        tokio::runtime::Handle::try_current().map_err(|cause| {
            let message = "no Tokio runtime here: build the store within one";
            Error::new(ErrorKind::Config, message).with_source(cause)
        })?;
        Ok(Self { cluster: Cluster::new(&config), marks: Marks::from_os()?, config })
    }

    fn now(&self) -> Timestamp {
        self.config.clock.now()
    }

    /// The key as the servers know it.
    fn name<'a>(&self, key: &'a Key) -> Cow<'a, str> {
        match self.config.prefix.as_str() {
            "" => Cow::Borrowed(key.as_str()),
            prefix => Cow::Owned([prefix, key.as_str()].concat()),
        }
    }

    fn item(&self, value: &Value, expiry: Expiry) -> Result<Item> {
        let wire = value.to_wire()?;
        // The first byte is its kind.
        let (bytes, limit) = (wire.len() - 1, self.config.max_value_bytes);
        if bytes > limit {
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!("a value of {bytes} bytes, the limit is {limit} (`max_value_bytes`)"),
            ));
        }
        Ok(Item { ends: expiry.deadline(self.now()), mark: self.marks.next(), wire })
    }

    /// A value that is past before it is there leaves a miss: that is a deletion.
    fn set_op(&self, key: &Key, value: &Value, expiry: Expiry) -> Result<Op> {
        let (key, item) = (self.name(key).into_owned(), self.item(value, expiry)?);
        Ok(if expiry.is_past() { Op::Delete { key } } else { Op::Set { key, item } })
    }

    async fn ask(&self, op: Op) -> Result<Answer> {
        self.cluster.lane(self.cluster.connection_of(key_of(&op))).ask(op).await
    }

    async fn change(&self, key: &Key, change: Change) -> Result<Outcome> {
        match self.ask(Op::Change { key: self.name(key).into_owned(), change }).await? {
            Answer::Changed(outcome) => Ok(outcome),
            _ => Err(error::mismatch()),
        }
    }

    /// What is there, if its time is not over.
    async fn find(&self, key: &Key) -> Result<Option<Found>> {
        let name = self.name(key);
        let lane = self.cluster.lane(self.cluster.connection_of(&name));
        let ends = lane.ends();
        // What lives longer than the operation may take was live when it was asked for: that saves a look at the clock.
        let until = self.config.clock.is_real().then_some(ends);
        Ok(lane.read(&name, ends).await?.and_then(|item| self.open(item, until)))
    }

    /// Bytes that do not read as a value are a miss. So is what has ended. It has not where it ends behind `until`, a time that
    /// was still to come when it was read.
    fn open(&self, item: Item, until: Option<Timestamp>) -> Option<Found> {
        let Item { ends, mark, wire } = item;
        let is_live = ends == Timestamp::MAX || until.is_some_and(|until| ends > until) || ends > self.now();
        if !is_live {
            return None;
        }
        Some(Found { value: Value::from_wire(wire).ok()?, ends, mark })
    }

    /// All operations at once: one trip for each connection, unless there are very many.
    async fn batch<T>(&self, ops: Vec<Result<Op>>, read: impl Fn(Answer) -> Result<T>) -> Vec<Result<T>> {
        let mut results = Vec::with_capacity(ops.len());
        let mut ops = ops.into_iter();
        loop {
            let some: Vec<_> = ops.by_ref().take(BATCH).collect();
            if some.is_empty() {
                return results;
            }
            let answers = self.ask_all(some).await;
            results.extend(answers.into_iter().map(|answer| read(answer?)));
        }
    }

    async fn ask_all(&self, ops: Vec<Result<Op>>) -> Vec<Result<Answer>> {
        let mut answers: Vec<Option<Result<Answer>>> = Vec::with_capacity(ops.len());
        let mut routed: Vec<(Vec<usize>, Vec<Op>)> = Vec::new();
        routed.resize_with(self.cluster.connections(), Default::default);
        for (at, op) in ops.into_iter().enumerate() {
            match op {
                Ok(op) => {
                    let (places, ops) = &mut routed[self.cluster.connection_of(key_of(&op))];
                    places.push(at);
                    ops.push(op);
                    answers.push(None);
                }
                Err(error) => answers.push(Some(Err(error))),
            }
        }
        let trips = routed.into_iter().enumerate().filter(|(_, (_, ops))| !ops.is_empty()).map(
            |(connection, (places, ops))| async move {
                (places, self.cluster.lane(connection).ask_all(ops).await)
            },
        );
        // Collected first: a lazy iterator of futures that borrow is not `Send` enough.
        let trips: Vec<_> = trips.collect();
        for (places, trip) in join_all(trips).await {
            for (place, answer) in places.into_iter().zip(trip) {
                answers[place] = Some(answer);
            }
        }
        answers.into_iter().map(|answer| answer.unwrap_or_else(|| Err(error::mismatch()))).collect()
    }
}

/// A live entry.
struct Found {
    value: Value,
    ends: Timestamp,
    mark: Mark,
}

fn key_of(op: &Op) -> &str {
    match op {
        Op::Get { key } | Op::Set { key, .. } | Op::Delete { key } | Op::Change { key, .. } => key,
        Op::Ping => "",
    }
}

#[async_trait]
impl CacheStore for MemcachedStore {
    fn capabilities(&self) -> Capabilities {
        let operations =
            Operations::VERSIONS | Operations::INCREMENT | Operations::TOUCH | Operations::EXPIRY;
        Capabilities::new()
            .with_operations(operations)
            .with_shared(true)
            .with_remote(true)
            .with_merges_reads(true)
            .with_max_value_bytes(self.config.max_value_bytes)
    }

    async fn get(&self, key: &Key) -> Result<Option<Value>> {
        Ok(self.find(key).await?.map(|found| found.value))
    }

    async fn set(&self, key: &Key, value: Value, expiry: Expiry) -> Result<()> {
        self.ask(self.set_op(key, &value, expiry)?).await.map(drop)
    }

    async fn delete(&self, key: &Key) -> Result<bool> {
        match self.ask(Op::Delete { key: self.name(key).into_owned() }).await? {
            Answer::Deleted(was_live) => Ok(was_live),
            _ => Err(error::mismatch()),
        }
    }

    fn clock(&self) -> Option<Arc<dyn Clock>> {
        Some(Arc::clone(&self.config.clock))
    }

    fn guarantees(&self) -> Guarantees {
        let said = Guarantees::new()
            .promise("a write that was acknowledged is what every process reads next")
            .promise("an invalidation is acknowledged only when the server has confirmed it")
            .weakened(
                Hazard::Restart,
                "a server that restarts forgets its entries: counters begin anew and `add` wins again",
                None,
            )
            .weakened(
                Hazard::Eviction,
                "a full server drops entries before their time, and says nothing: counters begin anew and `add` wins again",
                None,
            )
            .weakened(
                Hazard::Stall,
                "a `set`, `add` or `increment` that was not answered in time may still happen when the server goes on, \
                 after a later write or delete of its key over another connection; what a load keeps does not",
                None,
            )
            .weakened(
                Hazard::ClockSkew,
                "each process judges deadlines by its own clock: an entry lives longer or shorter by their difference",
                None,
            );
        if self.cluster.servers.len() == 1 {
            return said;
        }
        let said = said.weakened(
            Hazard::Processes,
            "processes whose lists of servers or weights differ look for keys on different servers",
            None,
        );
        if !self.config.rehash {
            return said;
        }
        said.weakened(
            Hazard::Rehash,
            "while a server cannot be reached its keys are on others; when it is back, so are the values it had, \
             also those deleted or replaced meanwhile",
            Some("rehash = false".into()),
        )
    }

    fn servers(&self) -> Vec<String> {
        self.cluster.servers.iter().map(|server| server.name.clone()).collect()
    }

    fn server_of(&self, key: &Key) -> usize {
        self.cluster.server_of(&self.name(key))
    }

    async fn ping(&self, server: usize) -> Result<()> {
        let Some(server) = self.cluster.servers.get(server) else {
            return Err(Error::new(ErrorKind::Config, "there is no server of this number"));
        };
        // Each connection fails by itself.
        let pings: Vec<_> = server.lanes.iter().map(|lane| lane.ask(Op::Ping)).collect();
        join_all(pings).await.into_iter().try_for_each(|answer| answer.map(drop))
    }

    async fn has(&self, key: &Key) -> Result<bool> {
        Ok(self.find(key).await?.is_some())
    }

    async fn get_many(&self, keys: &[Key]) -> Vec<Result<Option<Value>>> {
        let ops = keys.iter().map(|key| Ok(Op::Get { key: self.name(key).into_owned() })).collect();
        let read = |answer| match answer {
            Answer::Item(item) => Ok(item.and_then(|item| self.open(item, None)).map(|found| found.value)),
            _ => Err(error::mismatch()),
        };
        self.batch(ops, read).await
    }

    async fn set_many(&self, entries: Vec<(Key, Value, Expiry)>) -> Vec<Result<()>> {
        let ops = entries.iter().map(|(key, value, expiry)| self.set_op(key, value, *expiry)).collect();
        drop(entries);
        self.batch(ops, |_| Ok(())).await
    }

    async fn delete_many(&self, keys: &[Key]) -> Vec<Result<bool>> {
        let ops = keys.iter().map(|key| Ok(Op::Delete { key: self.name(key).into_owned() })).collect();
        let read = |answer| match answer {
            Answer::Deleted(was_live) => Ok(was_live),
            _ => Err(error::mismatch()),
        };
        self.batch(ops, read).await
    }

    async fn get_versioned(&self, key: &Key) -> Result<Option<(Value, Version)>> {
        Ok(self.find(key).await?.map(|found| (found.value, version(&found.mark))))
    }

    async fn add(&self, key: &Key, value: Value, expiry: Expiry) -> Result<Option<Version>> {
        let change = Change::Add(self.item(&value, expiry)?);
        Ok(won(self.change(key, change).await?))
    }

    async fn replace(
        &self,
        key: &Key,
        version: &Version,
        value: Value,
        expiry: Expiry,
    ) -> Result<Option<Version>> {
        let change = Change::Replace(*version, self.item(&value, expiry)?);
        Ok(won(self.change(key, change).await?))
    }

    async fn increment(&self, key: &Key, delta: i64, expiry: Expiry) -> Result<i64> {
        let change = Change::Increment(delta, self.item(&Value::Int(0), expiry)?);
        match self.change(key, change).await? {
            Outcome::Sum(sum) => Ok(sum),
            _ => Err(error::mismatch()),
        }
    }

    async fn touch(&self, key: &Key, expiry: Expiry) -> Result<bool> {
        let change = Change::Touch(expiry.deadline(self.now()), self.marks.next());
        Ok(self.change(key, change).await? == Outcome::Touched(true))
    }

    async fn expiry(&self, key: &Key) -> Result<Option<Expiry>> {
        let now = self.now();
        Ok(self.find(key).await?.map(|found| Expiry::until(found.ends, now)))
    }
}

fn won(outcome: Outcome) -> Option<Version> {
    match outcome {
        Outcome::Won(version) => Some(version),
        _ => None,
    }
}

/// Shows the servers and the settings; never keys, values or the password.
impl fmt::Debug for MemcachedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemcachedStore")
            .field("servers", &self.servers())
            .field("prefix", &self.config.prefix)
            .field("lanes", &self.config.lanes)
            .field("rehash", &self.config.rehash)
            .field("operation_timeout", &self.config.operation_timeout)
            .finish_non_exhaustive()
    }
}
