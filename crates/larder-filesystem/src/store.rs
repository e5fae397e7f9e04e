//! The store.

use std::{
    fmt,
    path::PathBuf,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use larder_core::{
    CacheStore, Capabilities, Clock, Error, Expiry, Guarantees, Key, Namespace, Operations, Result,
    StoreEvents, Timestamp, Value, Version, async_trait,
};

use crate::{
    accountant::Accountant,
    blocking::{Blocking, Effect},
    config::{Bounds, FileSystemStoreBuilder},
    directory::Directory,
    engine::Engine,
    error, guarantees,
    layout::Layout,
    locks::Locks,
    random::{OsRandom, Random},
    trash::Trash,
    upkeep::Upkeep,
};

/// How many entries of a batch one job handles.
const BATCH: usize = 64;

/// Keeps entries in files under one directory, which any number of processes of one machine may share.
///
/// It has every optional operation, and its entries outlive the process. Bounded, by default to 100 000 entries and 1 GiB
/// of disk space; when it is full, what has expired goes, then what was written longest ago. Every operation is a job
/// on a thread that may block, and runs to its end even if its caller goes away.
///
/// It has no `Clone`: loads are shared and fenced by the handle around a store, so share that
/// ([`StoreHandle`](larder_core::StoreHandle)) or the cache.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> larder_core::Result<()> {
/// # let dir = tempfile::tempdir().unwrap();
/// # let path = dir.path().join("cache");
/// use larder_core::{CacheStore, Expiry, Key, Namespace, Value};
/// use larder_filesystem::FileSystemStore;
///
/// let store = FileSystemStore::builder(path).open().await?;
/// let key = Key::new(&Namespace::root(), "greeting")?;
/// store.set(&key, Value::Bytes("hello".into()), Expiry::Never).await?;
/// assert!(store.has(&key).await?);
/// # Ok(()) }
/// ```
#[doc(alias = "file")]
#[doc(alias = "disk")]
#[doc(alias = "cacache")]
pub struct FileSystemStore {
    engine: Arc<Engine>,
    blocking: Arc<Blocking>,
    upkeep: Upkeep,
}

impl FileSystemStore {
    /// Sets the bounds and the rest of a store in this directory.
    ///
    /// ```
    /// let builder = larder_filesystem::FileSystemStore::builder("/var/cache/my-app");
    /// ```
    pub fn builder(path: impl Into<PathBuf>) -> FileSystemStoreBuilder {
        FileSystemStoreBuilder::new(path.into())
    }

    pub(crate) async fn open(config: FileSystemStoreBuilder, bounds: Bounds) -> Result<Self> {
        let blocking = Arc::new(Blocking::new(config.operation_timeout));
        let (every, patience) = (config.sweep_every, config.operation_timeout);
        let job = move || {
            let random: Arc<dyn Random> = Arc::new(OsRandom);
            let directory = Directory::open(&config.path, config.durability, &random, patience)?;
            let engine = Engine {
                layout: Layout::new(directory.path(), config.durability, Arc::clone(&random)),
                locks: Locks::new(
                    directory.path().join("locks"),
                    Trash::new(directory.path(), Arc::clone(&random)),
                    patience,
                ),
                accountant: Accountant::new(bounds),
                directory,
                clock: config.clock,
                random,
                events: OnceLock::new(),
                closing: AtomicBool::new(false),
                trouble: Mutex::new(None),
            };
            engine.tidy_alone().map_err(error::refused)?;
            Ok(engine)
        };
        let engine = Arc::new(blocking.point(Effect::None, job).await?);
        let upkeep = Upkeep::new(Arc::clone(&blocking), every);
        upkeep.wake(&engine)?;
        Ok(Self { engine, blocking, upkeep })
    }

    async fn read<T: Send + 'static>(
        &self,
        key: &Key,
        job: impl FnOnce(&Engine, &Key) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (engine, key) = (Arc::clone(&self.engine), key.clone());
        self.blocking.point(Effect::None, move || job(&engine, &key)).await
    }

    async fn write<T: Send + 'static>(
        &self,
        key: &Key,
        job: impl FnOnce(&Engine, &Key) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.upkeep.wake(&self.engine)?;
        let (engine, key) = (Arc::clone(&self.engine), key.clone());
        self.blocking.point(Effect::Possible, move || job(&engine, &key)).await
    }

    /// Runs a job for each item, some of them at a time.
    async fn batch<I: Send + 'static, T: Send + 'static>(
        &self,
        effect: Effect,
        mut items: Vec<I>,
        job: fn(&Engine, I) -> Result<T>,
    ) -> Vec<Result<T>> {
        let mut results = Vec::with_capacity(items.len());
        while !items.is_empty() {
            let rest = items.split_off(items.len().min(BATCH));
            let (some, count, engine) = (items, BATCH, Arc::clone(&self.engine));
            let count = count.min(some.len());
            let run = move || Ok(some.into_iter().map(|item| job(&engine, item)).collect::<Vec<_>>());
            match self.blocking.point(effect, run).await {
                Ok(some) => results.extend(some),
                Err(error) => results.extend((0..count).map(|_| Err(error.clone()))),
            }
            items = rest;
        }
        results
    }

    /// When an entry ends: counted from the call, however long its job waits.
    fn ends(&self, expiry: Expiry) -> Timestamp {
        expiry.deadline(self.engine.clock.now())
    }

    /// The form that is kept, if it is within the bounds.
    fn wire(&self, value: &Value) -> Result<Bytes> {
        let wire = value.to_wire()?;
        // The first byte is its kind.
        self.engine.accountant.bounds().check(wire.len() - 1)?;
        Ok(wire)
    }
}

