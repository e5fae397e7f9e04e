//! Redis Cluster: what `clear`, `keys` and `len` say while slots go to servers that the client has not heard of, or stay open.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use larder_core::{CacheStore, ErrorKind, Key, Namespace};
use larder_redis::RedisStore;
use larder_testbed::{Redis, RedisCluster, RedisOptions, Reply, Run, slot_of};

use crate::exam::turn;
use crate::{FAR, bytes, connected, millis};

/// A cluster, and a primary that has joined it without slots.
struct Growing {
    cluster: RedisCluster,
    new: Redis,
}

impl Growing {
    fn start(run: &Run) -> Result<Self> {
        let cluster = RedisCluster::start(run)?;
        cluster.wait_until_ok(Duration::from_secs(15))?;
        let options = RedisOptions::new()
            .set("cluster-enabled", "yes")
            .set("cluster-node-timeout", "1500")
            // One that gave its last slot away would become a replica.
            .set("cluster-allow-replica-migration", "no");
        let new = Redis::start_with(run, &options)?;
        let growing = Self { cluster, new };
        for node in growing.cluster.nodes() {
            let (port, bus) = (node.port().to_string(), (node.port() + 10_000).to_string());
            must(&growing.new, &["CLUSTER", "MEET", "127.0.0.1", &port, &bus])?;
        }
        let (all, began) = (growing.cluster.nodes().len() + 1, Instant::now());
        let id = id(&growing.new)?;
        let knows = |node: &Redis| -> Result<bool> {
            let seen = must(node, &["CLUSTER", "NODES"])?.text().unwrap_or_default().to_owned();
            let is_whole =
                must(node, &["CLUSTER", "INFO"])?.text().is_some_and(|text| text.contains("state:ok"));
            Ok(is_whole && seen.lines().count() == all && seen.contains(&id) && !seen.contains("handshake"))
        };
        while !growing.all().try_fold(true, |so_far, node| Ok::<_, anyhow::Error>(so_far && knows(node)?))? {
            ensure!(began.elapsed() < Duration::from_secs(30), "the new server is not known to all");
            std::thread::sleep(millis(20));
        }
        Ok(growing)
    }

    fn all(&self) -> impl Iterator<Item = &Redis> {
        self.cluster.nodes().iter().chain([&self.new])
    }

    /// The primaries as they began, and the new one.
    fn primaries(&self) -> Vec<&Redis> {
        self.cluster.nodes()[..3].iter().chain([&self.new]).collect()
    }

    fn owner(&self, slot: u16) -> Result<&Redis> {
        let owner = self.cluster.owner_of(slot)?;
        Ok(&self.cluster.nodes()[owner])
    }

    /// How many keys lie on servers that are primaries.
    fn count(&self) -> Result<i64> {
        let size = |node: &Redis| Ok(must(node, &["DBSIZE"])?.int().unwrap_or_default());
        self.primaries().into_iter().map(size).sum()
    }
}

pub(crate) fn must(node: &Redis, words: &[&str]) -> Result<Reply> {
    match node.command(words)? {
        Reply::Error(text) => bail!("{words:?}: {text}"),
        reply => Ok(reply),
    }
}

fn id(node: &Redis) -> Result<String> {
    let id = must(node, &["CLUSTER", "MYID"])?;
    id.text().map(str::to_owned).context("a node without an id")
}

/// The epoch of the server with this id, as `node` has it.
fn epoch(node: &Redis, id: &str) -> Result<Option<String>> {
    let seen = must(node, &["CLUSTER", "NODES"])?.text().unwrap_or_default().to_owned();
    let line = seen.lines().find(|line| line.starts_with(id));
    Ok(line.and_then(|line| line.split(' ').nth(6)).map(str::to_owned))
}

/// Waits until all know the epoch in which this one got its last slot. One that takes the slot over without may lose it again.
fn wait_for_epoch(of: &Redis, all: &[&Redis]) -> Result<()> {
    let (id, began) = (id(of)?, Instant::now());
    let own = epoch(of, &id)?;
    for node in all {
        while epoch(node, &id)? != own {
            ensure!(began.elapsed() < Duration::from_secs(10), "an epoch does not get around");
            std::thread::sleep(millis(2));
        }
    }
    Ok(())
}

