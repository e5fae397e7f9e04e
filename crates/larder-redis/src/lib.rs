#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod address;
mod batch;
mod check;
mod command;
mod config;
mod connect;
mod deadline;
mod engine;
mod error;
mod gate;
mod guarantees;
mod hanging;
mod lane;
mod operations;
mod place;
mod random;
mod replica;
mod rounds;
mod scripts;
mod send;
mod settings;
mod slots;
mod store;
mod survey;
#[cfg(feature = "tls")]
mod tls;
mod trust;
mod walk;
mod wire;

pub use fred;

pub use crate::{
    config::{OnRollback, ReadFrom, RedisStoreBuilder},
    store::RedisStore,
};
