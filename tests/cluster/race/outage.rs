//! A server that is killed, paused, cut off and restarted under callers of two processes, as far as caches can tell: two handles with
//! connections of their own. Callers get fresh or stale values or a load; nobody hangs; and nothing that was invalidated while
//! the server was away comes back, whether or not the invalidation failed then.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use larder_core::{Cache, EntryOptions, Source, StoreHandle};
use larder_memcached::MemcachedStore;
use larder_postgres::PostgresStore;
use larder_redis::RedisStore;
use larder_testbed::{Fault, Memcached, Postgres, Proxy, Redis, Run, Server};
use libtest_mimic::{Failed, Trial};
use tokio::task::JoinSet;

use crate::{process::runtime, racer::Seen, random::Random, report, rows::is_violation};

const KEYS: usize = 32;
const HANDLES: usize = 2;
const SEED: u64 = 0x0a7a_6e00;
const OPERATION: Duration = Duration::from_millis(500);
const LOAD: Duration = Duration::from_secs(2);
/// After a server is back, what failed is replayed within this time.
const REPLAYED: Duration = Duration::from_secs(10);

/// One row, and what is known of it.
#[derive(Debug)]
struct Row {
    version: AtomicI64,
    /// The last version whose invalidation was acknowledged: nobody may see an older one.
    acknowledged: AtomicI64,
    /// The last version whose invalidation ended, in whatever way: its own process may not see an older one.
    tried: AtomicI64,
}

struct World {
    rows: Vec<Row>,
    caches: Vec<Cache>,
    random: Random,
    writes: AtomicBool,
    stop: AtomicBool,
    calls: AtomicU64,
    hits: AtomicU64,
    stale: AtomicU64,
    failed_invalidations: AtomicU64,
    worst: Mutex<Duration>,
    /// How late a short sleep ended at worst: the machine's share in `worst`.
    lag: Mutex<Duration>,
    wrong: Mutex<Vec<String>>,
}

impl World {
    /// A process for each address.
    fn new(
        addresses: [SocketAddr; HANDLES],
        open: impl Fn(SocketAddr) -> Result<StoreHandle>,
    ) -> Result<Arc<Self>> {
        let cache = |address| -> Result<Cache> {
            let builder = Cache::builder(open(address)?).namespace("outage").operation_timeout(OPERATION);
            Ok(builder.load_timeout(LOAD).lease_timeout(Duration::from_secs(1)).build()?)
        };
        let row = |_| Row { version: 1.into(), acknowledged: 0.into(), tried: 0.into() };
        Ok(Arc::new(Self {
            rows: (0..KEYS).map(row).collect(),
            caches: addresses.into_iter().map(cache).collect::<Result<_>>()?,
            random: Random::new(SEED),
            writes: AtomicBool::new(true),
            stop: AtomicBool::new(false),
            calls: AtomicU64::new(0),
            hits: AtomicU64::new(0),
            stale: AtomicU64::new(0),
            failed_invalidations: AtomicU64::new(0),
            worst: Mutex::default(),
            lag: Mutex::default(),
            wrong: Mutex::default(),
        }))
    }

    /// Half of the keys live for long, so that nothing but an invalidation makes them new; the others are stale soon.
    fn options(key: usize) -> EntryOptions {
        let options = EntryOptions::new().stale_while_revalidate(Duration::from_secs(1));
        let options = options.stale_if_error(Duration::from_secs(5));
        let lives = if key % 4 < 2 { Duration::from_mins(5) } else { Duration::from_millis(30) };
        options.timeout(lives)
    }

