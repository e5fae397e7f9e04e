#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod capabilities;
mod clock;
mod codec;
mod entry;
mod envelope;
mod error;
mod key;
mod namespace;
mod object;
mod spawn;
mod store;
mod timeout;
mod value;
mod version;

pub use async_trait::async_trait;

pub use crate::{
    capabilities::{Capabilities, Operations},
    clock::{BoxFuture, Clock, ManualClock, SystemClock, Timestamp},
    codec::{Cacheable, Codec},
    entry::EntryMeta,
    error::{BoxError, Error, ErrorKind, Result},
    key::{IntoKey, Key},
    namespace::Namespace,
    object::Object,
    spawn::{Spawn, TokioSpawn},
    store::{CacheStore, EvictionCause, StoreEvents},
    timeout::{Expiry, Timeout},
    value::Value,
    version::Version,
};
