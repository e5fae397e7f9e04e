//! `cargo xtask exam`: tests that run for long, each with a bound.

use std::process::ExitCode;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::run::{program, spawn_piped};
use crate::services::Services;
use crate::test::{Report, binaries, follow};
use crate::workspace::Workspace;

struct Exam {
    name: &'static str,
    what: &'static str,
    minutes: u64,
    package: &'static str,
    target: &'static str,
    /// A `cfg` to build with, in a target directory of its own.
    cfg: Option<&'static str>,
    /// What to run of the test binary: a filter, and options.
    args: &'static [&'static str],
    env: (&'static str, &'static str),
}

/// The tests inside the library.
const UNIT: &str = "unit";

const EXAMS: &[Exam] = &[
    Exam {
        name: "race",
        what: "invalidations against loads in one process, 100 000 rounds",
        minutes: 3,
        package: "larder-tests",
        target: "it",
        cfg: None,
        args: &["race::", "--nocapture"],
        env: ("LARDER_RACE_ROUNDS", "100000"),
    },
    Exam {
        name: "race",
        what: "the same across four processes, 5 000 rounds on each store of each kind; stampedes; outages",
        minutes: 12,
        package: "larder-cluster-tests",
        target: "race",
        cfg: None,
        args: &[],
        env: ("LARDER_CLUSTER_RACE_ROUNDS", "5000"),
    },
    Exam {
        name: "flights",
        what: "the flight table under Shuttle, 10 000 schedules at random and by PCT of each kind of invalidation",
        minutes: 3,
        package: "larder-core",
        target: UNIT,
        cfg: Some("shuttle"),
        args: &["flight::shuttle_tests::", "--nocapture"],
        env: ("LARDER_SHUTTLE_ROUNDS", "10000"),
    },
    Exam {
        name: "model",
        what: "random operations on SimpleStore against the reference model, 20 000 sequences",
        minutes: 30,
        package: "larder-simple",
        target: "conformance",
        cfg: None,
        args: &["model"],
        env: ("LARDER_MODEL_CASES", "20000"),
    },
    Exam {
        name: "cluster-model",
        what: "nodes over one store, with faults, under a seeded scheduler, 20 000 seeds of each kind",
        minutes: 30,
        package: "larder-tests",
        target: "it",
        cfg: None,
        args: &["model::", "--nocapture"],
        env: ("LARDER_CLUSTER_SEEDS", "20000"),
    },
    Exam {
        name: "kill",
        what: "a writer of 10 000 values of 100 KB into FileSystemStore, killed 20 times",
        minutes: 30,
        package: "larder-filesystem",
        target: "processes",
        cfg: None,
        args: &["killed_writer"],
        env: ("LARDER_KILLS", "20x10000"),
    },
];

pub(crate) fn is_known(name: &str) -> bool {
    name == "all" || EXAMS.iter().any(|exam| exam.name == name)
}

pub(crate) fn list() -> ExitCode {
    for exam in EXAMS {
        println!("{:<13} at most {:>3} min  {}", exam.name, exam.minutes, exam.what);
    }
    ExitCode::SUCCESS
}

pub(crate) fn command(workspace: &Workspace, name: &str) -> ExitCode {
    let mut failed = false;
    for exam in EXAMS.iter().filter(|exam| name == "all" || exam.name == name) {
        println!("== exam {}: {}, at most {} min after its build", exam.name, exam.what, exam.minutes);
        let start = Instant::now();
        let result = sit(workspace, exam);
        let seconds = start.elapsed().as_secs_f64();
        match result {
            Ok(report) => {
                println!("== exam {}: ok after {seconds:.1} s; {}", exam.name, report.closing_line());
            }
            Err(error) => {
                println!("== exam {}: FAILED after {seconds:.1} s: {error:#}", exam.name);
                failed = true;
            }
        }
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Builds the test binary and starts the servers it needs, then starts it without cargo between, so that ending it at its bound ends it wholly.
fn sit(workspace: &Workspace, exam: &Exam) -> Result<Report> {
    let mut args = vec!["test", "--release", "--all-features", "-p", exam.package];
    match exam.target {
        UNIT => args.push("--lib"),
        target => args.extend(["--test", target]),
    }
    let own_target = exam.cfg.map(|cfg| workspace.target.join(cfg));
    if let Some(dir) = &own_target {
        // Other flags: in the usual directory each build would undo the other.
        args.extend(["--target-dir", dir.to_str().context("the target directory is not UTF-8")?]);
    }
    let built = binaries::build(workspace, &args, exam.cfg)?;
    let binary =
        built.iter().find(|binary| binary.package == exam.package).context("cargo built no such test")?;
    let package = workspace.packages.iter().find(|package| package.name == exam.package);
    let package = package.context("the package is gone")?;
    let path = binary.executable.to_str().context("the path of the test is not UTF-8")?;
    let services = package.needs_servers.then(|| Services::start(workspace)).transpose()?;
    let mut command = program(&package.dir, path, exam.args);
    command.env(exam.env.0, exam.env.1).env("CARGO_MANIFEST_DIR", &package.dir);
    command.envs(services.iter().flat_map(Services::variables));

    let (mut child, _watch, output) = spawn_piped(&mut command)?;
    let reader = std::thread::spawn(move || follow(output, Report::default()));
    let deadline = Instant::now() + Duration::from_secs(exam.minutes * 60);
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if Instant::now() >= deadline {
            child.kill().context("cannot end the exam")?;
            child.wait()?;
            bail!("not done within {} min; ended", exam.minutes);
        }
        sleep(Duration::from_millis(100));
    };
    let mut report = reader.join().expect("reading lines does not panic")?;
    report.ended(status.success());
    println!("\n{}", report.table());
    report.verdict()?;
    Ok(report)
}
