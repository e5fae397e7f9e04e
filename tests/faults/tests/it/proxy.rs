//! Each store through a network that delays, cuts, trickles, half-closes, stalls and refuses.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Result, ensure};
use larder_core::CacheStore;
use larder_memcached::MemcachedStore;
use larder_redis::RedisStore;
use larder_testbed::{Fault, Load, Memcached, Proxy, Redis, Run};

use crate::exam::{Exam, Use, felt, turn};
use crate::{RECOVERY, memcached, millis, postgres, redis, until};

/// What the network does, one after the other.
const FAULTS: [(&str, Fault); 4] = [
    ("answers late by 50 ms", Fault::Delay(Duration::from_millis(50))),
    ("cut within an answer", Fault::CutAfter(3_000)),
    ("trickled answers", Fault::Trickle { bytes: 7, every: Duration::from_millis(2) }),
    ("half-closed", Fault::HalfClose),
];

async fn all_faults(load: &Load, proxy: &Proxy) -> Result<()> {
    for (what, fault) in FAULTS {
        load.fault(what);
        proxy.set(fault);
        load.run_for(millis(800)).await;
        proxy.set(Fault::None);
        load.able_to_serve();
        load.run_for(millis(2200)).await;
    }
    Ok(())
}

async fn through_bad_weather<S: CacheStore>(
    name: &str,
    how: Use,
    upstream: SocketAddr,
    connections: &dyn Fn() -> Result<usize>,
    build: impl FnOnce(SocketAddr) -> larder_core::Result<S>,
) -> Result<()> {
    let proxy = Proxy::start(upstream).await?;
    let others = || proxy.open_connections();
    let mut exam = Exam::new(name, how, connections);
    // Each connection of the proxy is a task of this runtime too.
    exam.tasks_of_others = Some(&others);
    let report =
        exam.run(|| build(proxy.address()), async |load: &Load| all_faults(load, &proxy).await).await?;
    felt(report).map(drop)
}

async fn redis_through(how: Use) -> Result<()> {
    let _turn = turn().await;
    let server = Redis::start(&Run::new()?)?;
    let connections = || redis::connections(&[&server]);
    let build = |address| RedisStore::connect(&format!("redis://{address}"));
    through_bad_weather("redis, a bad network", how, server.address(), &connections, build).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_on_a_bad_network() -> Result<()> {
    redis_through(Use::Bare).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_on_a_bad_network_behind_breaker_and_batching() -> Result<()> {
    redis_through(Use::Guarded).await
}

async fn memcached_through(how: Use) -> Result<()> {
    let _turn = turn().await;
    let server = Memcached::start(&Run::new()?)?;
    let connections = || memcached::connections(&server);
    let build = |address| MemcachedStore::connect(&format!("memcached://{address}"));
    through_bad_weather("memcached, a bad network", how, server.address(), &connections, build).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memcached_on_a_bad_network() -> Result<()> {
    memcached_through(Use::Bare).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memcached_on_a_bad_network_behind_breaker_and_batching() -> Result<()> {
    memcached_through(Use::Guarded).await
}

async fn postgres_through(how: Use) -> Result<()> {
    let _turn = turn().await;
    let server = postgres::server()?;
    let connections = || postgres::connections(&server);
    let build = |address| postgres::builder(&format!("postgres://larder@{address}/larder")).build();
    through_bad_weather("postgres, a bad network", how, server.address(), &connections, build).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_on_a_bad_network() -> Result<()> {
    postgres_through(Use::Bare).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_on_a_bad_network_behind_breaker_and_batching() -> Result<()> {
    postgres_through(Use::Guarded).await
}

/// Refused for so long that every back-off is at its cap; the first attempt after that shows the cap. What comes behind
/// it is the server's share: of `PostgreSQL` a new process, which on a busy machine may wait for a processor for longer
/// than the cap, and no lag of ours tells. With it, two seconds are the bound.
async fn back_off<S: CacheStore>(
    name: &str,
    upstream: SocketAddr,
    connections: &dyn Fn() -> Result<usize>,
    build: impl FnOnce(SocketAddr) -> larder_core::Result<S>,
) -> Result<()> {
    let proxy = Proxy::start(upstream).await?;
    let others = || proxy.open_connections();
    let mut exam = Exam::new(name, Use::Bare, connections);
    exam.tasks_of_others = Some(&others);
    let mut attempted = Duration::MAX;
    let report = exam
        .run(
            || build(proxy.address()),
            async |load: &Load| {
                load.fault("refused for 2.8 s");
                proxy.set(Fault::Refuse);
                // A cap of a second would show by an attempt 750 ms later.
                load.run_for(millis(2800)).await;
                let before = proxy.accepted();
                proxy.set(Fault::None);
                load.able_to_serve();
                attempted = until("an attempt", RECOVERY, async || proxy.accepted() > before).await;
                load.run_for(millis(2200)).await;
                Ok(())
            },
        )
        .await?;
    // The cap, and on top of it a jitter of 20 ms, and the looks at the port and at the count.
    let limit = millis(500 + 50) + report.worst_lag();
    println!("{name}: the next attempt came after {attempted:.1?}, at most {limit:.1?}");
    ensure!(attempted <= limit, "tried {attempted:?} after the server was back, over {limit:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_is_found_within_the_cap_of_the_back_off() -> Result<()> {
    let _turn = turn().await;
    let server = Redis::start(&Run::new()?)?;
    let connections = || redis::connections(&[&server]);
    let build = |address| RedisStore::connect(&format!("redis://{address}"));
    back_off("redis, refused", server.address(), &connections, build).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memcached_is_found_within_the_cap_of_the_back_off() -> Result<()> {
    let _turn = turn().await;
    let server = Memcached::start(&Run::new()?)?;
    let connections = || memcached::connections(&server);
    let build = |address| MemcachedStore::connect(&format!("memcached://{address}"));
    back_off("memcached, refused", server.address(), &connections, build).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_is_found_within_the_cap_of_the_back_off() -> Result<()> {
    let _turn = turn().await;
    let server = postgres::server()?;
    let connections = || postgres::connections(&server);
    let build = |address| postgres::builder(&format!("postgres://larder@{address}/larder")).build();
    back_off("postgres, refused", server.address(), &connections, build).await
}
