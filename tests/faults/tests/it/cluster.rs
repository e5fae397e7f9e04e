//! Redis Cluster: a primary lost, slots on the move, and what visits every node.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use larder_core::{CacheStore, Expiry, Key, Namespace};
use larder_redis::RedisStore;
use larder_testbed::{Redis, RedisCluster, Run, StaleAnswers, slot_of};

use crate::exam::{Exam, Use, turn};
use crate::{bytes, connected, millis, redis};

fn connections(servers: &RedisCluster) -> Result<usize> {
    redis::connections(&servers.nodes().iter().collect::<Vec<&Redis>>())
}

/// A dead primary stalls the whole of fred's client; no call may cost more than its operation timeout.
async fn primary_lost(how: Use) -> Result<()> {
    let _turn = turn().await;
    let servers = RedisCluster::start(&Run::new()?)?;
    servers.wait_until_ok(Duration::from_secs(15))?;
    let connections = || connections(&servers);
    let mut exam = Exam::new("redis cluster, a primary lost", how, &connections);
    // The replica that takes over may lack the last writes; the guarantees say so.
    exam.options = exam.options.with_stale_answers(StaleAnswers::Counted);
    exam.run(
        || RedisStore::connect(&servers.url()),
        async |load| {
            let lost = servers.primaries()?[0];
            load.fault("kill -9 of a primary");
            let began = Instant::now();
            servers.nodes()[lost].kill();
            servers.wait_until_ok(Duration::from_secs(20))?;
            load.able_to_serve();
            println!("the cluster was whole again after {:?}", began.elapsed());
            load.run_for(millis(2600)).await;
            Ok(())
        },
    )
    .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn primary_lost_of_the_bare_store() -> Result<()> {
    primary_lost(Use::Bare).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn primary_lost_behind_breaker_and_batching() -> Result<()> {
    primary_lost(Use::Guarded).await
}

/// fred, when it follows a key that is on its way, gives everybody after it the answer to another's question. Slots move
/// with their keys, and nothing acknowledged may be lost or seen old: stale answers are wrong here.
async fn slots_migrated(how: Use) -> Result<()> {
    let _turn = turn().await;
    let servers = RedisCluster::start(&Run::new()?)?;
    servers.wait_until_ok(Duration::from_secs(15))?;
    let connections = || connections(&servers);
    let exam = Exam::new("redis cluster, slots migrated", how, &connections);
    exam.run(
        || RedisStore::connect(&servers.url()),
        async |load| {
            let primaries = servers.primaries()?;
            load.fault("slots migrated");
            // Those that hold keys of the load.
            let mut slots: Vec<u16> = Vec::new();
            let list = servers.nodes()[primaries[0]].command(&["KEYS", "*"])?;
            for name in list.list().iter().filter_map(|name| name.text()) {
                slots.push(slot_of(name));
            }
            slots.sort_unstable();
            slots.dedup();
            ensure!(slots.len() >= 12, "only {} slots hold anything", slots.len());
            for (number, slot) in slots.iter().take(12).enumerate() {
                let to = primaries[1 + number % 2];
                servers.begin_migration(*slot, to)?;
                // While keys answer ASK or TRYAGAIN.
                load.run_for(millis(60)).await;
                servers.finish_migration(*slot, to)?;
            }
            load.able_to_serve();
            load.run_for(millis(2400)).await;
            Ok(())
        },
    )
    .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slots_migrated_under_the_bare_store() -> Result<()> {
    slots_migrated(Use::Bare).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slots_migrated_behind_breaker_and_batching() -> Result<()> {
    slots_migrated(Use::Guarded).await
}

/// fred's own `scan` visits one node of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clear_and_keys_visit_every_node() -> Result<()> {
    let _turn = turn().await;
    let servers = RedisCluster::start(&Run::new()?)?;
    servers.wait_until_ok(Duration::from_secs(15))?;
    let store: Arc<dyn CacheStore> = Arc::new(RedisStore::connect(&servers.url())?);
    connected(&store).await;
    let (gone, kept) = (Namespace::root().child("gone")?, Namespace::root().child("kept")?);
    for number in 0..300 {
        for space in [&gone, &kept] {
            let name = Key::new(space, &format!("key {number}"))?;
            store.set(&name, bytes("value"), Expiry::Never).await?;
        }
    }
    assert_eq!(store.keys(&gone).await?.len(), 300);
    store.clear(&gone).await?;
    assert_eq!((store.keys(&gone).await?.len(), store.keys(&kept).await?.len()), (0, 300));
    let mut left = 0;
    for primary in servers.primaries()? {
        let size = servers.nodes()[primary].command(&["DBSIZE"])?.int().unwrap_or_default();
        assert!(size > 0);
        left += size;
    }
    assert_eq!(left, 300);
    Ok(())
}
