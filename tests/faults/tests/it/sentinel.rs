//! Redis behind Sentinel: a fail-over asked for, and a primary killed.

use std::time::{Duration, Instant};

use anyhow::Result;
use larder_core::{CacheStore as _, Hazard};
use larder_redis::RedisStore;
use larder_testbed::{Redis, RedisSentinel, Run, StaleAnswers};

use crate::exam::{Exam, Use, turn};
use crate::{millis, redis};

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
