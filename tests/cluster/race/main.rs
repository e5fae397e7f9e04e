//! Exams of the cache across processes, on every shared store. The test program starts itself again for each process.
//!
//! - `race`: invalidations against loads, at random, with processes killed between.
//! - `script`: one interleaving per rule, each passing with the rule in force and failing without it.
//! - `stampede`: many callers of one cold key, and leaders that are killed.
//! - `outage`: servers killed, paused and restarted under callers.
#![expect(clippy::disallowed_methods, reason = "a test waits and starts tasks at the outermost edge")]
#![expect(clippy::print_stdout, reason = "an exam prints what it saw, and a child speaks to its parent")]
#![expect(clippy::unwrap_used, reason = "a test program fails like a test")]

#[path = "../../it/race/delays.rs"]
#[expect(dead_code, reason = "shared with the exam in one process, which also takes versions away")]
mod delays;
mod exam;
mod gates;
mod kind;
mod outage;
mod process;
mod racer;
mod random;
mod rows;
mod script;
mod stampede;
mod stores;

use std::{
    env,
    process::ExitCode,
    sync::{Mutex, PoisonError},
};

use libtest_mimic::Arguments;

fn main() -> ExitCode {
    if let Ok(role) = env::var(process::ROLE) {
        return process::exit(match &*role {
            "racer" => racer::child(),
            "stampede" => stampede::child(),
            other => panic!("an unknown role: {other}"),
        });
    }
    let mut arguments = Arguments::from_args();
    // Each trial has four processes of its own.
    arguments.test_threads = Some(1);
    let mut trials = exam::trials();
    trials.extend(script::trials());
    trials.extend(stampede::trials());
    trials.extend(outage::trials());
    let conclusion = libtest_mimic::run(&arguments, trials);
    for line in reports().iter() {
        println!("{line}");
    }
    conclusion.exit_code()
}

static REPORTS: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn reports() -> std::sync::MutexGuard<'static, Vec<String>> {
    REPORTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What was seen, to be printed once all trials are over: until then their lines are theirs.
fn report(line: String) {
    reports().push(line);
}
