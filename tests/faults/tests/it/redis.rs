//! Redis alone: killed, stopped, its connections cut.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use anyhow::{Result, ensure};
use larder_core::{CacheStore, ErrorKind, Key, Value};
use larder_redis::RedisStore;
use larder_testbed::{Redis, Run};
use tokio::task::JoinSet;

use crate::exam::{Exam, Use, turn};
use crate::{FAR, OPERATION, bytes, connected, key, millis, shown};

/// The connections of clients, but for those between servers and that of the question.
pub(crate) fn connections(servers: &[&Redis]) -> Result<usize> {
    let mut count = 0;
    for server in servers.iter().filter(|server| server.pid().is_some()) {
        let list = server.command(&["CLIENT", "LIST", "TYPE", "normal"])?;
        let clients = list.text().unwrap_or_default().lines();
        count += clients
            .filter(|client| !client.trim().is_empty())
            // Those of `MIGRATE` are kept by the servers for a while.
            .filter(|client| {
                !["cmd=client", "cmd=restore", "name=sentinel-"].iter().any(|own| client.contains(own))
            })
            .count();
    }
    Ok(count)
}

/// Ends the connections of clients.
pub(crate) fn hang_up(server: &Redis) -> Result<()> {
    server.command(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"])?;
    Ok(())
}

/// Stops a server, and fills its socket; what goes on asking until it is dropped.
pub(crate) async fn fill(store: &Arc<dyn CacheStore>, server: &Redis, name: &Key) -> Result<JoinSet<()>> {
    let mut load = JoinSet::new();
    let large = Value::Bytes(vec![b'x'; 1 << 20].into());
    server.pause()?;
    for _ in 0..24 {
        let (store, large, name) = (Arc::clone(store), large.clone(), name.clone());
        load.spawn(async move {
            // Nobody takes it.
            let _ = store.set(&name, large, FAR).await;
            loop {
                if store.get(&name).await.is_err() {
                    tokio::time::sleep(millis(10)).await;
                }
            }
        });
    }
    tokio::time::sleep(OPERATION).await;
    Ok(load)
}

/// With fred's defaults every call after this hangs for ever.
async fn killed(how: Use) -> Result<()> {
    let _turn = turn().await;
    let server = Redis::start(&Run::new()?)?;
    let connections = || connections(&[&server]);
    let exam = Exam::new("redis, kill -9 and restart", how, &connections);
    exam.killed(&server, millis(1000), || RedisStore::connect(&server.url())).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_hangs_after_a_kill_and_restart() -> Result<()> {
    killed(Use::Bare).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_and_restart_behind_breaker_and_batching() -> Result<()> {
    killed(Use::Guarded).await
}

async fn stopped(how: Use) -> Result<()> {
    let _turn = turn().await;
    let server = Redis::start(&Run::new()?)?;
    let connections = || connections(&[&server]);
    let exam = Exam::new("redis, SIGSTOP for 2 s", how, &connections);
    exam.stopped(&server, || RedisStore::connect(&server.url())).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stop_and_resume_of_the_bare_store() -> Result<()> {
    stopped(Use::Bare).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stop_and_resume_behind_breaker_and_batching() -> Result<()> {
    stopped(Use::Guarded).await
}

/// fred's own three attempts ran what was in flight twice, without an error.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_increment_runs_twice_only_where_its_caller_was_told() -> Result<()> {
    let _turn = turn().await;
    let server = Redis::start(&Run::new()?)?;
    let store = Arc::new(RedisStore::connect(&server.url())?);
    connected(&(Arc::clone(&store) as _)).await;
    let (done, in_doubt, stop) =
        (Arc::new(AtomicI64::new(0)), Arc::new(AtomicI64::new(0)), Arc::new(AtomicI64::new(0)));
    let mut tasks = JoinSet::new();
    for _ in 0..32 {
        let (store, done, in_doubt, stop) =
            (Arc::clone(&store), Arc::clone(&done), Arc::clone(&in_doubt), Arc::clone(&stop));
        tasks.spawn(async move {
            while stop.load(Ordering::SeqCst) == 0 {
                match store.increment(&key("counter"), 1, FAR).await {
                    Ok(_) => done.fetch_add(1, Ordering::SeqCst),
                    Err(error) if error.kind() == ErrorKind::Ambiguous => {
                        in_doubt.fetch_add(1, Ordering::SeqCst)
                    }
                    Err(error) => {
                        assert!(
                            matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Timeout),
                            "{error:?}"
                        );
                        // It was never sent: no need to ask again at once.
                        tokio::time::sleep(millis(1)).await;
                        0
                    }
                };
            }
        });
    }
    for _ in 0..60 {
        tokio::time::sleep(millis(50)).await;
        hang_up(&server)?;
    }
    tokio::time::sleep(OPERATION).await;
    stop.store(1, Ordering::SeqCst);
    while let Some(ended) = tasks.join_next().await {
        ended?;
    }
    let (done, in_doubt) = (done.load(Ordering::SeqCst), in_doubt.load(Ordering::SeqCst));
    let count = store.increment(&key("counter"), 0, FAR).await?;
    println!("60 kills: {done} acknowledged, {in_doubt} in doubt, counted {count}");
    ensure!(done > 100 && in_doubt > 0, "the kills were not felt: {done} done, {in_doubt} in doubt");
    ensure!(
        (done..=done + in_doubt).contains(&count),
        "{done} acknowledged, {in_doubt} in doubt, {count} counted"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_prefixes_on_one_server_never_see_each_other() -> Result<()> {
    let _turn = turn().await;
    let server = Redis::start(&Run::new()?)?;
    let open = |prefix: &str| RedisStore::builder(&server.url()).prefix(prefix).build();
    let (first, second) = (Arc::new(open("a:")?), Arc::new(open("b:")?));
    connected(&(Arc::clone(&first) as _)).await;
    connected(&(Arc::clone(&second) as _)).await;
    first.set(&key("same"), bytes("first"), FAR).await?;
    assert_eq!(shown(second.get(&key("same")).await?), None);
    second.set(&key("same"), bytes("second"), FAR).await?;
    second.clear(&larder_core::Namespace::root()).await?;
    assert_eq!(shown(second.get(&key("same")).await?), None);
    assert_eq!(shown(first.get(&key("same")).await?).as_deref(), Some("first"));
    Ok(())
}
