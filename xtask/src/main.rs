//! The automation of Larder: `cargo xtask` lists what it can do. It starts programs with argument lists, never
//! through a shell.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool speaks to its terminal")]
#![expect(
    clippy::disallowed_methods,
    reason = "the outermost edge: it times its steps and polls its children"
)]

mod ci;
mod deny;
mod exam;
mod interrupt;
mod lint;
mod run;
mod services;
mod stranger;
mod test;
mod tidy;
mod workspace;

use std::process::ExitCode;

use crate::run::cargo;
use crate::workspace::Workspace;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  test [--fast] [cargo test arguments]  every test of the workspace; --fast leaves out crates that need a server
  services up|down|status [--only ..]   servers for tests, in the background; `test` starts and ends its own
  ci [--keep-going]                     every step below, then the tests
    fmt | tidy | clippy | docs | deny | stranger
  exam --list | all | NAME              long exams, each with a bound
  bench [NAME]                          the benchmarks, or one of them";

fn main() -> ExitCode {
    if let Some(code) = tidy::coverage::as_rustdoc() {
        return code;
    }
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match dispatch(&words) {
        Ok(Some(code)) => code,
        Ok(None) => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            if error.is::<services::NotInstalled>() { ExitCode::from(2) } else { ExitCode::FAILURE }
        }
    }
}

/// `None` when the words are no command of ours.
fn dispatch(words: &[&str]) -> anyhow::Result<Option<ExitCode>> {
    let code = match *words {
        ["test", "--fast", ref rest @ ..] => test::command(&Workspace::load()?, true, rest)?,
        ["test", ref rest @ ..] => test::command(&Workspace::load()?, false, rest)?,
        ["services", "down" | "status"] => services::command(&Workspace::load()?, words[1], &[])?,
        ["services", "up", ref rest @ ..] => services::command(&Workspace::load()?, "up", rest)?,
        ["ci"] => ci::command(&Workspace::load()?, false),
        ["ci", "--keep-going"] => ci::command(&Workspace::load()?, true),
        ["exam", "--list"] => exam::list(),
        ["exam", name] if exam::is_known(name) => exam::command(&Workspace::load()?, name),
        ["bench"] => bench(&[])?,
        ["bench", name] if !name.starts_with('-') => bench(&["--bench", name])?,
        [step] => match ci::STEPS.iter().find(|(name, _)| *name == step) {
            Some((_, check)) => {
                check(&Workspace::load()?)?;
                ExitCode::SUCCESS
            }
            None => return Ok(None),
        },
        _ => return Ok(None),
    };
    Ok(Some(code))
}

fn bench(which: &[&str]) -> anyhow::Result<ExitCode> {
    let root = Workspace::load()?.root;
    run::run(cargo(&root, &["bench", "-p", "larder-benches"]).args(which))?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::dispatch;

    #[test]
    fn unknown_words_are_no_command() {
        for words in [
            &[][..],
            &["tets"],
            &["ci", "--kep-going"],
            &["exam"],
            &["exam", "nap"],
            &["fmt", "x"],
            &["services"],
            &["services", "upp"],
        ] {
            assert!(dispatch(words).unwrap().is_none(), "{words:?}");
        }
    }
}
