//! Settings of a cache.

use std::{
    any::{Any, TypeId},
    collections::HashMap,
    fmt,
    sync::Arc,
    time::Duration,
};

use super::ClearBy;
use crate::{
    Cacheable, Clock, Coalesce, Codec, EntryOptions, Observer, Random, Spawn, StoreHandle, SystemRandom,
    Timeout, TokioSpawn,
};

/// What a cache does where the store fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FailurePolicy {
    /// Return the store's error.
    Return,
    /// Go on as if the store had nothing. Failed writes and invalidations are returned all the same.
    Miss,
}

/// Settings of a [`Cache`](crate::Cache), each with a default.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
/// # fn main() {
/// use std::time::Duration;
/// use larder_core::{Cache, Codec};
///
/// let cache = Cache::builder(MapStore::default())
///     .namespace("shop")
///     .default_timeout(Duration::from_secs(60))
///     .codec(Codec::Json)
///     .build()
///     .unwrap();
/// # }
/// ```
#[derive(Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct CacheBuilder {
    pub(super) handle: StoreHandle,
    pub(super) namespace: Vec<String>,
    pub(super) default_timeout: Timeout,
    pub(super) default_options: EntryOptions,
    pub(super) codec: Codec,
    pub(super) operation_timeout: Duration,
    pub(super) bulk_timeout: Duration,
    pub(super) load_timeout: Duration,
    pub(super) coalesce: Coalesce,
    pub(super) clear_by: ClearBy,
    pub(super) stamp_staleness: Duration,
    pub(super) lease_timeout: Duration,
    pub(super) clock_skew: Duration,
    pub(super) max_detached: usize,
    pub(super) max_value_bytes: u32,
    pub(super) max_concurrent_loads: usize,
    pub(super) explicit_errors: FailurePolicy,
    pub(super) load_errors: FailurePolicy,
    pub(super) clock: Option<Arc<dyn Clock>>,
    pub(super) random: Arc<dyn Random>,
    pub(super) spawn: Arc<dyn Spawn>,
    pub(super) observers: Vec<Arc<dyn Observer>>,
    pub(super) weighers: Weighers,
}

/// The declared weighers, by type.
#[derive(Default)]
pub(super) struct Weighers(HashMap<TypeId, Weigher>);

type Weigher = Box<dyn Fn(&dyn Any) -> usize + Send + Sync>;

impl Weighers {
    pub(super) fn weigh<T: Cacheable>(&self, value: &T) -> Option<u32> {
        let weigher = self.0.get(&TypeId::of::<T>())?;
        Some(u32::try_from(weigher(value)).unwrap_or(u32::MAX))
    }
}

impl fmt::Debug for Weighers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} weighers", self.0.len())
    }
}

impl CacheBuilder {
    pub(super) fn new(handle: StoreHandle) -> Self {
        Self {
            handle,
            namespace: Vec::new(),
            default_timeout: Timeout::After(Duration::from_mins(5)),
            default_options: EntryOptions::new(),
            codec: Codec::default(),
            operation_timeout: Duration::from_millis(500),
            bulk_timeout: Duration::from_secs(30),
            load_timeout: Duration::from_secs(30),
            coalesce: Coalesce::default(),
            clear_by: ClearBy::default(),
            stamp_staleness: Duration::ZERO,
            lease_timeout: Duration::from_secs(3),
            clock_skew: Duration::from_millis(500),
            max_detached: 64,
            max_value_bytes: 16 << 20,
            max_concurrent_loads: 1024,
            explicit_errors: FailurePolicy::Return,
            load_errors: FailurePolicy::Miss,
            clock: None,
            random: Arc::new(SystemRandom),
            spawn: Arc::new(TokioSpawn),
            observers: Vec::new(),
            weighers: Weighers::default(),
        }
    }

