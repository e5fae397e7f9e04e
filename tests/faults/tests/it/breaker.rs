//! The circuit breaker over real servers that die, fall silent and come back.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use larder_core::{Cache, CacheStore, CircuitState, Event, Observer, StoreHandle};
use larder_memcached::MemcachedStore;
use larder_redis::RedisStore;
use larder_testbed::{Memcached, Redis, Run, Server};
use tokio::sync::watch;

use crate::exam::turn;
use crate::patient::Patient;
use crate::{FAR, OPERATION, RECOVERY, bytes, connected, key, millis, postgres};

/// More than a server may need to be known as gone: five timeouts in a row, or half of at least twenty calls.
const FIRST_CALLS: u64 = 40;
/// How many of them may wait in vain for as long as an operation may.
const FIRST_TIMEOUTS: u32 = 5;

#[derive(Clone, Copy, Debug)]
enum Loss {
    Killed,
    Silent,
}

#[derive(Debug, Default)]
struct States(Mutex<Vec<CircuitState>>);

impl Observer for States {
    fn event(&self, event: &Event<'_>) {
        if let Event::CircuitChanged { state, .. } = event {
            self.0.lock().unwrap().push(*state);
        }
    }
}

/// The machine's own delays, which bounds of time are widened by.
struct Canary {
    stop: watch::Sender<()>,
    task: tokio::task::JoinHandle<Duration>,
}

impl Canary {
    fn start() -> Self {
        let (stop, stopped) = watch::channel(());
        let task = tokio::spawn(async move {
            let mut worst = Duration::ZERO;
            while stopped.has_changed().is_ok() {
                let began = Instant::now();
                tokio::time::sleep(millis(1)).await;
                worst = worst.max(began.elapsed().saturating_sub(millis(1)));
            }
            worst
        });
        Self { stop, task }
    }

    async fn worst(self) -> Result<Duration> {
        drop(self.stop);
        Ok(self.task.await?)
    }
}

async fn dead_and_back(server: &Server, store: Arc<dyn CacheStore>, loss: Loss) -> Result<()> {
    connected(&store).await;
    let counted = Patient::new(store, OPERATION);
    let reached: Arc<AtomicU64> = counted.calls();
    let handle = StoreHandle::new(counted);
    let states = Arc::new(States::default());
    let cache = Cache::builder(handle.clone())
        .operation_timeout(OPERATION)
        .observer(Arc::clone(&states) as Arc<dyn Observer>)
        .build()?;
    let (guarded, name) = (Arc::clone(handle.guarded()), key("a"));
    guarded.set(&name, bytes("value"), FAR).await?;
    let state = || handle.circuits()[0].state;
    ensure!(state() == CircuitState::Closed);

    let canary = Canary::start();
    match loss {
        Loss::Killed => server.kill(),
        Loss::Silent => server.pause()?,
    }
    let (mut first_calls, mut late_calls, mut slowest) = (0, 0, Duration::ZERO);
    while state() == CircuitState::Closed {
        let began = Instant::now();
        ensure!(guarded.get(&name).await.is_err(), "a dead server answered");
        let took = began.elapsed();
        slowest = slowest.max(took);
        first_calls += 1;
        late_calls += u32::from(took >= OPERATION);
        ensure!(late_calls <= FIRST_TIMEOUTS, "{late_calls} calls waited in vain, and the circuit is closed");
        ensure!(first_calls <= FIRST_CALLS, "{first_calls} calls failed, and the circuit is closed");
    }

    // Refused at once, and nothing of it reaches the store.
    let before = reached.load(Ordering::SeqCst);
    let mut refusals = Vec::new();
    for _ in 0..2_000 {
        let began = Instant::now();
        let refused = guarded.get(&name).await;
        refusals.push(began.elapsed());
        ensure!(refused.is_err(), "an open circuit let a call through");
    }
    ensure!(state() == CircuitState::Open, "{:?}", state());
    ensure!(reached.load(Ordering::SeqCst) == before, "calls reached the store though its circuit is open");
    refusals.sort_unstable();
    let median = refusals[refusals.len() / 2];
    ensure!(median < millis(1), "the median refusal took {median:?}");
    // A load pays nothing for it either, and its value is not lost on its caller.
    let loaded =
        cache.get_or_load("page", || async { Ok::<_, larder_core::Error>("made".to_owned()) }).await?;
    ensure!(*loaded == "made");
    ensure!(reached.load(Ordering::SeqCst) == before, "a load reached the store though its circuit is open");

    match loss {
        Loss::Killed => server.start()?,
        Loss::Silent => server.resume(),
    }
    let back = Instant::now();
    while guarded.get(&name).await.is_err() {
        ensure!(back.elapsed() < Duration::from_secs(20), "the store is not used again");
        tokio::time::sleep(millis(5)).await;
    }
    let in_use = back.elapsed();
    while state() != CircuitState::Closed {
        // Each call let through is one towards closing it.
        let _ = guarded.get(&name).await;
        ensure!(back.elapsed() < Duration::from_secs(20), "the circuit does not close");
        tokio::time::sleep(millis(5)).await;
    }
    guarded.set(&name, bytes("again"), FAR).await?;
    let lag = canary.worst().await?;
    println!(
        "{} {loss:?}: opened after {first_calls} calls, {late_calls} late, the slowest {slowest:.1?}; refused in {median:.1?} (median); in \
         use after {in_use:.1?}; worst lag {lag:.1?}",
        server.name()
    );
    ensure!(slowest <= OPERATION + millis(50) + lag, "a first call took {slowest:?}, with a lag of {lag:?}");
    ensure!(in_use <= RECOVERY + lag, "in use {in_use:?} after the server was back");
    let seen = states.0.lock().unwrap().clone();
    ensure!(seen.first() == Some(&CircuitState::Open), "{seen:?}");
    ensure!(seen.ends_with(&[CircuitState::HalfOpen, CircuitState::Closed]), "{seen:?}");
    Ok(())
}

