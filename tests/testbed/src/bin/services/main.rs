//! `larder-services`: the servers that the tests of the workspace need. `cargo xtask services` and `cargo xtask test` start
//! it; one process holds all servers, and they end with it.
#![expect(clippy::print_stderr, reason = "a command-line tool speaks to its terminal")]
#![expect(clippy::disallowed_methods, reason = "it waits for processes, in real time")]

mod hold;
mod install;
mod state;
mod topologies;
mod up;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;

const USAGE: &str = "\
usage: larder-services COMMAND --state FILE [--only NAME,NAME]

  up      start the servers in the background, and print the variables that tests read
  down    end them
  status  say of each whether it answers
  hold    start them, and end them on SIGINT, SIGTERM or the end of standard input
  stay    the same, whatever becomes of standard input";

/// The command line, once it is understood.
struct Request {
    command: Command,
    state: PathBuf,
    only: Vec<String>,
}

#[derive(Clone, Copy)]
enum Command {
    Up,
    Down,
    Status,
    Hold,
    Stay,
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let Some(request) = parse(&args) else {
        eprintln!("{USAGE}\n\nnames: {}", topologies::names().join(", "));
        return ExitCode::from(2);
    };
    match run(&request) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            // What is not installed is not a failure of ours: whoever runs the tests can tell the two apart.
            if error.is::<install::NotInstalled>() { ExitCode::from(2) } else { ExitCode::FAILURE }
        }
    }
}

fn run(request: &Request) -> Result<ExitCode> {
    let state: &Path = &request.state;
    match request.command {
        Command::Up => up::up(state, &request.only),
        Command::Down => up::down(state),
        Command::Status => up::status(state),
        Command::Hold => hold::hold(state, &request.only, true),
        Command::Stay => hold::hold(state, &request.only, false),
    }
}

fn parse(args: &[String]) -> Option<Request> {
    let (command, rest) = args.split_first()?;
    let command = match command.as_str() {
        "up" => Command::Up,
        "down" => Command::Down,
        "status" => Command::Status,
        "hold" => Command::Hold,
        "stay" => Command::Stay,
        _ => return None,
    };
    let (mut state, mut only) = (None, Vec::new());
    let (pairs, rest) = rest.as_chunks::<2>();
    for [option, value] in pairs {
        match option.as_str() {
            "--state" => state = Some(PathBuf::from(value)),
            "--only" => only.extend(value.split(',').map(str::to_owned)),
            _ => return None,
        }
    }
    let are_known = only.iter().all(|name| topologies::names().contains(&name.as_str()));
    (rest.is_empty() && are_known).then_some(Request { command, state: state?, only })
}
