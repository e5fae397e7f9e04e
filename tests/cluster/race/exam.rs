//! The exam at random: four processes read rows through the cache, and each writes a fourth of them; after an acknowledged
//! invalidation no reader that starts later, in whatever process, may see the older row. Processes are killed between.

use std::{
    env, fmt,
    time::{Duration, Instant},
};

use anyhow::{Result, bail, ensure};
use libtest_mimic::{Failed, Trial};

use crate::{
    kind::{KINDS, Kind},
    process::{Process, runtime, unique},
    racer::{COUNTS, FAULTY, KEYS, KIND, NUMBER, PROCESSES, ROUNDS, SEED, STORE, TABLE},
    rows, stores,
};

/// Rounds on each store, of each kind, in `cargo xtask test`; `cargo xtask exam race` asks for more.
fn rounds() -> Result<u32> {
    Ok(env::var("LARDER_CLUSTER_RACE_ROUNDS").map_or(Ok(200), |text| text.parse())?)
}

fn seed() -> Result<u64> {
    Ok(env::var("LARDER_RACE_SEED").map_or(Ok(0x1a4d_e400), |text| text.parse())?)
}

pub(crate) fn trials() -> Vec<Trial> {
    let pairs = stores::STORES.into_iter().flat_map(|store| KINDS.map(|kind| (store, kind)));
    pairs
        .filter(|(store, kind)| stores::has(store, *kind))
        .map(|(store, kind)| {
            let name = format!("race::nothing_older_than_acknowledged::{store}::{}", kind.name());
            Trial::test(name, move || hold(store, kind).map_err(|error| Failed::from(format!("{error:#}"))))
        })
        .chain([Trial::test("race::a_commit_by_set_is_noticed", || {
            notice().map_err(|error| Failed::from(format!("{error:#}")))
        })])
        .collect()
}

#[derive(Default)]
struct Report {
    rounds: i64,
    killed: i64,
    counts: [u64; COUNTS],
    violations: Vec<String>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [reads, hits, stale, loads, joined, not_kept, repeated] = self.counts;
        write!(
            f,
            "{} rounds, {} processes killed, {reads} reads ({hits} hits, {stale} stale, {loads} loads, {joined} joined), \
             {not_kept} not kept, {repeated} late invalidations repeated, {} violations",
            self.rounds,
            self.killed,
            self.violations.len()
        )
    }
}

impl Report {
    fn take(&mut self, lines: Vec<String>) -> Result<()> {
        for line in lines {
            if let Some(counts) = line.strip_prefix("counts ") {
                for (sum, count) in self.counts.iter_mut().zip(counts.split(' ')) {
                    *sum += count.parse::<u64>()?;
                }
            } else if line.starts_with("violation") {
                self.violations.push(line);
            } else {
                bail!("a process said: {line}");
            }
        }
        Ok(())
    }
}

struct Exam {
    store: &'static str,
    kind: Kind,
    table: String,
    seed: u64,
    /// Of each key.
    rounds: i64,
    /// Whether a rule is switched off.
    faulty: bool,
}

fn sit(store: &'static str, kind: Kind, rounds: u32, faulty: bool) -> Result<Report> {
    let directory = tempfile::tempdir()?;
    stores::at(directory.path());
    let rounds = rounds.div_ceil(KEYS.unsigned_abs()).into();
    let exam = Exam { store, kind, table: unique("race"), seed: seed()?, rounds, faulty };
    let began = Instant::now();
    let runtime = runtime()?;
    let client = runtime.block_on(rows::connect())?;
    runtime.block_on(rows::create(&client, &exam.table, KEYS))?;
    let progress = || -> Result<i64> {
        let sql = format!("select sum(rounds)::bigint from {}", exam.table);
        Ok(runtime.block_on(client.query_one(&sql, &[]))?.get(0))
    };
    let report = exam.run(progress);
    runtime.block_on(rows::remove(&client, &exam.table))?;
    let report = report?;
    crate::report(format!(
        "race exam on {store}, {}{}, seed {}: {report}, {:.1} s",
        kind.name(),
        if faulty { ", committing by `set`" } else { "" },
        exam.seed,
        began.elapsed().as_secs_f64()
    ));
    Ok(report)
}

fn hold(store: &'static str, kind: Kind) -> Result<()> {
    let report = sit(store, kind, rounds()?, false)?;
    let first: Vec<_> = report.violations.iter().take(10).collect();
    ensure!(first.is_empty(), "seed {}: {report}: {first:#?}", seed()?);
    let [_, hits, _, loads, joined, not_kept, _] = report.counts;
    ensure!(hits > 0 && loads > 0, "readers met no hits or no loads: {report}");
    // Nobody joins once a tag has become known, so there it is rare.
    ensure!(joined > 0 || kind == Kind::LateTag, "no load was shared: {report}");
    ensure!(not_kept > 0, "no invalidation overtook a load, so nothing was examined: {report}");
    Ok(())
}

/// The exam at random can fail, too.
fn notice() -> Result<()> {
    let report = sit("redis", Kind::Delete, 200, true)?;
    ensure!(!report.violations.is_empty(), "seed {}: nothing was noticed: {report}", seed()?);
    Ok(())
}

impl Exam {
    fn start(&self, number: i32, life: i64) -> Result<Process> {
        // Each life of each process chooses otherwise.
        let seed = self.seed ^ (u64::from(number.unsigned_abs()) << 8) ^ (life.unsigned_abs() << 16);
        let variables = [
            (STORE, self.store.to_owned()),
            (KIND, self.kind.name().to_owned()),
            (TABLE, self.table.clone()),
            (NUMBER, number.to_string()),
            (SEED, seed.to_string()),
            (ROUNDS, self.rounds.to_string()),
            (FAULTY, self.faulty.to_string()),
            (stores::PATH, stores::path()?),
        ];
        Process::start("racer", &variables)
    }

    fn run(&self, progress: impl Fn() -> Result<i64>) -> Result<Report> {
        let mut report = Report { rounds: self.rounds * i64::from(KEYS), ..Report::default() };
        // In proportion, and at least one writer and reader.
        let kills = (report.rounds / 300).max(2);
        let mut processes = (0..PROCESSES).map(|number| self.start(number, 0)).collect::<Result<Vec<_>>>()?;
        let deadline = Instant::now() + Duration::from_mins(2);
        loop {
            let done = progress()?;
            for process in &processes {
                report.take(process.heard())?;
            }
            if done >= report.rounds {
                break;
            }
            if report.killed < kills && done > (report.killed + 1) * report.rounds / (kills + 1) {
                report.killed += 1;
                let number = i32::try_from(report.killed)? % PROCESSES;
                let new = self.start(number, report.killed)?;
                let old = std::mem::replace(&mut processes[usize::try_from(number)?], new);
                report.take(old.kill()?)?;
            }
            ensure!(Instant::now() < deadline, "{done} of {} rounds after 120 s", report.rounds);
            std::thread::sleep(Duration::from_millis(5));
        }
        for process in processes {
            report.take(process.end(Duration::from_secs(20))?)?;
        }
        Ok(report)
    }
}