/// Loads one after the other, too few for a rate: once the first ones have waited in vain, none costs more than itself.
async fn rarely_asked(server: &Server, store: Arc<dyn CacheStore>, loss: Loss) -> Result<()> {
    const LOAD: Duration = millis(100);
    connected(&store).await;
    let handle = StoreHandle::from_arc(store);
    let cache = Cache::builder(handle.clone()).operation_timeout(OPERATION).build()?;
    let load = || async {
        tokio::time::sleep(LOAD).await;
        Ok::<_, larder_core::Error>("made".to_owned())
    };
    cache.get_or_load("before", load).await?;

    let canary = Canary::start();
    match loss {
        Loss::Killed => server.kill(),
        Loss::Silent => server.pause()?,
    }
    let mut waits = Vec::new();
    for request in 0..10 {
        let began = Instant::now();
        ensure!(*cache.get_or_load(&format!("page {request}"), load).await? == "made");
        waits.push(began.elapsed().saturating_sub(LOAD));
    }
    let lag = canary.worst().await?;
    println!("{} {loss:?}: ten loads waited {waits:.1?} for the store; worst lag {lag:.1?}", server.name());
    let slack = millis(50) + lag;
    let late = waits.iter().map(|wait| wait.as_millis() / (OPERATION * 9 / 10).as_millis()).sum::<u128>();
    ensure!(late <= FIRST_TIMEOUTS.into(), "{late} operations waited in vain: {waits:?}");
    ensure!(waits[5..].iter().all(|wait| *wait < slack), "{waits:?}, with a lag of {lag:?}");
    ensure!(handle.circuits()[0].state == CircuitState::Open, "{:?}", handle.circuits());
    match loss {
        Loss::Killed => server.start()?,
        Loss::Silent => server.resume(),
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_dead_and_rarely_asked() -> Result<()> {
    let _turn = turn().await;
    let server = Redis::start(&Run::new()?)?;
    for loss in [Loss::Killed, Loss::Silent] {
        rarely_asked(&server, Arc::new(RedisStore::connect(&server.url())?), loss).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_dead_and_back() -> Result<()> {
    let _turn = turn().await;
    let server = Redis::start(&Run::new()?)?;
    for loss in [Loss::Killed, Loss::Silent] {
        dead_and_back(&server, Arc::new(RedisStore::connect(&server.url())?), loss).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memcached_dead_and_back() -> Result<()> {
    let _turn = turn().await;
    let server = Memcached::start(&Run::new()?)?;
    for loss in [Loss::Killed, Loss::Silent] {
        dead_and_back(&server, Arc::new(MemcachedStore::connect(&server.url())?), loss).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_dead_and_back() -> Result<()> {
    let _turn = turn().await;
    let server = postgres::server()?;
    for loss in [Loss::Killed, Loss::Silent] {
        dead_and_back(&server, Arc::new(postgres::builder(&server.url()).build()?), loss).await?;
    }
    Ok(())
}
