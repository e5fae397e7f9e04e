//! What is measured of every store with a server: its operations against the bare client, and the price of a hit.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use criterion::Criterion;
use larder_core::{
    Batching, Cache, CacheStore, Cacheable, ClearBy, Codec, EntryOptions, Expiry, Key, Namespace, Result,
    StoreHandle, StoreHandleBuilder, Value,
};
use tokio::runtime::Runtime;

use crate::{KEYS, Lane, race_tasks, tasks::spread};

/// The sizes of values.
const SIZES: [(&str, usize); 2] = [("100 B", 100), ("10 KB", 10 << 10)];
/// How many keys a batch asks for.
const BATCH: usize = 64;
const TASKS: [u32; 3] = [1, 64, 256];
/// How long entries are kept: longer than any run.
pub const KEPT: Duration = Duration::from_hours(1);
/// How long an operation may take here: a machine that is busy with something else shall not end the run.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// The client crate by itself, used as an application without Larder would. It panics where it is not answered.
pub trait Bare: Clone + Send + Sync + 'static {
    /// The value under a key.
    fn get(&self, key: &'static str) -> impl Future<Output = Bytes> + Send;
    /// Writes a value for [`KEPT`], and knows that it is written.
    fn set(&self, key: &'static str, value: Bytes) -> impl Future<Output = ()> + Send;
    /// How many bytes the values under these keys have.
    fn get_many(&self, keys: &'static [String]) -> impl Future<Output = usize> + Send;
}

/// One server, behind Larder and behind the client crate.
#[expect(missing_debug_implementations, reason = "clients have none")]
pub struct Stores<'a, B> {
    /// Its name in the groups.
    pub name: &'static str,
    /// Where all of it runs.
    pub runtime: &'a Runtime,
    /// The store.
    pub store: Arc<dyn CacheStore>,
    /// What so many tasks use without Larder.
    pub bare: &'a dyn Fn(u32) -> B,
}

/// Bytes of chance, which nothing on the way can compress.
fn noise(size: usize) -> Bytes {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..size).map(|_| next()).collect()
}

/// The keys of one size, the same for the store and, by other names of the same length, for the bare client.
#[derive(Clone, Copy)]
struct Names {
    keys: &'static [Key],
    bare: &'static [String],
}

impl Names {
    fn new(size: usize) -> Self {
        let number = |number| format!("{size:0>5}:{number:0>10}");
        let keys: Vec<Key> = (0..KEYS)
            .map(|at| Key::new(&Namespace::root(), &number(at)).expect("a short key is valid"))
            .collect();
        let bare: Vec<String> = keys.iter().map(|key| format!("b{}", &key.as_str()[1..])).collect();
        // For as long as the program runs: tasks use them, and a clone for each call would be measured too.
        Self { keys: keys.leak(), bare: bare.leak() }
    }
}

fn batch<T>(all: &'static [T], number: usize) -> &'static [T] {
    let batches = all.len() / BATCH;
    &all[number % batches * BATCH..][..BATCH]
}

fn length(found: Result<Option<Value>>) -> usize {
    match found {
        Ok(Some(Value::Bytes(bytes))) => bytes.len(),
        other => panic!("not what was stored: {other:?}"),
    }
}

/// `get`, `set` and `get_many` at 1, 64 and 256 tasks: the bare client, the store as caches use it, and that with batching the other
/// way.
pub fn compare<B: Bare>(criterion: &mut Criterion, stores: &Stores<'_, B>) {
    let builder = || StoreHandle::builder_from_arc(Arc::clone(&stores.store));
    let guarded =
        |builder: StoreHandleBuilder| Arc::clone(builder.build().expect("valid settings").guarded());
    let usual = guarded(builder());
    // What is not the default of this store.
    let (other_name, other) = if stores.store.capabilities().merges_reads() {
        ("larder, batching on", guarded(builder().batching(Batching::new())))
    } else {
        ("larder, batching off", guarded(builder().batching(None)))
    };
    for (name, size) in SIZES {
        let (names, value) = (Names::new(size), noise(size));
        let cache = Cache::builder(StoreHandle::from_arc(Arc::clone(&stores.store))).namespace("c");
        let cache = cache.operation_timeout(PATIENCE).build();
        let cache = cache.expect("valid settings");
        stores.runtime.block_on(fill(&*usual, &cache, &(stores.bare)(1), &names, &value));
        for tasks in TASKS {
            let bare = (stores.bare)(tasks);
            let on = On { runtime: stores.runtime, tasks, names, size };
            let group = |operation| format!("{} {operation} {name}, {tasks} task(s)", stores.name);
            let mut lanes =
                vec![on.bare_get(bare.clone()), on.get("larder", &usual), on.get(other_name, &other)];
            if size > SIZES[0].1 {
                race_tasks(criterion, &group("get"), tasks, lanes);
                continue;
            }
            lanes.push(on.cached("larder Cache get", &cache));
            race_tasks(criterion, &group("get"), tasks, lanes);
            let lanes = vec![on.bare_set(bare.clone(), &value), on.set("larder", &usual, &value)];
            race_tasks(criterion, &group("set"), tasks, lanes);
            let lanes = vec![on.bare_get_many(bare), on.get_many("larder", &usual)];
            race_tasks(criterion, &group("get_many(64)"), tasks, lanes);
        }
    }
}

/// What a hit costs through a cache: alone, with a tag, and in a namespace that is cleared by a stamp.
pub fn prices(criterion: &mut Criterion, name: &str, runtime: &Runtime, store: &Arc<dyn CacheStore>) {
    let (names, value) = (Names::new(SIZES[0].1), noise(SIZES[0].1));
    let handle = StoreHandle::from_arc(Arc::clone(store));
    let cache = |namespace: &str, by| {
        let builder = Cache::builder(handle.clone()).namespace(namespace).clear_by(by);
        builder.operation_timeout(PATIENCE).build().expect("valid settings")
    };
    let plain = cache("plain", ClearBy::Store);
    let tagged = cache("tagged", ClearBy::Store);
    let clearable = cache("clearable", ClearBy::Stamps);
    runtime.block_on(async {
        let options = EntryOptions::new().timeout(KEPT);
        for name in names.bare {
            let set = |cache: &Cache, options| {
                let (cache, value) = (cache.clone(), Raw(value.clone()));
                async move { cache.set_with(name, value, options).await.expect("the cache keeps it") }
            };
            set(&plain, options.clone()).await;
            set(&tagged, options.clone().tag("products")).await;
            set(&clearable, options.clone()).await;
        }
    });
    for tasks in [1, 64] {
        let on = On { runtime, tasks, names, size: SIZES[0].1 };
        let lanes = vec![
            on.cached("plain hit", &plain),
            on.cached("tagged hit", &tagged),
            on.cached("hit, cleared by stamps", &clearable),
        ];
        race_tasks(criterion, &format!("{name} price of a hit, {tasks} task(s)"), tasks, lanes);
    }
}

async fn fill(store: &dyn CacheStore, cache: &Cache, bare: &impl Bare, names: &Names, value: &Bytes) {
    let options = EntryOptions::new().timeout(KEPT);
    for (key, name) in names.keys.iter().zip(names.bare) {
        store.set(key, Value::Bytes(value.clone()), Expiry::After(KEPT)).await.expect("the store keeps it");
        cache.set_with(name, Raw(value.clone()), options.clone()).await.expect("the cache keeps it");
        bare.set(name, value.clone()).await;
    }
}

/// Bytes that a cache encodes as they are.
struct Raw(Bytes);

impl Cacheable for Raw {
    fn encode(&self, _codec: Codec, out: &mut Vec<u8>) -> Result<()> {
        out.extend_from_slice(&self.0);
        Ok(())
    }

    fn decode(_codec: Codec, payload: Bytes) -> Result<Self> {
        Ok(Self(payload))
    }
}

/// Makes lanes that run on so many tasks.
struct On<'a> {
    runtime: &'a Runtime,
    tasks: u32,
    names: Names,
    size: usize,
}

