//! Settings of a cache.

use std::{
    any::{Any, TypeId},
    collections::HashMap,
    fmt,
    sync::Arc,
    time::Duration,
};

use super::{Cache, inner::Inner};
use crate::{
    Cacheable, Clock, Codec, Error, ErrorKind, Expiry, Namespace, Observer, Result, Spawn, StoreHandle,
    SystemClock, Timeout, TokioSpawn,
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

/// Settings of a [`Cache`], each with a default.
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
    handle: StoreHandle,
    namespace: Vec<String>,
    default_timeout: Timeout,
    codec: Codec,
    operation_timeout: Duration,
    bulk_timeout: Duration,
    load_timeout: Duration,
    max_value_bytes: u32,
    max_concurrent_loads: usize,
    explicit_errors: FailurePolicy,
    load_errors: FailurePolicy,
    clock: Option<Arc<dyn Clock>>,
    spawn: Arc<dyn Spawn>,
    observers: Vec<Arc<dyn Observer>>,
    weighers: Weighers,
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
            codec: Codec::default(),
            operation_timeout: Duration::from_millis(500),
            bulk_timeout: Duration::from_secs(30),
            load_timeout: Duration::from_secs(30),
            max_value_bytes: 16 << 20,
            max_concurrent_loads: 1024,
            explicit_errors: FailurePolicy::Return,
            load_errors: FailurePolicy::Miss,
            clock: None,
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
    /// [`Load`](ErrorKind::Load), the loader's future is dropped, and the key is free for another load.
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
    /// [`TooLarge`](ErrorKind::TooLarge). Default: 16 MiB.
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

    /// The cache. A setting out of range is an error of kind [`Config`](ErrorKind::Config) that names it.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() {
    /// # use std::time::Duration;
    /// # use larder_core::Cache;
    /// let refused = Cache::builder(MapStore::default()).operation_timeout(Duration::ZERO).build();
    /// assert!(refused.unwrap_err().to_string().contains("operation_timeout"));
    /// # }
    /// ```
    pub fn build(self) -> Result<Cache> {
        for (name, timeout) in [
            ("operation_timeout", self.operation_timeout),
            ("bulk_timeout", self.bulk_timeout),
            ("load_timeout", self.load_timeout),
        ] {
            if timeout.is_zero() {
                return Err(Error::new(
                    ErrorKind::Config,
                    format!("`{name}` is zero: it must be a positive duration"),
                ));
            }
        }
        if self.max_concurrent_loads == 0 || self.max_concurrent_loads > tokio::sync::Semaphore::MAX_PERMITS {
            return Err(Error::new(
                ErrorKind::Config,
                format!(
                    "`max_concurrent_loads` is {}: it must be from 1 to {}",
                    self.max_concurrent_loads,
                    tokio::sync::Semaphore::MAX_PERMITS
                ),
            ));
        }
        if self.max_value_bytes == 0 {
            return Err(Error::new(ErrorKind::Config, "`max_value_bytes` is 0: it must be at least 1"));
        }
        let default_expiry = match self.default_timeout {
            Timeout::Never => Expiry::Never,
            Timeout::After(duration) => Expiry::After(duration),
            Timeout::Default => {
                return Err(Error::new(
                    ErrorKind::Config,
                    "`default_timeout` is `default`: it must be a duration or `never`",
                ));
            }
        };
        let namespace = self.namespace.iter().try_fold(Namespace::root(), |path, name| path.child(name))?;
        let clock =
            self.clock.or_else(|| self.handle.store.clock()).unwrap_or_else(|| Arc::new(SystemClock::new()));
        for observer in &self.observers {
            self.handle.evictions.watch(observer);
        }
        let inner = Inner {
            weighs: self.handle.capabilities.weighs(),
            handle: self.handle,
            default_expiry,
            codec: self.codec,
            operation_timeout: self.operation_timeout,
            bulk_timeout: self.bulk_timeout,
            load_timeout: self.load_timeout,
            max_value_bytes: self.max_value_bytes,
            loads: Arc::new(tokio::sync::Semaphore::new(self.max_concurrent_loads)),
            explicit_errors: self.explicit_errors,
            load_errors: self.load_errors,
            clock,
            spawn: self.spawn,
            observers: self.observers.into(),
            weighers: self.weighers,
            counters: crate::observe::Counters::default(),
            tasks: tokio_util::task::TaskTracker::new(),
        };
        Ok(Cache { inner: Arc::new(inner), namespace })
    }
}
