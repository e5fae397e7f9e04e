//! What the tests share: a scripted store, gates, and a cache over both.

mod cluster;
mod gate;
mod scripted;

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use larder_core::{
    Cache, CacheBuilder, CacheStore, Error, Event, Expiry, Key, ManualClock, Namespace, Observer,
    StoreHandle, Value,
};

pub(crate) use self::{
    cluster::{Cluster, load, load_with},
    gate::Gate,
    scripted::{Act, Scripted},
};

/// A cache over a scripted store, with everything that steers it.
pub(crate) struct Rig {
    pub(crate) cache: Cache,
    pub(crate) store: Arc<Scripted>,
    pub(crate) handle: StoreHandle,
    pub(crate) clock: ManualClock,
    pub(crate) events: Arc<Events>,
}

impl Rig {
    pub(crate) fn new() -> Self {
        Self::with(Scripted::default(), |builder| builder)
    }

    /// Over a store that keeps bytes, as a server does.
    pub(crate) fn bytes() -> Self {
        Self::with(Scripted::keeping_bytes(), |builder| builder)
    }

    pub(crate) fn with(store: Scripted, build: impl FnOnce(CacheBuilder) -> CacheBuilder) -> Self {
        let clock = store.inner.clock.clone();
        let store = Arc::new(store);
        let handle = StoreHandle::from_arc(Arc::clone(&store) as Arc<dyn CacheStore>);
        let events = Arc::new(Events::default());
        let observer = Arc::clone(&events) as Arc<dyn Observer>;
        let cache = build(Cache::builder(handle.clone())).observer(observer).build().unwrap();
        Self { cache, store, handle, clock, events }
    }

    /// Waits until no key has any state left, which every test ends with: nothing leaks.
    pub(crate) async fn at_rest(&self) {
        until(|| self.handle.busy_keys() == 0).await;
    }

    /// What the store holds under `text`, past every rule of the cache.
    pub(crate) async fn stored(&self, text: &str) -> Option<Value> {
        self.store.inner.get(&self.cache.key(text).unwrap()).await.unwrap()
    }

    /// Puts `value` into the store, past every rule of the cache.
    pub(crate) async fn plant(&self, text: &str, value: Value) {
        self.store.inner.set(&self.cache.key(text).unwrap(), value, Expiry::Never).await.unwrap();
    }

    /// Whether a number under `text` is in the store, and which.
    pub(crate) async fn number(&self, text: &str) -> Option<i64> {
        match self.stored(text).await? {
            Value::Int(int) => Some(int),
            other => panic!("not a number: {other:?}"),
        }
    }
}

/// Remembers the names of all events.
#[derive(Debug, Default)]
pub(crate) struct Events(Mutex<Vec<String>>);

impl Events {
    /// What happened since the last call.
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    pub(crate) fn count(&self, what: &str) -> usize {
        self.0.lock().unwrap().iter().filter(|event| event.starts_with(what)).count()
    }
}

impl Observer for Events {
    fn event(&self, event: &Event<'_>) {
        let line = match event {
            Event::Hit { key, saved, .. } => format!("hit {key:?} saved {saved:?}"),
            Event::Miss { key, .. } => format!("miss {key:?}"),
            Event::Joined { key, .. } => format!("joined {key:?}"),
            Event::Loaded { key, took, kept, .. } => format!("loaded {key:?} in {took:?} {kept:?}"),
            Event::LoadFailed { key, took, error, .. } => format!("load failed {key:?} in {took:?}: {error}"),
            Event::StoreError { operation, error, .. } => {
                format!("store error {operation} {:?}", error.kind())
            }
            Event::Undecodable { key, .. } => format!("undecodable {key:?}"),
            Event::Evicted { cause, .. } => format!("evicted {cause:?}"),
            other => format!("{other:?}"),
        };
        self.0.lock().unwrap().push(line);
    }
}

/// Lets other tasks run until `condition` holds.
pub(crate) async fn until(mut condition: impl FnMut() -> bool) {
    for _ in 0..10_000 {
        if condition() {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("it never came to that");
}

/// Lets other tasks run as far as they come.
pub(crate) async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

/// The result of a loader that does not fail.
#[expect(clippy::unnecessary_wraps, reason = "loaders return results")]
pub(crate) fn fine<T>(value: T) -> Result<T, Infallible> {
    Ok(value)
}

pub(crate) fn broken(kind: larder_core::ErrorKind) -> Error {
    Error::new(kind, "as told by the script")
}

pub(crate) fn key(path: &[&str], text: &str) -> Key {
    Key::new(&namespace(path), text).unwrap()
}

pub(crate) fn namespace(path: &[&str]) -> Namespace {
    path.iter().try_fold(Namespace::root(), |ns, name| ns.child(name)).unwrap()
}

/// Compares with the file of a release, or writes it where `LARDER_BLESS` asks for that.
pub(crate) fn golden(name: &str, made: &[u8]) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("LARDER_BLESS").is_some() {
        std::fs::write(&path, made).unwrap();
    }
    let kept = std::fs::read(&path).unwrap();
    assert!(kept == made, "{name} is not what the encoder makes: old entries could not be found any more");
}
