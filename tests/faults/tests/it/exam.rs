//! One fault under load: what has to hold before, during and after it.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use larder_core::{Batching, Cache, CacheStore, StoreHandle};
use larder_testbed::{Load, LoadOptions, LoadReport, Server};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::patient::Patient;
use crate::{OPERATION, connected, millis, until};

/// Two loads at once are what two cores carry without measuring themselves.
static TURNS: Semaphore = Semaphore::const_new(2);

/// Waits until a test may make its servers and its load.
pub(crate) async fn turn() -> SemaphorePermit<'static> {
    TURNS.acquire().await.unwrap()
}

/// What the load is put on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// The store itself.
    Bare,
    /// The store as a cache uses it: behind its circuit breaker, reads batched.
    Guarded,
}

pub(crate) fn options() -> LoadOptions {
    LoadOptions::new().with_tasks(32).with_keys(256).with_pause(millis(8)).with_operation_timeout(OPERATION)
}

/// A store, with what is needed to see whether it leaks.
pub(crate) struct Exam<'a> {
    pub(crate) name: &'a str,
    pub(crate) how: Use,
    pub(crate) options: LoadOptions,
    /// How many connections its servers have, without those of the question itself.
    pub(crate) connections: &'a dyn Fn() -> Result<usize>,
    /// Tasks of this runtime that are not the store's, and end by themselves.
    pub(crate) tasks_of_others: Option<&'a dyn Fn() -> usize>,
}

impl<'a> Exam<'a> {
    pub(crate) fn new(name: &'a str, how: Use, connections: &'a dyn Fn() -> Result<usize>) -> Self {
        Self { name, how, options: options(), connections, tasks_of_others: None }
    }

    /// Puts the load on the store that `build` makes, lets `fault` happen, and asks for all that has to hold.
    pub(crate) async fn run<S: CacheStore>(
        self,
        build: impl FnOnce() -> larder_core::Result<S>,
        fault: impl AsyncFnOnce(&Load) -> Result<()>,
    ) -> Result<LoadReport> {
        let (tasks, none) = (alive(), self.connections_at_rest().await?);
        let store: Arc<dyn CacheStore> = Arc::new(build()?);
        connected(&store).await;
        let under_load = match self.how {
            Use::Bare => Arc::clone(&store),
            Use::Guarded => guarded(&store)?,
        };
        let load = Load::start(under_load, self.options);
        load.run_for(millis(600)).await;
        let before = (self.connections)()?;
        fault(&load).await?;
        let report = load.stop().await;
        report.print(&format!("{} ({:?})", self.name, self.how));
        ensure!(report.calm_failures() == 0, "{} calls failed before any fault", report.calm_failures());
        ensure!(report.cancelled() > 0, "no caller went away");
        ensure!(before > none, "the store has no connection that could leak");
        report.verdict().with_context(|| report.to_string())?;
        let enough = async || (self.connections)().is_ok_and(|count| count <= before);
        until("as few connections as before", Duration::from_secs(3), enough).await;
        drop(store);
        until("no connection left", Duration::from_secs(3), async || {
            (self.connections)().is_ok_and(|count| count <= none)
        })
        .await;
        let others = || self.tasks_of_others.map_or(0, |count| count());
        until("no task left", Duration::from_secs(3), async || alive() <= tasks + others()).await;
        Ok(report)
    }
}

impl Exam<'_> {
    /// A server dies, is away for a while, and is started again.
    pub(crate) async fn killed<S: CacheStore>(
        self,
        server: &Server,
        away: Duration,
        build: impl FnOnce() -> larder_core::Result<S>,
    ) -> Result<LoadReport> {
        let fault = async |load: &Load| {
            load.fault("kill -9");
            server.kill();
            load.run_for(away).await;
            server.start()?;
            back(load).await;
            Ok(())
        };
        felt(self.run(build, fault).await?)
    }

    /// A server falls silent for two seconds.
    pub(crate) async fn stopped<S: CacheStore>(
        self,
        server: &Server,
        build: impl FnOnce() -> larder_core::Result<S>,
    ) -> Result<LoadReport> {
        let fault = async |load: &Load| {
            load.fault("SIGSTOP");
            server.pause()?;
            load.run_for(millis(2000)).await;
            server.resume();
            back(load).await;
            Ok(())
        };
        felt(self.run(build, fault).await?)
    }

    /// Connections that were for starting the servers end a moment later.
    async fn connections_at_rest(&self) -> Result<usize> {
        let mut least = usize::MAX;
        for _ in 0..20 {
            least = least.min((self.connections)()?);
            tokio::time::sleep(millis(10)).await;
        }
        Ok(least)
    }
}

/// A fault that no call noticed examines nothing.
pub(crate) fn felt(report: LoadReport) -> Result<LoadReport> {
    ensure!(report.failures() > 0, "the fault was not felt");
    Ok(report)
}

/// What was away can serve again: from here on its recovery is watched, for longer than it may take.
pub(crate) async fn back(load: &Load) {
    load.able_to_serve();
    load.run_for(millis(2400)).await;
}

/// The store as a cache with an operation timeout of 500 ms uses it.
pub(crate) fn guarded(store: &Arc<dyn CacheStore>) -> Result<Arc<dyn CacheStore>> {
    // So few that this load batches its reads.
    let batching = Batching::new().threshold(4);
    let handle = StoreHandle::builder_from_arc(Arc::clone(store)).batching(batching).build()?;
    // The decorators know from the cache after how long nobody waits any more.
    let _cache = Cache::builder(handle.clone()).operation_timeout(OPERATION).build()?;
    Ok(Arc::new(Patient::new(Arc::clone(handle.guarded()), OPERATION)))
}

pub(crate) fn alive() -> usize {
    Handle::current().metrics().num_alive_tasks()
}