impl Drop for FileSystemStore {
    fn drop(&mut self) {
        self.engine.closing.store(true, Ordering::Relaxed);
    }
}

/// Shows the path, the bounds, a recent count, and what the background met last; never keys or values.
impl fmt::Debug for FileSystemStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bounds = self.engine.accountant.bounds();
        let (entries, bytes) = self.engine.accountant.totals();
        f.debug_struct("FileSystemStore")
            .field("path", &self.engine.directory.path())
            .field("max_entries", &bounds.max_entries)
            .field("max_bytes", &bounds.max_bytes)
            .field("entries", &entries)
            .field("bytes", &bytes)
            .field("trouble", &*self.engine.trouble.lock().unwrap_or_else(PoisonError::into_inner))
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl CacheStore for FileSystemStore {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new()
            .with_operations(Operations::ALL)
            .with_shared(true)
            .with_max_value_bytes(self.engine.accountant.bounds().max_value())
    }

    fn guarantees(&self) -> Guarantees {
        guarantees::of(self.engine.layout.durability(), self.engine.accountant.bounds())
    }

    async fn get(&self, key: &Key) -> Result<Option<Value>> {
        Ok(self.get_versioned(key).await?.map(|(value, _)| value))
    }

    async fn set(&self, key: &Key, value: Value, expiry: Expiry) -> Result<()> {
        let wire = self.wire(&value)?;
        let ends = self.ends(expiry);
        self.write(key, move |engine, key| engine.set(key, &wire, ends)).await
    }

    async fn delete(&self, key: &Key) -> Result<bool> {
        self.write(key, Engine::delete).await
    }

    fn clock(&self) -> Option<Arc<dyn Clock>> {
        Some(Arc::clone(&self.engine.clock))
    }

    fn subscribe(&self, events: Arc<dyn StoreEvents>) {
        // Called once; a second listener is none of the contract's.
        let _ = self.engine.events.set(events);
    }

    async fn has(&self, key: &Key) -> Result<bool> {
        self.read(key, Engine::has).await
    }

    async fn get_many(&self, keys: &[Key]) -> Vec<Result<Option<Value>>> {
        let get = |engine: &Engine, key: Key| Ok(engine.get(&key)?.map(|(value, _)| value));
        self.batch(Effect::None, keys.to_vec(), get).await
    }

    async fn set_many(&self, entries: Vec<(Key, Value, Expiry)>) -> Vec<Result<()>> {
        type Entry = (Key, Result<Bytes>, Timestamp);
        let wired: Vec<Entry> = entries
            .into_iter()
            .map(|(key, value, expiry)| (key, self.wire(&value), self.ends(expiry)))
            .collect();
        if let Err(error) = self.upkeep.wake(&self.engine) {
            return wired.iter().map(|_| Err(Error::clone(&error))).collect();
        }
        self.batch(Effect::Possible, wired, |engine, (key, wire, ends)| engine.set(&key, &wire?, ends)).await
    }

    async fn delete_many(&self, keys: &[Key]) -> Vec<Result<bool>> {
        self.batch(Effect::Possible, keys.to_vec(), |engine, key| engine.delete(&key)).await
    }

    async fn get_versioned(&self, key: &Key) -> Result<Option<(Value, Version)>> {
        self.read(key, Engine::get).await
    }

    async fn add(&self, key: &Key, value: Value, expiry: Expiry) -> Result<Option<Version>> {
        let wire = self.wire(&value)?;
        let ends = self.ends(expiry);
        self.write(key, move |engine, key| engine.add(key, &wire, ends)).await
    }

    async fn replace(
        &self,
        key: &Key,
        version: &Version,
        value: Value,
        expiry: Expiry,
    ) -> Result<Option<Version>> {
        let (wire, version, ends) = (self.wire(&value)?, *version, self.ends(expiry));
        self.write(key, move |engine, key| engine.replace(key, &version, &wire, ends)).await
    }

    async fn increment(&self, key: &Key, delta: i64, expiry: Expiry) -> Result<i64> {
        let ends = self.ends(expiry);
        self.write(key, move |engine, key| engine.increment(key, delta, ends)).await
    }

    async fn touch(&self, key: &Key, expiry: Expiry) -> Result<bool> {
        let ends = self.ends(expiry);
        self.write(key, move |engine, key| engine.touch(key, ends)).await
    }

    async fn expiry(&self, key: &Key) -> Result<Option<Expiry>> {
        self.read(key, Engine::expiry).await
    }

    async fn clear(&self, namespace: &Namespace) -> Result<()> {
        let (engine, cleared) = (Arc::clone(&self.engine), namespace.clone());
        let mark = self.blocking.clear(move || engine.clear(&cleared)).await?;
        self.upkeep.after_clear(&self.engine, namespace.clone(), mark)
    }

    async fn keys(&self, namespace: &Namespace) -> Result<Vec<Key>> {
        let (engine, namespace) = (Arc::clone(&self.engine), namespace.clone());
        self.blocking.walk(move || engine.keys(&namespace)).await
    }

    async fn len(&self) -> Result<u64> {
        let engine = Arc::clone(&self.engine);
        self.blocking.walk(move || engine.len()).await
    }
}