/// Opens a slot on both sides.
fn open(slot: u16, from: &Redis, to: &Redis) -> Result<()> {
    must(to, &["CLUSTER", "SETSLOT", &slot.to_string(), "IMPORTING", &id(from)?])?;
    must(from, &["CLUSTER", "SETSLOT", &slot.to_string(), "MIGRATING", &id(to)?])?;
    Ok(())
}

/// Moves the keys of an open slot.
fn carry(slot: u16, from: &Redis, to: &Redis) -> Result<()> {
    loop {
        let keys = must(from, &["CLUSTER", "GETKEYSINSLOT", &slot.to_string(), "10"])?;
        let keys: Vec<&str> = keys.list().iter().filter_map(Reply::text).collect();
        if keys.is_empty() {
            return Ok(());
        }
        let port = to.port().to_string();
        let mut words = vec!["MIGRATE", "127.0.0.1", &port, "", "0", "2000", "REPLACE", "KEYS"];
        words.extend(keys);
        must(from, &words)?;
    }
}

/// Makes `to` the owner of a slot, and says so to all who may have slots.
fn give(slot: u16, from: &Redis, to: &Redis, all: &[&Redis]) -> Result<()> {
    let (slot, id) = (slot.to_string(), id(to)?);
    must(to, &["CLUSTER", "SETSLOT", &slot, "NODE", &id])?;
    must(from, &["CLUSTER", "SETSLOT", &slot, "NODE", &id])?;
    for node in all {
        must(node, &["CLUSTER", "SETSLOT", &slot, "NODE", &id])?;
    }
    Ok(())
}

async fn store(servers: &Growing) -> Result<Arc<dyn CacheStore>> {
    let store: Arc<dyn CacheStore> = Arc::new(
        RedisStore::builder(&servers.cluster.url()).operation_timeout(Duration::from_secs(2)).build()?,
    );
    connected(&store).await;
    Ok(store)
}

/// The client learns of a new server when it asks the old one for a key that has gone; nobody asks here.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_just_got_its_first_slot_is_visited() -> Result<()> {
    let _turn = turn().await;
    let servers = Growing::start(&Run::new()?)?;
    let (clears, lists, counts) = (store(&servers).await?, store(&servers).await?, store(&servers).await?);
    let space = Namespace::root().child("gone")?;
    let moved = Key::new(&space, "moved")?;
    clears.set(&moved, bytes("value"), FAR).await?;
    clears.set(&Key::new(&space, "stays")?, bytes("value"), FAR).await?;
    let slot = slot_of(moved.as_str());
    let from = servers.owner(slot)?;
    open(slot, from, &servers.new)?;
    carry(slot, from, &servers.new)?;
    give(slot, from, &servers.new, &servers.primaries())?;
    assert_eq!(must(&servers.new, &["DBSIZE"])?.int(), Some(1), "the key has moved");
    assert_eq!(lists.keys(&space).await?.into_iter().collect::<HashSet<_>>().len(), 2);
    assert_eq!(counts.len().await?, 2);
    clears.clear(&space).await?;
    assert_eq!(must(&servers.new, &["DBSIZE"])?.int(), Some(0), "what was on the new server is gone");
    assert_eq!(servers.count()?, 0);
    assert!(clears.get(&moved).await?.is_none());
    Ok(())
}

