#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod address;
mod alarm;
mod cluster;
mod commands;
mod config;
mod connect;
mod driver;
mod engine;
mod error;
mod exchange;
mod group;
mod item;
mod job;
mod lane;
mod passage;
mod random;
mod replies;
mod ring;
mod settings;
mod shared;
mod store;
#[cfg(feature = "tls")]
mod tls;
mod wire;

pub use crate::{config::MemcachedStoreBuilder, store::MemcachedStore};
