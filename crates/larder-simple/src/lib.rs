#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod config;
mod engine;
mod entry;
mod locks;
mod store;
mod upkeep;

pub use crate::{
    config::{Eviction, SimpleStoreBuilder},
    store::SimpleStore,
};
