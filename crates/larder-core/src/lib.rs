#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod batching;
mod breaker;
mod cache;
mod capabilities;
mod clock;
mod coalesce;
mod codec;
mod decide;
mod entry;
mod envelope;
mod error;
mod eviction;
mod flight;
mod guarantees;
mod handle;
mod key;
mod loaded;
mod namespace;
mod negative;
mod object;
mod observe;
mod options;
mod outcome;
mod policy;
mod quarantine;
mod random;
mod spawn;
mod store;
mod sync;
mod timeout;
mod value;
mod version;

pub use async_trait::async_trait;

pub use crate::{
    batching::Batching,
    breaker::{CircuitBreaker, CircuitState},
    cache::{
        Cache, CacheBuilder, ClearBy, FailurePolicy, Health, Leader, LoadedBatch, Renewed, Seat, within_load,
    },
    capabilities::{Capabilities, Operations},
    clock::{BoxFuture, Clock, ManualClock, SystemClock, Timestamp},
    coalesce::Coalesce,
    codec::{Cacheable, Codec},
    entry::EntryMeta,
    error::{BoxError, Error, ErrorKind, Result},
    eviction::{EvictionCause, StoreEvents},
    guarantees::{Guarantees, Hazard, Weakness},
    handle::{Circuit, StoreHandle, StoreHandleBuilder},
    key::{IntoKey, Key},
    loaded::{IntoLoaded, Loaded},
    namespace::Namespace,
    object::Object,
    observe::{Event, Observer, Stats},
    options::{EarlyRefresh, EntryOptions},
    outcome::{Kept, NotKept, Outcome, Source, StaleWhy},
    random::{Random, SeededRandom, SystemRandom},
    spawn::{Spawn, TokioSpawn},
    store::CacheStore,
    timeout::{Expiry, Timeout},
    value::Value,
    version::Version,
};

#[cfg(feature = "faults")]
pub use crate::flight::Faults;
#[cfg(feature = "metrics")]
pub use crate::observe::MetricsObserver;
#[cfg(feature = "tracing")]
pub use crate::observe::TracingObserver;
