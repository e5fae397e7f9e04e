//! Memcached: killed, stopped, one of three lost.

use anyhow::{Context as _, Result};
use larder_core::{CacheStore as _, ErrorKind};
use larder_memcached::MemcachedStore;
use larder_testbed::{Memcached, Run, memcached_url};

use crate::exam::{Exam, Use, turn};
use crate::{FAR, OPERATION, RECOVERY, bytes, connected, key, millis, shown, until};

/// Its connections, that of the question and what it listens on included.
pub(crate) fn connections(server: &Memcached) -> Result<usize> {
    if server.pid().is_none() {
        return Ok(0);
    }
    let stats = server.command("stats\r\n", "END\r\n")?;
    let count = stats.lines().find_map(|line| line.strip_prefix("STAT curr_connections "));
    Ok(count.context("no curr_connections in the stats")?.trim().parse()?)
}

async fn killed(how: Use) -> Result<()> {
    let _turn = turn().await;
    let server = Memcached::start(&Run::new()?)?;
    let connections = || connections(&server);
    let exam = Exam::new("memcached, kill -9 and restart", how, &connections);
    exam.killed(&server, millis(1000), || MemcachedStore::connect(&server.url())).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_and_restart_of_the_bare_store() -> Result<()> {
    killed(Use::Bare).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_and_restart_behind_breaker_and_batching() -> Result<()> {
    killed(Use::Guarded).await
}

async fn stopped(how: Use) -> Result<()> {
    let _turn = turn().await;
    let server = Memcached::start(&Run::new()?)?;
    let connections = || connections(&server);
    let exam = Exam::new("memcached, SIGSTOP for 2 s", how, &connections);
    exam.stopped(&server, || MemcachedStore::connect(&server.url())).await?;
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

async fn one_of_three(how: Use) -> Result<()> {
    let _turn = turn().await;
    let run = Run::new()?;
    let servers = [Memcached::start(&run)?, Memcached::start(&run)?, Memcached::start(&run)?];
    let connections = || servers.iter().map(connections).sum();
    let exam = Exam::new("one memcached of three lost and back", how, &connections);
    let build = || MemcachedStore::connect(&memcached_url(&servers.each_ref()));
    let report = exam.killed(&servers[1], millis(1500), build).await?;
    // The others went on: if all had failed for a second and a half, a third of the calls would have.
    anyhow::ensure!(report.failures() * 4 < report.calls(), "{} of {}", report.failures(), report.calls());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_three_lost_and_back_of_the_bare_store() -> Result<()> {
    one_of_three(Use::Bare).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_three_lost_and_back_behind_breaker_and_batching() -> Result<()> {
    one_of_three(Use::Guarded).await
}

/// memcache-async alone says `Ok` to a `set` and a `delete` here.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_server_is_never_taken_for_a_success() -> Result<()> {
    let _turn = turn().await;
    let server = Memcached::start(&Run::new()?)?;
    let store = std::sync::Arc::new(MemcachedStore::connect(&server.url())?);
    connected(&(std::sync::Arc::clone(&store) as _)).await;
    store.set(&key("a"), bytes("old"), FAR).await?;
    let (_, version) = store.get_versioned(&key("a")).await?.context("it is there")?;
    server.pause()?;
    assert_eq!(store.set(&key("b"), bytes("new"), FAR).await.unwrap_err().kind(), ErrorKind::Ambiguous);
    // By now the store may know that the server does not answer, and send nothing.
    assert!(store.set(&key("b"), bytes("new"), FAR).await.is_err());
    assert!(store.delete(&key("a")).await.is_err());
    assert!(store.add(&key("c"), bytes("new"), FAR).await.is_err());
    assert!(store.replace(&key("a"), &version, bytes("new"), FAR).await.is_err());
    assert!(store.increment(&key("n"), 1, FAR).await.is_err());
    assert!(store.delete_many(&[key("a"), key("b")]).await.iter().all(Result::is_err));
    assert!(store.get(&key("a")).await.is_err());
    server.resume();
    until("it is back", RECOVERY + OPERATION, async || store.set(&key("z"), bytes("z"), FAR).await.is_ok())
        .await;
    assert_eq!(shown(store.get(&key("z")).await?).as_deref(), Some("z"));
    Ok(())
}

/// Its `cas` numbers begin anew with the server.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn versions_are_void_after_a_restart() -> Result<()> {
    let _turn = turn().await;
    let server = Memcached::start(&Run::new()?)?;
    let store = MemcachedStore::connect(&server.url())?;
    let name = key("a");
    until("a first value", RECOVERY, async || store.set(&name, bytes("same"), FAR).await.is_ok()).await;
    let (_, version) = store.get_versioned(&name).await?.context("it is there")?;
    server.restart()?;
    // As many writes as before: the server gives the same numbers to the same bytes.
    until("the same value", RECOVERY, async || store.set(&name, bytes("same"), FAR).await.is_ok()).await;
    let lost = store.replace(&name, &version, bytes("from before"), FAR).await;
    assert!(!matches!(lost, Ok(Some(_))), "a version of the server before won: {lost:?}");
    assert_eq!(shown(store.get(&name).await?).as_deref(), Some("same"));
    Ok(())
}
