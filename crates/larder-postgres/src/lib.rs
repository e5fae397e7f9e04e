#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod address;
mod batch;
mod config;
mod conn;
mod engine;
mod error;
mod evict;
mod guarantees;
mod hub;
mod names;
mod origin;
mod parameters;
mod random;
mod rows;
mod schema;
mod session;
mod settings;
mod sql;
mod sslmode;
mod store;
mod supervisor;
mod sweep;
#[cfg(feature = "tls")]
mod tls;
mod turn;
mod walk;

// With the client itself inside: what `from_pool` takes.
pub use deadpool_postgres;

pub use crate::{config::PostgresStoreBuilder, schema::MIGRATION, sslmode::SslMode, store::PostgresStore};
