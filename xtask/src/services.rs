//! The servers that tests need: `cargo xtask services`, and what `cargo xtask test` starts and ends by itself. The program
//! that starts them is `larder-services` of `tests/testbed`, so that this one stays small.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::interrupt::{self, Watch};
use crate::run::{cargo, output, shown};
use crate::workspace::Workspace;

const PACKAGE: &str = "larder-testbed";
const BINARY: &str = "larder-services";
/// Packages may have to be fetched first.
const START: Duration = Duration::from_mins(10);
const END: Duration = Duration::from_secs(20);

/// Servers are not installed, and cannot be from here; the program that found out has said which.
#[derive(Debug)]
pub(crate) struct NotInstalled;

impl fmt::Display for NotInstalled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("servers that the tests need are not installed; `test --fast` does without them")
    }
}

impl std::error::Error for NotInstalled {}

/// `cargo xtask services ..`; the servers that `up` starts stay.
pub(crate) fn command(workspace: &Workspace, command: &str, rest: &[&str]) -> Result<ExitCode> {
    let mut command = program(workspace, command, &workspace.target.join("services.json"))?;
    let status = command.args(rest).status().with_context(|| format!("cannot start {}", shown(&command)))?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

fn program(workspace: &Workspace, command: &str, state: &Path) -> Result<Command> {
    let mut program = Command::new(build(workspace)?);
    program.current_dir(&workspace.root).args([command, "--state"]).arg(state);
    Ok(program)
}

fn build(workspace: &Workspace) -> Result<PathBuf> {
    let args =
        ["build", "--quiet", "-p", PACKAGE, "--bin", BINARY, "--message-format", "json-render-diagnostics"];
    let mut command = cargo(&workspace.root, &args);
    let output = output(&mut command)?;
    if !output.status.success() {
        bail!("{BINARY} does not compile");
    }
    let lines = String::from_utf8_lossy(&output.stdout);
    let artifacts = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let executable = artifacts.filter_map(|json| json["executable"].as_str().map(PathBuf::from)).next_back();
    executable.with_context(|| format!("cargo built no {BINARY}"))
}

/// Servers of this run alone. They end with this value, and with this program however it ends: at the latest when the
/// holder's standard input, whose other end is ours, is closed.
#[derive(Debug)]
pub(crate) struct Services {
    holder: Child,
    variables: Vec<(String, String)>,
    _watch: Watch,
    _directory: tempfile::TempDir,
}

impl Services {
    /// Starts all of them, and returns once they answer.
    pub(crate) fn start(workspace: &Workspace) -> Result<Self> {
        let directory = tempfile::tempdir().context("cannot make a directory")?;
        let state = directory.path().join("services.json");
        let mut command = program(workspace, "hold", &state)?;
        println!("$ {BINARY} hold");
        let started = Instant::now();
        let (holder, watch) =
            interrupt::spawn(command.stdin(Stdio::piped())).context("cannot start the holder")?;
        let mut services = Self { holder, variables: Vec::new(), _watch: watch, _directory: directory };
        loop {
            if let Ok(text) = std::fs::read(&state) {
                services.variables = variables(&text)?;
                println!("servers are up after {:.1} s", started.elapsed().as_secs_f64());
                return Ok(services);
            }
            match services.holder.try_wait().context("cannot wait for the holder")? {
                Some(status) if status.code() == Some(2) => return Err(NotInstalled.into()),
                Some(status) => bail!("{BINARY} ended with {status}; see above"),
                None if started.elapsed() > START => bail!("the servers were not up within {START:?}"),
                None => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }

    /// What the tests are to find in their environment.
    pub(crate) fn variables(&self) -> impl Iterator<Item = (&str, &str)> {
        self.variables.iter().map(|(name, url)| (name.as_str(), url.as_str()))
    }
}

impl Drop for Services {
    fn drop(&mut self) {
        drop(self.holder.stdin.take());
        let deadline = Instant::now() + END;
        while matches!(self.holder.try_wait(), Ok(None)) {
            if Instant::now() > deadline {
                eprintln!("warning: the servers did not end within {END:?}, and are killed");
                // The kernel ends them with it.
                let _ = self.holder.kill();
                let _ = self.holder.wait();
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

fn variables(state: &[u8]) -> Result<Vec<(String, String)>> {
    let state: Value = serde_json::from_slice(state).context("the servers' state is no JSON")?;
    serde_json::from_value(state["variables"].clone()).context("the servers' state has no variables")
}

/// Whether `cargo test` with these arguments runs tests of a package that needs servers.
pub(crate) fn are_needed(workspace: &Workspace, rest: &[&str]) -> bool {
    let chosen = packages(rest);
    let mut needy = workspace.packages.iter().filter(|package| package.needs_servers);
    needy.any(|package| chosen.is_empty() || chosen.contains(&package.name.as_str()))
}

/// The packages named by `-p` in its four forms; none means all.
fn packages<'a>(rest: &[&'a str]) -> Vec<&'a str> {
    let mut words = rest.iter().copied().take_while(|word| *word != "--");
    let mut packages = Vec::new();
    while let Some(word) = words.next() {
        match word {
            "-p" | "--package" => packages.extend(words.next()),
            _ => packages.extend(word.strip_prefix("--package=").or_else(|| word.strip_prefix("-p"))),
        }
    }
    packages
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Package;

    #[test]
    fn servers_are_started_for_packages_that_need_them() {
        let package =
            |name: &str, needs_servers| Package { name: name.into(), needs_servers, ..Package::default() };
        let packages = vec![package("larder-core", false), package("larder-redis", true)];
        let workspace = Workspace { root: "/w".into(), target: "/w/target".into(), packages };
        for (rest, needed) in [
            (&[][..], true),
            (&["--lib", "--", "-p", "larder-core"], true),
            (&["-p", "larder-core"], false),
            (&["--package=larder-core", "--", "larder-redis"], false),
            (&["-plarder-core", "--package", "larder-redis"], true),
        ] {
            assert_eq!(are_needed(&workspace, rest), needed, "{rest:?}");
        }
    }

    #[test]
    fn variables_are_read_from_the_state() {
        let state = br#"{"holder": {"pid": 1}, "variables": [["LARDER_TEST_X", "x://y"]]}"#;
        assert_eq!(variables(state).unwrap(), [("LARDER_TEST_X".to_owned(), "x://y".to_owned())]);
        assert!(variables(b"{}").is_err());
    }
}