impl<'a> On<'a> {
    fn lane<F>(&self, name: &'static str, operation: impl Fn(usize) -> F + Clone + Send + 'static) -> Lane<'a>
    where
        F: Future<Output = ()> + Send,
    {
        let (runtime, tasks) = (self.runtime, self.tasks);
        Lane::new(name, move |bencher| spread(bencher, runtime, tasks, operation.clone()))
    }

    fn bare_get<B: Bare>(&self, bare: B) -> Lane<'a> {
        let (keys, size) = (self.names.bare, self.size);
        self.lane("bare client", move |number| {
            let bare = bare.clone();
            async move { assert_eq!(bare.get(&keys[number % KEYS]).await.len(), size) }
        })
    }

    fn get(&self, name: &'static str, store: &Arc<dyn CacheStore>) -> Lane<'a> {
        let (store, keys, size) = (Arc::clone(store), self.names.keys, self.size);
        self.lane(name, move |number| {
            let store = Arc::clone(&store);
            async move { assert_eq!(length(store.get(&keys[number % KEYS]).await), size) }
        })
    }

    fn cached(&self, name: &'static str, cache: &Cache) -> Lane<'a> {
        let (cache, keys, size) = (cache.clone(), self.names.bare, self.size);
        self.lane(name, move |number| {
            let cache = cache.clone();
            async move {
                let found = cache.get::<Raw>(keys[number % KEYS].as_str()).await;
                assert_eq!(found.expect("the cache answers").expect("it was stored").0.len(), size);
            }
        })
    }

    fn bare_set<B: Bare>(&self, bare: B, value: &Bytes) -> Lane<'a> {
        let (keys, value) = (self.names.bare, value.clone());
        self.lane("bare client", move |number| {
            let (bare, value) = (bare.clone(), value.clone());
            async move { bare.set(&keys[number % KEYS], value).await }
        })
    }

    fn set(&self, name: &'static str, store: &Arc<dyn CacheStore>, value: &Bytes) -> Lane<'a> {
        let (store, keys, value) = (Arc::clone(store), self.names.keys, value.clone());
        self.lane(name, move |number| {
            let (store, value) = (Arc::clone(&store), Value::Bytes(value.clone()));
            async move {
                let set = store.set(&keys[number % KEYS], value, Expiry::After(KEPT));
                set.await.expect("the store keeps it");
            }
        })
    }

    fn bare_get_many<B: Bare>(&self, bare: B) -> Lane<'a> {
        let (keys, size) = (self.names.bare, self.size);
        self.lane("bare client", move |number| {
            let bare = bare.clone();
            async move { assert_eq!(bare.get_many(batch(keys, number)).await, BATCH * size) }
        })
    }

    fn get_many(&self, name: &'static str, store: &Arc<dyn CacheStore>) -> Lane<'a> {
        let (store, keys, size) = (Arc::clone(store), self.names.keys, self.size);
        self.lane(name, move |number| {
            let store = Arc::clone(&store);
            async move {
                let found = store.get_many(batch(keys, number)).await;
                assert_eq!(found.into_iter().map(length).sum::<usize>(), BATCH * size);
            }
        })
    }
}
