//! Redis behind Sentinel: a fail-over asked for, and a primary killed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use larder_core::{CacheStore, Hazard};
use larder_redis::RedisStore;
use larder_testbed::{Redis, RedisSentinel, Run, StaleAnswers};

use crate::exam::{Exam, Use, turn};
use crate::{FAR, RECOVERY, bytes, connected, key, millis, redis, until};

fn connections(servers: &RedisSentinel) -> Result<usize> {
    let all: Vec<&Redis> = servers.nodes().iter().chain(servers.sentinels()).collect();
    redis::connections(&all)
}

async fn failed_over(how: Use) -> Result<()> {
    let _turn = turn().await;
    let servers = RedisSentinel::start(&Run::new()?)?;
    servers.wait_until_whole(Duration::from_secs(15))?;
    let connections = || connections(&servers);
    let mut exam = Exam::new("redis behind Sentinel, fail-over", how, &connections);
    // What the replica had not yet received is gone, and the guarantees say so (below).
    exam.options = exam.options.with_stale_answers(StaleAnswers::Counted);
    let build = || {
        let store = RedisStore::connect(&servers.url())?;
        assert!(store.guarantees().is_weakened_by(Hazard::Failover));
        Ok(store)
    };
    exam.run(build, async |load| {
        load.fault("SENTINEL FAILOVER");
        servers.fail_over()?;
        load.able_to_serve();
        load.run_for(millis(2600)).await;
        Ok(())
    })
    .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fail_over_of_the_bare_store() -> Result<()> {
    failed_over(Use::Bare).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fail_over_behind_breaker_and_batching() -> Result<()> {
    failed_over(Use::Guarded).await
}

async fn primary_killed(how: Use) -> Result<()> {
    let _turn = turn().await;
    let servers = RedisSentinel::start(&Run::new()?)?;
    servers.wait_until_whole(Duration::from_secs(15))?;
    let connections = || connections(&servers);
    let mut exam = Exam::new("redis behind Sentinel, primary killed", how, &connections);
    exam.options = exam.options.with_stale_answers(StaleAnswers::Counted);
    exam.run(
        || RedisStore::connect(&servers.url()),
        async |load| {
            let old = servers.primary()?;
            load.fault("kill -9 of the primary");
            let began = Instant::now();
            servers.nodes()[old].kill();
            let new = servers.wait_for_new_primary(old, Duration::from_secs(15))?;
            load.able_to_serve();
            println!("promotion of {new} took {:?}", began.elapsed());
            load.run_for(millis(2600)).await;
            Ok(())
        },
    )
    .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn primary_killed_of_the_bare_store() -> Result<()> {
    primary_killed(Use::Bare).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn primary_killed_behind_breaker_and_batching() -> Result<()> {
    primary_killed(Use::Guarded).await
}

fn whole() -> Result<RedisSentinel> {
    let servers = RedisSentinel::start(&Run::new()?)?;
    servers.wait_until_whole(Duration::from_secs(15))?;
    Ok(servers)
}

async fn is_written(store: &Arc<dyn CacheStore>) -> bool {
    store.set(&key("written"), bytes("value"), FAR).await.is_ok()
}

/// What is written to a server that hangs fills its socket. fred then waits until that server takes it, and for nothing else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_hangs_with_its_socket_full_is_left() -> Result<()> {
    let _turn = turn().await;
    let servers = whole()?;
    let store: Arc<dyn CacheStore> = Arc::new(RedisStore::connect(&servers.url())?);
    connected(&store).await;
    let old = servers.primary()?;
    let _load = redis::fill(&store, &servers.nodes()[old], &key("large")).await?;
    servers.wait_for_new_primary(old, Duration::from_secs(15))?;
    let took = until("a write to the new primary", RECOVERY, async || is_written(&store).await).await;
    println!("the new primary was written to after {took:?}");
    servers.nodes()[old].resume();
    Ok(())
}

/// Once it has found the primary, fred asks only the sentinels that it was told of then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sentinel_of_the_address_is_asked_though_all_others_are_gone() -> Result<()> {
    let _turn = turn().await;
    let servers = whole()?;
    let (_, service) =
        servers.url().rsplit_once('/').map(|(a, b)| (a.to_owned(), b.to_owned())).context("a service")?;
    let address = servers.sentinels()[0].address();
    let store: Arc<dyn CacheStore> =
        Arc::new(RedisStore::connect(&format!("redis+sentinel://{address}/{service}"))?);
    connected(&store).await;
    servers.sentinels()[1..].iter().for_each(|sentinel| sentinel.kill());
    redis::hang_up(&servers.nodes()[servers.primary()?])?;
    let took = until("a connection", Duration::from_secs(10), async || is_written(&store).await).await;
    println!("connected again after {took:?}");
    Ok(())
}

/// It takes connections and answers nothing; fred asks the sentinels always in the same order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sentinel_that_hangs_is_passed_over() -> Result<()> {
    let _turn = turn().await;
    let servers = whole()?;
    servers.sentinels()[0].pause()?;
    let store: Arc<dyn CacheStore> = Arc::new(RedisStore::connect(&servers.url())?);
    let took = until("a connection", Duration::from_secs(10), async || is_written(&store).await).await;
    println!("connected after {took:?}");
    servers.sentinels()[0].resume();
    Ok(())
}
