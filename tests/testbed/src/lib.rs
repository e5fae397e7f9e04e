//! Real servers for the tests and exams of Larder, a proxy with faults, and a load whose every answer is checked.
//!
//! A [`Run`] is a temporary directory; servers are started in it, on free ports of 127.0.0.1 or on Unix sockets, as a user
//! of their own when we are root. A server ends with its value, with its run, and with its process, however that ends.
//! Nothing here touches a server that it did not start. Calls block; in an asynchronous test make them from the test's
//! body on a multi-threaded runtime, where they hold up nobody.
//!
//! For Linux: it reads `/proc`, and needs `setpriv` of util-linux to end servers when it is itself killed.
#![expect(clippy::disallowed_methods, reason = "tests of real servers, in real time")]

mod account;
mod certificates;
#[cfg(feature = "load")]
pub mod load;
mod memcached;
mod pgbouncer;
mod ports;
mod postgres;
mod probe;
mod process;
pub mod programs;
#[cfg(feature = "load")]
mod proxy;
mod redis;
mod run;
mod secret;
mod server;
mod tree;
mod wire;

pub use certificates::Certificates;
#[cfg(feature = "load")]
pub use load::{Load, LoadOptions, LoadReport, StaleAnswers};
pub use memcached::{Memcached, MemcachedOptions, memcached_url};
pub use pgbouncer::PgBouncer;
pub use ports::Port;
pub use postgres::{Postgres, PostgresOptions};
pub use probe::Probe;
pub use process::end_everything;
#[cfg(feature = "load")]
pub use proxy::{Fault, Proxy};
pub use redis::{Redis, RedisCluster, RedisOptions, RedisSentinel, slot_of};
pub use run::Run;
pub use server::Server;
pub use tree::start_time;
pub use wire::redis::Reply;
