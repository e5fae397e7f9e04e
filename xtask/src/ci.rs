//! `cargo xtask ci`: every step in order, cheap ones first, the tests last.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::workspace::Workspace;
use crate::{deny, lint, stranger, test, tidy};

type Step = fn(&Workspace) -> Result<()>;

/// The steps that are also subcommands of their own.
pub(crate) const STEPS: &[(&str, Step)] = &[
    ("fmt", lint::fmt),
    ("tidy", tidy::command),
    ("clippy", lint::clippy),
    ("docs", lint::docs),
    ("deny", deny::command),
    ("stranger", stranger::command),
];

struct Row {
    step: &'static str,
    took: Duration,
    passed: bool,
}

pub(crate) fn command(workspace: &Workspace, keep_going: bool) -> ExitCode {
    let mut rows = Vec::new();
    for &(step, check) in STEPS {
        rows.push(timed(step, || check(workspace)));
        if !keep_going && rows.iter().any(|row| !row.passed) {
            print_table(&rows);
            return ExitCode::FAILURE;
        }
    }
    let mut closing_line = None;
    rows.push(timed("test", || {
        let report = test::run(workspace, false, &[])?;
        closing_line = Some(report.closing_line());
        report.verdict()
    }));
    print_table(&rows);
    // Last of all, because who runs this reads the closing line of the tests.
    if let Some(line) = closing_line {
        println!("{line}");
    }
    if rows.iter().all(|row| row.passed) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn timed(step: &'static str, work: impl FnOnce() -> Result<()>) -> Row {
    println!("\n== {step}");
    let start = Instant::now();
    let result = work();
    let took = start.elapsed();
    if let Err(error) = &result {
        println!("error: {error:#}");
    }
    let passed = result.is_ok();
    println!("== {step}: {} after {:.1} s", word(passed), took.as_secs_f64());
    Row { step, took, passed }
}

fn print_table(rows: &[Row]) {
    println!("\n{:<10} {:>9}", "step", "seconds");
    for row in rows {
        println!("{:<10} {:>9.1}  {}", row.step, row.took.as_secs_f64(), word(row.passed));
    }
}

fn word(passed: bool) -> &'static str {
    if passed { "ok" } else { "FAILED" }
}

#[cfg(test)]
mod tests {
    use super::STEPS;

    /// What runs here and what runs before a pull request is taken is one list.
    #[test]
    fn the_workflow_has_a_job_for_each_step() {
        let workflow = include_str!("../../.github/workflows/ci.yml");
        let listed = workflow.lines().find_map(|line| line.trim().strip_prefix("step: [")).unwrap();
        let jobs: Vec<_> = listed.trim_end_matches(']').split(", ").collect();
        let steps: Vec<_> = STEPS.iter().map(|(step, _)| *step).chain(["test"]).collect();
        assert_eq!(jobs, steps);
    }
}
