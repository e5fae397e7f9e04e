//! `up`, `down` and `status`: servers in the background.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::state::{Process, State};

/// Installing packages may be part of it.
const UP: Duration = Duration::from_mins(10);
const DOWN: Duration = Duration::from_secs(20);

pub(crate) fn up(path: &Path, only: &[String]) -> Result<ExitCode> {
    if let Some(state) = State::read(path)? {
        if state.holder.is_alive() {
            print(&state.exports())?;
            eprintln!("{} servers were up already", state.members.len());
            return Ok(ExitCode::SUCCESS);
        }
        down(path)?;
    }
    let started = Instant::now();
    let log = path.with_extension("log");
    let mut holder = holder(path, only, &log)?;
    loop {
        if let Some(state) = State::read(path)? {
            print(&state.exports())?;
            let (count, took) = (state.members.len(), started.elapsed().as_secs_f64());
            eprintln!("{count} servers are up after {took:.1} s, in {}", state.directory.display());
            return Ok(ExitCode::SUCCESS);
        }
        if let Some(status) = holder.try_wait().context("cannot wait for the holder")? {
            eprint!("{}", std::fs::read_to_string(&log).unwrap_or_default());
            let code = status.code().and_then(|code| u8::try_from(code).ok());
            return Ok(code.map_or(ExitCode::FAILURE, ExitCode::from));
        }
        if started.elapsed() > UP {
            signal(holder.id(), Signal::TERM);
            bail!("the servers were not up within {UP:?}; see {}", log.display());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Who reads it may have gone away.
fn print(text: &str) -> Result<()> {
    std::io::stdout().write_all(text.as_bytes()).context("cannot print")
}

/// This program again, as a process that outlives us and our terminal.
fn holder(path: &Path, only: &[String], log: &Path) -> Result<std::process::Child> {
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
    }
    let output = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    let errors = output.try_clone().context("cannot share a log")?;
    let mut command = Command::new(std::env::current_exe().context("this program has no path")?);
    command.args(["stay", "--state"]).arg(path);
    if !only.is_empty() {
        command.arg("--only").arg(only.join(","));
    }
    command.stdin(Stdio::null()).stdout(output).stderr(errors).process_group(0);
    command.spawn().context("cannot start the holder")
}

pub(crate) fn down(path: &Path) -> Result<ExitCode> {
    let Some(state) = State::read(path)? else {
        eprintln!("no servers are up");
        return Ok(ExitCode::SUCCESS);
    };
    end(state.holder, Signal::TERM)?;
    // They are gone with their holder, unless that was killed and the system has no `setpriv`.
    for member in &state.members {
        end(member.process, Signal::KILL)?;
    }
    for leftover in [std::fs::remove_file(path), std::fs::remove_dir_all(&state.directory)] {
        match leftover {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).context("cannot remove what the servers left");
            }
            _ => {}
        }
    }
    eprintln!("{} servers are down", state.members.len());
    Ok(ExitCode::SUCCESS)
}

/// Ends a process that is still the one we started, and waits for its end.
fn end(process: Process, how: Signal) -> Result<()> {
    if process.is_alive() {
        signal(process.pid, how);
    }
    let deadline = Instant::now() + DOWN;
    while process.is_alive() {
        if Instant::now() > deadline {
            bail!("process {} did not end within {DOWN:?}", process.pid);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        // It may just have ended by itself.
        let _ = kill_process(pid, signal);
    }
}

pub(crate) fn status(path: &Path) -> Result<ExitCode> {
    let Some(state) = State::read(path)? else {
        print("no servers are up\n")?;
        return Ok(ExitCode::FAILURE);
    };
    let mut all_answer = true;
    for member in &state.members {
        let says = match (member.process.is_alive(), member.probe.ask()) {
            (false, _) => "is gone".to_owned(),
            (true, Ok(())) => "answers".to_owned(),
            (true, Err(error)) => format!("does not answer: {error:#}"),
        };
        all_answer &= says == "answers";
        print(&format!("{:<28} pid {:<8} {says}\n", member.name, member.process.pid))?;
    }
    Ok(if all_answer { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
