//! `cargo xtask test`: all tests, then what ran, what was ignored and why, and one closing line.

pub(crate) mod binaries;
mod report;

use std::io::PipeReader;
use std::process::ExitCode;

use anyhow::Result;

pub(crate) use self::report::Report;
use crate::run::{cargo, each_line, shown, spawn_piped};
use crate::services::{self, Services};
use crate::workspace::Workspace;

pub(crate) fn command(workspace: &Workspace, fast: bool, rest: &[&str]) -> Result<ExitCode> {
    let report = run(workspace, fast, rest)?;
    let verdict = report.verdict();
    if let Err(error) = &verdict {
        println!("error: {error:#}");
    }
    println!("{}", report.closing_line());
    Ok(if verdict.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs the tests and prints what ran, all but the closing line.
pub(crate) fn run(workspace: &Workspace, fast: bool, rest: &[&str]) -> Result<Report> {
    let mut args = vec!["test", "--all-features", "--no-fail-fast"];
    let ours = rest.iter().take_while(|word| **word != "--");
    if !ours.copied().any(|word| word.starts_with("-p") || word.starts_with("--package")) {
        args.push("--workspace");
        for package in workspace.packages.iter().filter(|package| fast && package.needs_servers) {
            println!("left out by --fast, because it needs a server: {}", package.name);
            args.extend(["--exclude", &package.name]);
        }
    }
    args.extend(rest);

    let names = binaries::build(workspace, &args, None)?;
    let services =
        (!fast && services::are_needed(workspace, rest)).then(|| Services::start(workspace)).transpose()?;
    let mut command = cargo(&workspace.root, &args);
    command.envs(services.iter().flat_map(Services::variables));
    println!("$ {}", shown(&command));
    let (mut child, _watch, output) = spawn_piped(&mut command)?;
    let mut report = follow(output, Report::new(binaries::names(&names)))?;
    report.ended(child.wait()?.success());
    println!("\n{}", report.table());
    Ok(report)
}

/// Prints what comes, and reports it.
pub(crate) fn follow(output: PipeReader, mut report: Report) -> Result<Report> {
    each_line(output, |line| report.line(line))?;
    Ok(report)
}