/// A slot that is half moved hides keys on a server that has no slots yet, and the client is not connected to it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_open_to_a_server_without_slots_is_no_success() -> Result<()> {
    let _turn = turn().await;
    let servers = Growing::start(&Run::new()?)?;
    let store = store(&servers).await?;
    let space = Namespace::root().child("open")?;
    let moved = Key::new(&space, "moved")?;
    store.set(&moved, bytes("value"), FAR).await?;
    let slot = slot_of(moved.as_str());
    let from = servers.owner(slot)?;
    open(slot, from, &servers.new)?;
    carry(slot, from, &servers.new)?;
    for error in [
        store.clear(&space).await.unwrap_err(),
        store.keys(&space).await.unwrap_err(),
        store.len().await.unwrap_err(),
    ] {
        assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Unavailable, true), "{error}");
        assert!(error.to_string().contains("on the move"), "{error}");
    }
    give(slot, from, &servers.new, &servers.primaries())?;
    assert_eq!(store.keys(&space).await?, std::slice::from_ref(&moved));
    store.clear(&space).await?;
    assert_eq!(servers.count()?, 0);

    // Open between two that are visited, and left like that: what has not moved can be removed, what has cannot, and says so.
    store.set(&moved, bytes("value"), FAR).await?;
    open(slot, &servers.new, from)?;
    assert_eq!(store.keys(&space).await?, std::slice::from_ref(&moved));
    store.clear(&space).await?;
    assert_eq!(servers.count()?, 0);
    must(&servers.new, &["CLUSTER", "SETSLOT", &slot.to_string(), "STABLE"])?;
    store.set(&moved, bytes("value"), FAR).await?;
    open(slot, &servers.new, from)?;
    carry(slot, &servers.new, from)?;
    assert_eq!(store.keys(&space).await?, std::slice::from_ref(&moved));
    let error = store.clear(&space).await.unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Unavailable, true), "{error}");

    // Only one side knows that it is open: nobody is sent to where the key is.
    must(&servers.new, &["CLUSTER", "SETSLOT", &slot.to_string(), "STABLE"])?;
    for error in [
        store.clear(&space).await.unwrap_err(),
        store.keys(&space).await.unwrap_err(),
        store.len().await.unwrap_err(),
    ] {
        assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Unavailable, true), "{error}");
        assert!(error.to_string().contains("on the move"), "{error}");
    }
    assert_eq!(servers.count()?, 1);
    Ok(())
}

/// A slot that goes round among four servers while its namespace is cleared again and again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_moves_while_it_is_cleared_is_gone_or_it_is_no_success() -> Result<()> {
    let _turn = turn().await;
    let servers = Growing::start(&Run::new()?)?;
    let store = store(&servers).await?;
    let space = Namespace::root().child("round")?;
    let key = Key::new(&space, "key")?;
    // So that looking takes a while.
    let others = Namespace::root().child("others")?;
    for number in 0..4_000 {
        store.set(&Key::new(&others, &number.to_string())?, bytes("value"), FAR).await?;
    }
    let slot = slot_of(key.as_str());
    let first = servers.cluster.owner_of(slot)?;
    let ended = AtomicBool::new(false);
    let (mut cleared, mut refused) = (0, 0);
    let moves = std::thread::scope(|scope| {
        let moving = scope.spawn(|| -> Result<usize> {
            let primaries = servers.primaries();
            let mut moves = 0;
            while !ended.load(Ordering::Relaxed) {
                let (from, to) = (primaries[(first + moves) % 4], primaries[(first + moves + 1) % 4]);
                open(slot, from, to)?;
                carry(slot, from, to)?;
                give(slot, from, to, &primaries)?;
                wait_for_epoch(to, &primaries)?;
                moves += 1;
                std::thread::sleep(millis(moves as u64 % 40));
            }
            Ok(moves)
        });
        let clearing = tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(async {
                let until = Instant::now() + Duration::from_secs(12);
                while Instant::now() < until {
                    // Refused while it is on its way; then the old one may still be there.
                    let set = store.set(&key, bytes("value"), FAR).await;
                    match store.clear(&space).await {
                        Ok(()) => cleared += i32::from(set.is_ok()),
                        Err(error) => {
                            ensure!(
                                matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Ambiguous),
                                "{error:?}"
                            );
                            refused += 1;
                            continue;
                        }
                    }
                    for node in servers.primaries() {
                        let found = must(node, &["SCAN", "0", "MATCH", "*round*", "COUNT", "100000"])?;
                        let found = found.list()[1].list().len();
                        ensure!(found == 0, "cleared, and it is there: after {cleared} clears");
                    }
                }
                Ok(())
            })
        });
        ended.store(true, Ordering::Relaxed);
        let moves = moving.join().expect("the mover does not panic");
        clearing.and(moves)
    })?;
    println!("{moves} moves; {cleared} entries cleared, {refused} clears refused");
    assert!(moves > 10 && cleared > 3, "{moves} moves, {cleared} cleared");
    Ok(())
}