    /// What a process reads. An error is wrong: the loads do not fail, and a store that does is none of the caller's business.
    async fn look(self: &Arc<Self>, handle: usize, key: usize) -> Result<i64> {
        let world = Arc::clone(self);
        let load = move || async move {
            world.random.delay().await;
            let version = world.rows[key].version.load(Ordering::SeqCst);
            world.random.delay().await;
            Ok::<_, Infallible>(Seen { version })
        };
        let began = Instant::now();
        let seen = self.caches[handle].get_or_load_with(key.to_string(), Self::options(key), load).await;
        let took = began.elapsed();
        let mut worst = self.worst.lock().unwrap();
        *worst = took.max(*worst);
        let seen = seen.with_context(|| format!("a read failed after {took:?}"))?;
        self.calls.fetch_add(1, Ordering::Relaxed);
        match seen.source() {
            Source::Hit => self.hits.fetch_add(1, Ordering::Relaxed),
            Source::Stale { .. } => self.stale.fetch_add(1, Ordering::Relaxed),
            _ => 0,
        };
        Ok(seen.version)
    }

    async fn read(self: Arc<Self>, handle: usize, key: usize) {
        while !self.stop.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_millis(self.random.below(8))).await;
            let row = &self.rows[key];
            let own = if key % HANDLES == handle { row.tried.load(Ordering::SeqCst) } else { 0 };
            let floor = own.max(row.acknowledged.load(Ordering::SeqCst));
            match self.look(handle, key).await {
                Ok(seen) if is_violation(floor, seen) => {
                    self.wrong(format!("row {key}, handle {handle}: {seen} after {floor} was invalidated"));
                }
                Ok(_) => {}
                Err(error) => self.wrong(format!("row {key}, handle {handle}: {error:#}")),
            }
        }
    }

    /// Changes a row and invalidates it, time and again, always in the same process.
    async fn write(self: Arc<Self>, key: usize) {
        while !self.stop.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_millis(20 + self.random.below(60))).await;
            if !self.writes.load(Ordering::SeqCst) {
                continue;
            }
            let row = &self.rows[key];
            let version = row.version.fetch_add(1, Ordering::SeqCst) + 1;
            let deleted = self.caches[key % HANDLES].delete(key.to_string()).await;
            row.tried.fetch_max(version, Ordering::SeqCst);
            if deleted.is_ok() {
                row.acknowledged.fetch_max(version, Ordering::SeqCst);
            } else {
                self.failed_invalidations.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    async fn watch(self: Arc<Self>) {
        let pause = Duration::from_millis(10);
        while !self.stop.load(Ordering::SeqCst) {
            let began = Instant::now();
            tokio::time::sleep(pause).await;
            let mut lag = self.lag.lock().unwrap();
            *lag = began.elapsed().saturating_sub(pause).max(*lag);
        }
    }

    fn wrong(&self, what: String) {
        self.wrong.lock().unwrap().push(what);
    }

    /// With no new writes, every process sees the newest version of every row: what failed has been replayed. A row that is
    /// stale may be served so once more, while it is loaded behind.
    async fn converge(self: &Arc<Self>) -> Result<Duration> {
        self.writes.store(false, Ordering::SeqCst);
        let began = Instant::now();
        // Writes that are on their way.
        tokio::time::sleep(OPERATION).await;
        loop {
            let mut old = Vec::new();
            for handle in 0..HANDLES {
                for key in 0..KEYS {
                    let newest = self.rows[key].version.load(Ordering::SeqCst);
                    let seen = self.look(handle, key).await?;
                    if seen < newest {
                        old.push(format!("row {key}, handle {handle}: {seen}, not {newest}"));
                    }
                }
            }
            if old.is_empty() {
                break;
            }
            ensure!(began.elapsed() < REPLAYED, "still old after {REPLAYED:?}: {old:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.writes.store(true, Ordering::SeqCst);
        Ok(began.elapsed())
    }
}

pub(crate) fn trials() -> Vec<Trial> {
    let trial = |name: &'static str, sit: fn() -> Result<()>| {
        Trial::test(format!("outage::nothing_comes_back_and_nobody_hangs::{name}"), move || {
            sit().map_err(|error| Failed::from(format!("{error:#}")))
        })
    };
    vec![
        trial("redis", || {
            let run = Run::new()?;
            sit("redis", &*Redis::start(&run)?, |address| {
                Ok(StoreHandle::new(RedisStore::connect(&format!("redis://{address}"))?))
            })
        }),
        trial("memcached", || {
            let run = Run::new()?;
            sit("memcached", &*Memcached::start(&run)?, |address| {
                Ok(StoreHandle::new(MemcachedStore::connect(&format!("memcached://{address}"))?))
            })
        }),
        trial("postgres", || {
            let run = Run::new()?;
            sit("postgres", &*Postgres::start(&run)?, |address| {
                let builder = PostgresStore::builder(&format!("postgres://larder@{address}/larder"));
                Ok(StoreHandle::new(builder.create_table(true).connections(4).build()?))
            })
        }),
    ]
}

fn sit(name: &str, server: &Server, open: impl Fn(SocketAddr) -> Result<StoreHandle>) -> Result<()> {
    let runtime = runtime()?;
    let (proxy, world, mut tasks) = runtime.block_on(async {
        // The first process alone can be cut off.
        let proxy = Proxy::start(server.address()).await?;
        let world = World::new([proxy.address(), server.address()], open)?;
        let mut tasks = JoinSet::new();
        for key in 0..KEYS {
            tasks.spawn(Arc::clone(&world).write(key));
            for handle in 0..HANDLES {
                tasks.spawn(Arc::clone(&world).read(handle, key));
            }
        }
        tasks.spawn(Arc::clone(&world).watch());
        anyhow::Ok((proxy, world, tasks))
    })?;
    let secs = |secs: f64| thread::sleep(Duration::from_secs_f64(secs));
    // The methods of the server block: the tasks go on meanwhile.
    secs(1.0);
    let calm = world.failed_invalidations.load(Ordering::Relaxed);
    ensure!(calm == 0, "{calm} invalidations failed before anything had happened");
    let mut replayed = Vec::new();
    for outage in ["killed", "paused", "cut off", "restarted"] {
        match outage {
            "killed" => {
                server.kill();
                secs(1.0);
                server.start()?;
            }
            "paused" => {
                server.pause()?;
                secs(1.5);
                server.resume();
            }
            // The server keeps all it has, and hears of no invalidation by this process until they are replayed.
            "cut off" => {
                proxy.set(Fault::Refuse);
                secs(1.5);
                proxy.set(Fault::None);
            }
            _ => server.restart()?,
        }
        secs(0.5);
        let took = runtime.block_on(world.converge()).with_context(|| format!("after it was {outage}"))?;
        replayed.push(format!("{outage}: {} ms", took.as_millis()));
        secs(0.5);
    }
    world.stop.store(true, Ordering::SeqCst);
    runtime.block_on(async {
        while let Some(ended) = tasks.join_next().await {
            ended.context("a task panicked")?;
        }
        anyhow::Ok(())
    })?;

    let (worst, lag) = (*world.worst.lock().unwrap(), *world.lag.lock().unwrap());
    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let failed = count(&world.failed_invalidations);
    report(format!(
        "outage of {name}, seed {SEED}: {} calls ({} hits, {} stale), {failed} failed invalidations, all of them replayed \
         ({}), worst call {} ms, worst lag {} ms",
        count(&world.calls),
        count(&world.hits),
        count(&world.stale),
        replayed.join(", "),
        worst.as_millis(),
        lag.as_millis()
    ));
    let wrong = world.wrong.lock().unwrap();
    let first: Vec<_> = wrong.iter().take(10).collect();
    ensure!(first.is_empty(), "seed {SEED}: {} times wrong: {first:#?}", wrong.len());
    ensure!(count(&world.hits) > 0 && failed > 0, "no hits, or no invalidation failed: nothing was examined");
    let bound = LOAD + OPERATION + Duration::from_millis(100) + lag;
    ensure!(worst <= bound, "a call took {worst:?}, more than {bound:?}");
    Ok(())
}