    /// A namespace that every key of the cache is in, so that applications can share a store. Called again, it adds a
    /// component. Default: none.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() {
    /// # use larder_core::Cache;
    /// let cache = Cache::builder(MapStore::default()).namespace("shop").namespace("v2").build().unwrap();
    /// assert_eq!(cache.path().as_str(), "1/shop/v2/");
    /// # }
    /// ```
    pub fn namespace(mut self, name: impl Into<String>) -> Self {
        self.namespace.push(name.into());
        self
    }

    /// How long entries stay where nothing else is asked for. Default: 300 seconds.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() {
    /// # use larder_core::{Cache, Timeout};
    /// let cache = Cache::builder(MapStore::default()).default_timeout(Timeout::Never).build().unwrap();
    /// # }
    /// ```
    pub fn default_timeout(mut self, timeout: impl Into<Timeout>) -> Self {
        self.default_timeout = timeout.into();
        self
    }

    /// What every write and load asks for, where it does not say otherwise; its tags are added to theirs. A timeout in it is
    /// the [default timeout](Self::default_timeout), a load timeout the [load timeout](Self::load_timeout), of which the one
    /// set last holds. What is out of range is an error of [`build`](Self::build).
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() {
    /// use std::time::Duration;
    /// use larder_core::{Cache, EntryOptions};
    ///
    /// let options = EntryOptions::new().stale_if_error(Duration::from_secs(3600)).jitter(0.1);
    /// let cache = Cache::builder(MapStore::default()).default_options(options).build().unwrap();
    ///
    /// let refused = Cache::builder(MapStore::default()).default_options(EntryOptions::new().jitter(1.5)).build();
    /// assert!(refused.unwrap_err().to_string().contains("jitter"));
    /// # }
    /// ```
    pub fn default_options(mut self, options: EntryOptions) -> Self {
        self.default_timeout = options.timeout.unwrap_or(self.default_timeout);
        self.load_timeout = options.load_timeout_of().unwrap_or(self.load_timeout);
        self.default_options = options;
        self
    }

    /// How values become bytes, where the store keeps bytes. Default: [`Codec::MessagePack`].
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() {
    /// # use larder_core::{Cache, Codec};
    /// let cache = Cache::builder(MapStore::default()).codec(Codec::Json).build().unwrap();
    /// # }
    /// ```
    pub fn codec(mut self, codec: Codec) -> Self {
        self.codec = codec;
        self
    }

    /// How long a point operation or a batch on the store may take. Default: 500 ms.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() {
    /// # use std::time::Duration;
    /// # use larder_core::Cache;
    /// let cache = Cache::builder(MapStore::default()).operation_timeout(Duration::from_millis(50)).build().unwrap();
    /// # }
    /// ```
    pub fn operation_timeout(mut self, timeout: Duration) -> Self {
        self.operation_timeout = timeout;
        self
    }

    /// How long `clear` and `keys` may take. Default: 30 s.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() {
    /// # use std::time::Duration;
    /// # use larder_core::Cache;
    /// let cache = Cache::builder(MapStore::default()).bulk_timeout(Duration::from_secs(5)).build().unwrap();
    /// # }
    /// ```
    pub fn bulk_timeout(mut self, timeout: Duration) -> Self {
        self.bulk_timeout = timeout;
        self
    }

    /// How long a load may take, waiting for its turn included. After that its callers get an error of kind
    /// [`Load`](crate::ErrorKind::Load), the loader's future is dropped, and the key is free for another load.
    /// Default: 30 s.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() {
    /// # use std::time::Duration;
    /// # use larder_core::Cache;
    /// let cache = Cache::builder(MapStore::default()).load_timeout(Duration::from_secs(5)).build().unwrap();
    /// # }
    /// ```
    pub fn load_timeout(mut self, timeout: Duration) -> Self {
        self.load_timeout = timeout;
        self
    }

    /// The largest entry that may be encoded for a store that keeps bytes; larger ones are
    /// [`TooLarge`](crate::ErrorKind::TooLarge). Default: 16 MiB.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() {
    /// # use larder_core::Cache;
    /// let cache = Cache::builder(MapStore::default()).max_value_bytes(64 << 10).build().unwrap();
    /// # }
    /// ```
    pub fn max_value_bytes(mut self, limit: u32) -> Self {
        self.max_value_bytes = limit;
        self
    }

    /// How many loads may run at once; others wait their turn. Loads started by a loader do not count. Default: 1024.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() {
    /// # use larder_core::Cache;
    /// let cache = Cache::builder(MapStore::default()).max_concurrent_loads(32).build().unwrap();
    /// # }
    /// ```
    pub fn max_concurrent_loads(mut self, loads: usize) -> Self {
        self.max_concurrent_loads = loads;
        self
    }

    /// What reads by `get`, `has` and `get_many` do where the store fails. Default: [`FailurePolicy::Return`].
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() {
    /// # use larder_core::{Cache, FailurePolicy};
    /// let cache = Cache::builder(MapStore::default()).explicit_errors(FailurePolicy::Miss).build().unwrap();
    /// # }
    /// ```
    pub fn explicit_errors(mut self, policy: FailurePolicy) -> Self {
        self.explicit_errors = policy;
        self
    }

    /// What `get_or_load` and its kin do where the store cannot be read. Default: [`FailurePolicy::Miss`], fail open.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() {
    /// # use larder_core::{Cache, FailurePolicy};
    /// let cache = Cache::builder(MapStore::default()).load_errors(FailurePolicy::Return).build().unwrap();
    /// # }
    /// ```
    pub fn load_errors(mut self, policy: FailurePolicy) -> Self {
        self.load_errors = policy;
        self
    }

    /// Where the cache reads the time. Default: the store's own clock if it has one, else the machine's.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() {
    /// # use std::sync::Arc;
    /// # use larder_core::{Cache, SystemClock};
    /// let cache = Cache::builder(MapStore::default()).clock(Arc::new(SystemClock::new())).build().unwrap();
    /// # }
    /// ```
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Where randomness comes from. Default: [`SystemRandom`].
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() {
    /// # use std::sync::Arc;
    /// # use larder_core::{Cache, SeededRandom};
    /// let repeats = Cache::builder(MapStore::default()).random(Arc::new(SeededRandom::new(7))).build().unwrap();
    /// # }
    /// ```
    pub fn random(mut self, random: Arc<dyn Random>) -> Self {
        self.random = random;
        self
    }

    /// Where background tasks start. Default: [`TokioSpawn`].
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() {
    /// # use std::sync::Arc;
    /// # use larder_core::{Cache, TokioSpawn};
    /// let cache = Cache::builder(MapStore::default()).spawn(Arc::new(TokioSpawn)).build().unwrap();
    /// # }
    /// ```
    pub fn spawn(mut self, spawn: Arc<dyn Spawn>) -> Self {
        self.spawn = spawn;
        self
    }

    /// Adds someone who is told of every event.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() {
    /// # use std::sync::Arc;
    /// # use larder_core::{Cache, Event, Observer};
    /// #[derive(Debug)]
    /// struct Print;
    /// impl Observer for Print {
    ///     fn event(&self, event: &Event<'_>) {
    ///         println!("{event:?}");
    ///     }
    /// }
    /// let cache = Cache::builder(MapStore::default()).observer(Arc::new(Print)).build().unwrap();
    /// # }
    /// ```
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observers.push(observer);
        self
    }

    /// Declares what values of type `T` weigh, in bytes, against a store's byte bound. Where a type has none, its encoded
    /// size counts, which has to be found by encoding it.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() {
    /// # use larder_core::Cache;
    /// let cache = Cache::builder(MapStore::default()).weigher(|page: &String| page.len()).build().unwrap();
    /// # }
    /// ```
    pub fn weigher<T: Cacheable>(mut self, weigher: impl Fn(&T) -> usize + Send + Sync + 'static) -> Self {
        let weigher =
            move |value: &dyn Any| weigher(value.downcast_ref().expect("filed under the type's own id"));
        self.weighers.0.insert(TypeId::of::<T>(), Box::new(weigher));
        self
    }
}
