#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod cache;
mod capabilities;
mod clock;
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
mod namespace;
mod object;
mod observe;
mod options;
mod outcome;
mod quarantine;
mod spawn;
mod store;
mod sync;
mod timeout;
mod value;
mod version;

pub use async_trait::async_trait;

pub use crate::{
    cache::{Cache, CacheBuilder, FailurePolicy, Health, Leader, LoadedBatch, Seat},
    capabilities::{Capabilities, Operations},
    clock::{BoxFuture, Clock, ManualClock, SystemClock, Timestamp},
    codec::{Cacheable, Codec},
    entry::EntryMeta,
    error::{BoxError, Error, ErrorKind, Result},
    eviction::{EvictionCause, StoreEvents},
    guarantees::{Guarantees, Hazard, Weakness},
    handle::StoreHandle,
    key::{IntoKey, Key},
    namespace::Namespace,
    object::Object,
    observe::{Event, Observer, Stats},
    options::{EntryOptions, IntoLoaded, Loaded},
    outcome::{Kept, NotKept, Outcome, Source},
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
