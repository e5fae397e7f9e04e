#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod accountant;
mod blocking;
mod config;
mod directory;
mod engine;
mod error;
mod evict;
#[cfg(test)]
mod fault_tests;
mod faults;
mod files;
mod guarantees;
mod layout;
mod locks;
mod random;
mod store;
mod sweep;
mod trash;
mod upkeep;

pub use crate::{
    config::{Durability, FileSystemStoreBuilder},
    store::FileSystemStore,
};
