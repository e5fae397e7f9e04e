//! Compiling the client of a server where one is asked for: the first build has none.

use std::ffi::OsString;
use std::process::{self, Command};

use crate::Args;

/// Starts the example anew with the feature that its store needs, where that is off and `cargo run` started it. Otherwise
/// it returns, and [`Args::cache`] says what is missing.
#[expect(clippy::print_stderr, reason = "this is what a command line answers with")]
pub(crate) fn if_needed(args: &Args, given: &[OsString]) {
    // Set by `cargo run` for what it runs.
    let (Some(feature), Some(cargo)) = (args.missing_feature(), std::env::var_os("CARGO")) else { return };
    eprintln!("compiling the client: cargo run --example quickstart --features {feature} -- ..");
    let mut command = Command::new(cargo);
    command.args(["run", "--example", "quickstart", "--features", feature]);
    command.args(["--manifest-path", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")]);
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    command.arg("--").args(given);
    let error = replace(&mut command);
    eprintln!("error: cargo could not be started: {error}");
    process::exit(1);
}

/// Becomes the other process, so that whoever ends this one ends that.
#[cfg(unix)]
fn replace(command: &mut Command) -> std::io::Error {
    std::os::unix::process::CommandExt::exec(command)
}

#[cfg(not(unix))]
fn replace(command: &mut Command) -> std::io::Error {
    match command.status() {
        Ok(status) => process::exit(status.code().unwrap_or(1)),
        Err(error) => error,
    }
}
