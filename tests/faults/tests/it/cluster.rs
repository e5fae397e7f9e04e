//! Redis Cluster: a primary lost, slots on the move, and what visits every node.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use larder_core::{CacheStore, ErrorKind, Expiry, Key, Namespace};
use larder_redis::RedisStore;
use larder_testbed::{Redis, RedisCluster, Reply, Run, StaleAnswers, slot_of};

use crate::exam::{Exam, Use, turn};
use crate::resharding::must;
use crate::{FAR, RECOVERY, bytes, connected, millis, redis, until};

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

/// Who has a slot now, if it is another one.
async fn wait_for_another(servers: &RedisCluster, slot: u16, old: usize) -> Result<()> {
    let began = Instant::now();
    while servers.owner_of(slot)? == old {
        ensure!(began.elapsed() < Duration::from_secs(20), "nobody takes over");
        tokio::time::sleep(millis(20)).await;
    }
    Ok(())
}

/// The primary that fred asks last of all, and a key of its.
fn last_primary(servers: &RedisCluster) -> Result<(usize, Key)> {
    let primaries = servers.primaries()?;
    let last = primaries.into_iter().max_by_key(|index| servers.nodes()[*index].port());
    let last = last.context("a cluster has primaries")?;
    let is_its = |key: &Key| servers.owner_of(slot_of(key.as_str())).is_ok_and(|owner| owner == last);
    let key = (0..1_000).map(|number| crate::key(&number.to_string())).find(is_its);
    Ok((last, key.context("of so many keys, one is its")?))
}

/// What is written to a server that hangs fills its socket. fred then waits until that server takes it, and all slots with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_hangs_with_its_socket_full_is_left() -> Result<()> {
    let _turn = turn().await;
    let servers = RedisCluster::start(&Run::new()?)?;
    servers.wait_until_ok(Duration::from_secs(15))?;
    let store: Arc<dyn CacheStore> = Arc::new(RedisStore::connect(&servers.url())?);
    connected(&store).await;
    let (old, key) = last_primary(&servers)?;
    let _load = redis::fill(&store, &servers.nodes()[old], &key).await?;
    wait_for_another(&servers, slot_of(key.as_str()), old).await?;
    let is_written = async || store.set(&key, bytes("value"), FAR).await.is_ok();
    let took = until("a write to the new primary", RECOVERY, is_written).await;
    println!("the new primary was written to after {took:?}");
    servers.nodes()[old].resume();
    Ok(())
}

/// No connection is lost then, and where not all slots have to be served no other server says that something is wrong.
async fn primary_hangs(how: Use) -> Result<()> {
    let _turn = turn().await;
    let servers = RedisCluster::start(&Run::new()?)?;
    for node in servers.nodes() {
        must(node, &["CONFIG", "SET", "cluster-require-full-coverage", "no"])?;
    }
    servers.wait_until_ok(Duration::from_secs(15))?;
    let connections = || connections(&servers);
    let mut exam = Exam::new("redis cluster, a primary hangs", how, &connections);
    exam.options = exam.options.with_stale_answers(StaleAnswers::Counted);
    exam.run(
        || RedisStore::connect(&servers.url()),
        async |load| {
            let (old, key) = last_primary(&servers)?;
            load.fault("SIGSTOP of a primary");
            servers.nodes()[old].pause()?;
            wait_for_another(&servers, slot_of(key.as_str()), old).await?;
            load.able_to_serve();
            load.run_for(millis(2600)).await;
            servers.nodes()[old].resume();
            servers.wait_until_ok(Duration::from_secs(15))
        },
    )
    .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn primary_hangs_under_the_bare_store() -> Result<()> {
    primary_hangs(Use::Bare).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn primary_hangs_behind_breaker_and_batching() -> Result<()> {
    primary_hangs(Use::Guarded).await
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

/// A cluster one of whose primaries was replaced and does not know: it has forgotten the others, and goes on saying that its slots
/// are its own. A store that has heard of nothing, a namespace in one of these slots, and the server that has it now and holds
/// one key.
struct Replaced {
    servers: RedisCluster,
    store: Arc<dyn CacheStore>,
    space: Namespace,
    key: Key,
    now: usize,
}

impl Replaced {
    /// fred asks servers in the order of their ports who has which slots, and believes the first one that is well by its own account.
    async fn start(is_asked_first: bool) -> Result<Self> {
        let servers = RedisCluster::start(&Run::new()?)?;
        let nodes = servers.nodes();
        let mut primaries = servers.primaries()?;
        primaries.sort_unstable_by_key(|index| nodes[*index].port());
        let (old, other) =
            if is_asked_first { (primaries[0], primaries[1]) } else { (primaries[2], primaries[1]) };
        let store: Arc<dyn CacheStore> =
            Arc::new(RedisStore::builder(&servers.url()).operation_timeout(Duration::from_secs(2)).build()?);
        connected(&store).await;
        let space = Namespace::root().child("replaced")?;
        let mut keys = (0..1_000).filter_map(|number| Key::new(&space, &number.to_string()).ok());
        let is_its = |key: &Key| servers.owner_of(slot_of(key.as_str())).is_ok_and(|owner| owner == old);
        let key = keys.find(is_its).context("of so many keys, one is in its slots")?;
        let now = old + 3;
        if is_asked_first {
            // Else it would say that it is not well.
            must(&nodes[old], &["CONFIG", "SET", "cluster-require-full-coverage", "no"])?;
        }
        for node in nodes.iter().filter(|node| node.port() != nodes[old].port()) {
            let id = must(node, &["CLUSTER", "MYID"])?;
            must(&nodes[old], &["CLUSTER", "FORGET", id.text().unwrap_or_default()])?;
        }
        must(&nodes[now], &["CLUSTER", "FAILOVER", "TAKEOVER"])?;
        let (began, port) = (Instant::now(), format!(":{}", nodes[now].port()));
        loop {
            // Whom the others send to it.
            let told = nodes[other].command(&["GET", key.as_str()])?;
            if matches!(&told, Reply::Error(text) if text.starts_with("MOVED") && text.ends_with(&port)) {
                break;
            }
            ensure!(began.elapsed() < Duration::from_secs(10), "the take-over does not get around: {told:?}");
            std::thread::sleep(millis(10));
        }
        must(&nodes[now], &["SET", key.as_str(), "value"])?;
        Ok(Self { servers, store, space, key, now })
    }

    fn is_there(&self) -> Result<bool> {
        Ok(must(&self.servers.nodes()[self.now], &["EXISTS", self.key.as_str()])?.int() == Some(1))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_took_over_is_visited_though_the_replaced_one_still_answers() -> Result<()> {
    let _turn = turn().await;
    let cluster = Replaced::start(false).await?;
    assert_eq!(cluster.store.keys(&cluster.space).await?, std::slice::from_ref(&cluster.key));
    cluster.store.clear(&cluster.space).await?;
    assert!(!cluster.is_there()?);
    Ok(())
}

/// The client can be told of no one else here.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_has_forgotten_the_others_is_no_cluster() -> Result<()> {
    let _turn = turn().await;
    let cluster = Replaced::start(true).await?;
    for error in [
        cluster.store.clear(&cluster.space).await.unwrap_err(),
        cluster.store.keys(&cluster.space).await.unwrap_err(),
        cluster.store.len().await.unwrap_err(),
    ] {
        assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Unavailable, true), "{error}");
    }
    assert!(cluster.is_there()?);
    Ok(())
}
