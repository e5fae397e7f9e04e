//! The process that holds the servers.

use std::io::Read as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::mpsc;

use anyhow::{Context, Result};
use larder_testbed::{Run, end_everything};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::state::{Process, State};
use crate::topologies::Started;
use crate::{install, topologies};

enum Event {
    /// The servers answer, or one of them does not.
    Started(Result<Vec<Started>>),
    /// Whoever wanted the servers does not any more.
    End,
}

/// Starts the servers, writes the state, and ends them on a signal. With a `leash` it ends them at the end of standard input
/// too, and so with whoever holds the other end, even if that is killed.
pub(crate) fn hold(path: &Path, only: &[String], leash: bool) -> Result<ExitCode> {
    let (events, inbox) = mpsc::channel();
    // A closed terminal is no reason to end: servers in the background outlive it.
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM]).context("cannot listen for signals")?;
    let ends = events.clone();
    std::thread::spawn(move || {
        if signals.forever().any(|signal| signal != SIGHUP) {
            // Nobody listens any more when it is over already.
            let _ = ends.send(Event::End);
        }
    });
    if leash {
        let ends = events.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 64];
            while std::io::stdin().read(&mut buffer).is_ok_and(|read| read > 0) {}
            let _ = ends.send(Event::End);
        });
    }

    install::what_is_missing()?;
    let run = Run::new()?;
    let (theirs, names) = (run.clone(), only.to_vec());
    std::thread::spawn(move || {
        let _ = events.send(Event::Started(topologies::start(&theirs, &names)));
    });
    let Ok(Event::Started(started)) = inbox.recv() else {
        end_everything();
        let _ = std::fs::remove_dir_all(run.path());
        return Ok(ExitCode::FAILURE);
    };
    let started = started?;
    let state = State {
        holder: Process::of(std::process::id()).context("/proc does not show this process")?,
        directory: run.path().to_owned(),
        variables: started.iter().flat_map(|started| started.variables.clone()).collect(),
        members: started.iter().flat_map(|started| started.members.clone()).collect(),
    };
    state.write(path)?;
    // The other threads hold a sender each: this waits for one of them.
    let _ = inbox.recv();
    end(started);
    drop(run);
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(ExitCode::SUCCESS),
    }
}

/// All at the same time: some take a moment to clean up.
fn end(started: Vec<Started>) {
    std::thread::scope(|scope| {
        for started in started {
            scope.spawn(move || drop(started));
        }
    });
}
