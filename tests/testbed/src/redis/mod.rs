//! Redis: alone, behind Sentinel, as a Cluster.

mod alone;
mod cluster;
mod migration;
mod options;
mod sentinel;
mod slots;

pub use self::alone::Redis;
pub use self::cluster::RedisCluster;
pub use self::options::RedisOptions;
pub use self::sentinel::RedisSentinel;
pub use self::slots::slot_of;

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// Asks again and again until there is an answer; at the end, an error says what was last missing.
fn poll<T>(within: Duration, mut ask: impl FnMut() -> Result<T>) -> Result<T> {
    let deadline = Instant::now() + within;
    loop {
        match ask() {
            Ok(answer) => return Ok(answer),
            Err(error) if Instant::now() >= deadline => bail!("not within {within:?}: {error:#}"),
            Err(_) => std::thread::sleep(Duration::from_millis(10)),
        }
    }
}
