//! Many callers of one cold key, in four processes; and a process that is killed while it loads for all of them.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use larder_core::Cache;
use libtest_mimic::{Failed, Trial};
use tokio::task::JoinSet;

use crate::{
    process::{Process, given, next_line, runtime, unique},
    racer::{STORE, Seen, TABLE},
    report,
    rows::{self, Rows},
    stores,
};

const PROCESSES: usize = 4;
const KEYS: i32 = 12;
const LEASE: Duration = Duration::from_secs(1);
const SKEW: Duration = Duration::from_millis(200);
/// For a machine that is busy otherwise.
const SLACK: Duration = Duration::from_secs(2);
const LONG: Duration = Duration::from_secs(20);

/// Does what it is told: `KEY CALLERS MILLIS`, callers of a key whose load takes so long. It says when a load begins, and when
/// all have a value.
pub(crate) fn child() -> Result<()> {
    let runtime = runtime()?;
    let (cache, rows) = runtime.block_on(open())?;
    println!("ready");
    while let Some(line) = next_line() {
        let numbers = line.split(' ').map(str::parse).collect::<Result<Vec<i32>, _>>()?;
        let [key, callers, millis] = numbers[..] else { anyhow::bail!("not understood: {line}") };
        let load = Duration::from_millis(millis.unsigned_abs().into());
        runtime.block_on(call(&cache, &rows, key, callers, load))?;
        println!("done");
    }
    Ok(())
}

async fn open() -> Result<(Cache, std::sync::Arc<Rows>)> {
    let table = given(TABLE)?;
    let handle = stores::open(&given(STORE)?, None).await?;
    let builder = Cache::builder(handle).namespace(&*table).operation_timeout(stores::PATIENCE);
    let cache = builder.lease_timeout(LEASE).clock_skew(SKEW).load_timeout(Duration::from_mins(1)).build()?;
    // So that it is connected.
    cache.get::<Seen>("nothing").await?;
    Ok((cache, std::sync::Arc::new(Rows::open(&table).await?)))
}

async fn call(
    cache: &Cache,
    rows: &std::sync::Arc<Rows>,
    key: i32,
    callers: i32,
    load: Duration,
) -> Result<()> {
    let mut tasks = JoinSet::new();
    for _ in 0..callers {
        let (cache, rows) = (cache.clone(), std::sync::Arc::clone(rows));
        tasks.spawn(async move {
            let load = move || async move {
                rows.count_load(key).await?;
                println!("loading");
                tokio::time::sleep(load).await;
                Ok::<_, anyhow::Error>(Seen { version: key.into() })
            };
            cache.get_or_load(key.to_string(), load).await
        });
    }
    while let Some(ended) = tasks.join_next().await {
        let seen = ended.context("a caller panicked")?.context("a caller got no value")?;
        ensure!(seen.version == i64::from(key), "a caller of {key} got {}", seen.version);
    }
    Ok(())
}

pub(crate) fn trials() -> Vec<Trial> {
    stores::STORES
        .into_iter()
        .map(|store| {
            Trial::test(format!("stampede::one_load_for_all::{store}"), move || {
                stampede(store).map_err(|error| Failed::from(format!("{error:#}")))
            })
        })
        .collect()
}

fn stampede(store: &'static str) -> Result<()> {
    let directory = tempfile::tempdir()?;
    stores::at(directory.path());
    let table = unique("stampede");
    let runtime = runtime()?;
    let client = runtime.block_on(rows::connect())?;
    runtime.block_on(rows::create(&client, &table, KEYS))?;
    let loads = |key: i32| -> Result<i64> {
        let sql = format!("select loads from {table} where key = $1");
        Ok(runtime.block_on(client.query_one(&sql, &[&key]))?.get(0))
    };
    let variables = [(STORE, store.to_owned()), (TABLE, table.clone()), (stores::PATH, stores::path()?)];
    let start = || -> Result<Process> {
        let process = Process::start("stampede", &variables)?;
        process.expect("ready", LONG)?;
        Ok(process)
    };
    let processes = (0..PROCESSES).map(|_| start()).collect::<Result<Vec<_>>>()?;
    let result = check(processes, loads);
    runtime.block_on(rows::remove(&client, &table))?;
    let took = result?;
    report(format!(
        "stampede on {store}: 1 load for 4 x 50 callers, 10 times, and for 200 in one process; leader killed: all had a \
              value {:.0} ms later",
        took.as_secs_f64() * 1_000.0
    ));
    Ok(())
}

/// How long after the death of the leader everybody had a value.
fn check(mut processes: Vec<Process>, loads: impl Fn(i32) -> Result<i64>) -> Result<Duration> {
    for key in 0..10 {
        for process in &mut processes {
            process.tell(&format!("{key} 50 50"))?;
        }
        for process in &processes {
            done(process, LONG)?;
        }
        let loads = loads(key)?;
        ensure!(loads == 1, "4 processes x 50 callers: {loads} loads");
    }
    processes[0].tell("10 200 50")?;
    done(&processes[0], LONG)?;
    let in_one = loads(10)?;
    ensure!(in_one == 1, "200 callers in one process: {in_one} loads");

    processes[0].tell("11 1 60000")?;
    processes[0].expect("loading", LONG)?;
    for process in &mut processes[1..] {
        process.tell("11 50 50")?;
    }
    // They are on their way, and wait.
    std::thread::sleep(Duration::from_millis(300));
    processes.remove(0).kill()?;
    let killed = Instant::now();
    let bound = LEASE + SKEW + Duration::from_millis(50) + SLACK;
    for process in &processes {
        done(process, bound.saturating_sub(killed.elapsed()))?;
    }
    let took = killed.elapsed();
    let after_death = loads(11)? - 1;
    ensure!(after_death == 1, "after the death of the leader: {after_death} loads");
    for process in processes {
        process.end(LONG)?;
    }
    Ok(took)
}

fn done(process: &Process, within: Duration) -> Result<()> {
    let deadline = Instant::now() + within;
    loop {
        let line = process.hear(deadline.saturating_duration_since(Instant::now()))?;
        match &*line {
            "done" => return Ok(()),
            "loading" => {}
            other => anyhow::bail!("a child said {other}"),
        }
    }
}
