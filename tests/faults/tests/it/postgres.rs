//! `PostgreSQL`: backends terminated, the server crashed and stopped.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use larder_core::CacheStore;
use larder_postgres::{PostgresStore, PostgresStoreBuilder};
use larder_testbed::{PgBouncer, Postgres, PostgresOptions, Run};

use crate::exam::{Exam, Use, back, turn};
use crate::{FAR, RECOVERY, bytes, connected, key, millis, shown, until};

/// The backends of clients, but for that of the question.
pub(crate) fn connections(server: &Postgres) -> Result<usize> {
    if server.pid().is_none() {
        return Ok(0);
    }
    let rows = server.sql(
        "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()",
    )?;
    Ok(rows.first().and_then(|row| row.first()?.as_deref()).context("no count")?.parse()?)
}

pub(crate) fn server() -> Result<Postgres> {
    // What is examined does not depend on the disk, which here is shared.
    Postgres::start_with(&Run::new()?, &PostgresOptions::new().without_fsync())
}

pub(crate) fn builder(url: &str) -> PostgresStoreBuilder {
    PostgresStore::builder(url).create_table(true)
}

/// Sessions that end one after the other, and then all of them with a server that says why.
async fn terminated(how: Use) -> Result<()> {
    let _turn = turn().await;
    let server = server()?;
    let connections = || connections(&server);
    let exam = Exam::new("postgres, backends terminated, then a restart", how, &connections);
    exam.run(
        || builder(&server.url()).build(),
        async |load| {
            load.fault("backends terminated");
            for _ in 0..4 {
                server.terminate_backends()?;
                load.run_for(millis(200)).await;
            }
            back(load).await;
            load.fault("restart");
            server.terminate()?;
            server.start()?;
            back(load).await;
            Ok(())
        },
    )
    .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn terminated_backends_and_a_restart_of_the_bare_store() -> Result<()> {
    terminated(Use::Bare).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn terminated_backends_and_a_restart_behind_breaker_and_batching() -> Result<()> {
    terminated(Use::Guarded).await
}

async fn killed(how: Use, logged: bool) -> Result<()> {
    let _turn = turn().await;
    let server = server()?;
    let connections = || connections(&server);
    let name = if logged { "postgres LOGGED, kill -9" } else { "postgres UNLOGGED, kill -9" };
    let exam = Exam::new(name, how, &connections);
    exam.killed(&server, millis(800), || builder(&server.url()).logged(logged).build()).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_and_restart_of_the_bare_store() -> Result<()> {
    killed(Use::Bare, false).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_and_restart_behind_breaker_and_batching() -> Result<()> {
    killed(Use::Guarded, false).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_and_restart_of_a_logged_table() -> Result<()> {
    killed(Use::Bare, true).await
}

async fn stopped(how: Use) -> Result<()> {
    let _turn = turn().await;
    let server = server()?;
    let connections = || connections(&server);
    let exam = Exam::new("postgres, SIGSTOP for 2 s", how, &connections);
    exam.stopped(&server, || builder(&server.url()).build()).await?;
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

/// What a crash takes from an UNLOGGED table is a miss, not an error; a LOGGED one keeps it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unlogged_table_is_empty_after_a_crash_and_a_logged_one_is_not() -> Result<()> {
    let _turn = turn().await;
    let server = server()?;
    for logged in [false, true] {
        let table = if logged { "kept" } else { "lost" };
        let store: Arc<dyn CacheStore> =
            Arc::new(builder(&server.url()).table(table).logged(logged).build()?);
        connected(&store).await;
        store.set(&key("a"), bytes("value"), FAR).await?;
        store.increment(&key("n"), 3, FAR).await?;
        server.kill();
        assert!(store.get(&key("a")).await.is_err());
        server.start()?;
        until("it is back", RECOVERY, async || store.ping(0).await.is_ok()).await;
        let found = shown(store.get(&key("a")).await?);
        assert_eq!(found.as_deref(), logged.then_some("value"));
        assert_eq!(store.increment(&key("n"), 1, FAR).await?, if logged { 4 } else { 1 });
        store.set(&key("a"), bytes("again"), FAR).await?;
        assert_eq!(shown(store.get(&key("a")).await?).as_deref(), Some("again"));
    }
    Ok(())
}

/// What a standby is to its clients, until it takes over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_takes_no_writes_is_in_use_soon_after_it_does() -> Result<()> {
    let _turn = turn().await;
    let server = server()?;
    let store: Arc<dyn CacheStore> = Arc::new(builder(&server.url()).build()?);
    connected(&store).await;
    store.set(&key("a"), bytes("value"), FAR).await?;
    server.sql("ALTER ROLE larder SET default_transaction_read_only = on")?;
    server.terminate_backends()?;
    let is_refused =
        async || store.ping(0).await.is_err_and(|error| error.to_string().contains("takes no writes"));
    until("it is refused", RECOVERY, is_refused).await;
    // For so long that every rest is the longest one.
    for _ in 0..50 {
        let said = store.get(&key("a")).await.unwrap_err();
        assert!(said.to_string().contains("takes no writes"), "{said}");
        tokio::time::sleep(millis(50)).await;
    }
    server.sql("ALTER ROLE larder RESET default_transaction_read_only")?;
    until("it is back", RECOVERY, async || store.ping(0).await.is_ok()).await;
    assert_eq!(shown(store.get(&key("a")).await?).as_deref(), Some("value"));
    Ok(())
}

/// PgBouncer takes connections also while its server is gone or stands still, and lets what is asked through them wait.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_behind_a_pgbouncer_is_in_use_soon_after_it_is_back() -> Result<()> {
    let _turn = turn().await;
    let run = Run::new()?;
    let server = Postgres::start_with(&run, &PostgresOptions::new().without_fsync())?;
    let proxy = PgBouncer::start(&run, &server)?;
    let address = format!("postgres://larder@{}/larder", proxy.address());
    let store: Arc<dyn CacheStore> = Arc::new(builder(&address).pgbouncer(true).build()?);
    connected(&store).await;
    for how in ["killed", "stopped"] {
        if how == "killed" {
            server.kill();
        } else {
            server.pause()?;
        }
        let gone = std::time::Instant::now();
        while gone.elapsed() < millis(2600) {
            // Each of these may cost its operation timeout.
            assert!(store.get(&key("a")).await.is_err(), "{how}, and it answers");
            tokio::time::sleep(millis(20)).await;
        }
        if how == "killed" {
            server.start()?;
        } else {
            server.resume();
        }
        let took = until("it is back", RECOVERY, async || store.ping(0).await.is_ok()).await;
        println!("postgres behind PgBouncer, {how}: in use after {took:.1?}");
        store.set(&key("a"), bytes("value"), FAR).await?;
        assert_eq!(shown(store.get(&key("a")).await?).as_deref(), Some("value"));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_prefixes_in_one_table_never_see_each_other() -> Result<()> {
    let _turn = turn().await;
    let server = server()?;
    let mut stores: Vec<Arc<dyn CacheStore>> = Vec::new();
    for prefix in ["a:", "b:"] {
        stores.push(Arc::new(builder(&server.url()).prefix(prefix).build()?));
        connected(&stores[stores.len() - 1]).await;
    }
    let (first, second, name) = (&stores[0], &stores[1], key("same"));
    assert!(first.add(&name, bytes("first"), FAR).await?.is_some());
    assert_eq!(shown(second.get(&name).await?), None);
    assert!(second.add(&name, bytes("second"), FAR).await?.is_some());
    second.clear(&larder_core::Namespace::root()).await?;
    assert_eq!(shown(second.get(&name).await?), None);
    assert_eq!(shown(first.get(&name).await?).as_deref(), Some("first"));
    assert_eq!(first.len().await?, 1);
    Ok(())
}
