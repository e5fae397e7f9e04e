//! Starting programs, each of which ends with this one.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, PipeReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use anyhow::{Context, Result, bail};

use crate::interrupt::{self, Watch};

/// `cargo` with arguments, at a directory; the same cargo that started this program.
pub(crate) fn cargo(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")));
    command.current_dir(dir).args(args);
    command
}

/// Any other program with arguments, at a directory.
pub(crate) fn program(dir: &Path, name: &str, args: &[&str]) -> Command {
    let mut command = Command::new(name);
    command.current_dir(dir).args(args);
    command
}

/// Runs to the end, its output going straight through; an error unless it succeeded.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    println!("$ {}", shown(command));
    let (mut child, _watch) = spawn(command)?;
    let status = child.wait().with_context(|| format!("cannot wait for {}", shown(command)))?;
    if !status.success() {
        bail!("{} ended with {status}", shown(command));
    }
    Ok(())
}

/// Runs to the end and returns what it printed; an error, with what it said, unless it succeeded.
pub(crate) fn read(command: &mut Command) -> Result<String> {
    let output = output(command.stderr(Stdio::piped()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{} ended with {}:\n{}", shown(command), output.status, said.trim_end());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs to the end and returns how it ended and what it printed; errors go where the command says.
pub(crate) fn output(command: &mut Command) -> Result<Output> {
    let (child, _watch) = spawn(command.stdin(Stdio::null()).stdout(Stdio::piped()))?;
    child.wait_with_output().with_context(|| format!("cannot read what {} prints", shown(command)))
}

/// Starts it with both outputs in one pipe, so that their order is kept.
pub(crate) fn spawn_piped(command: &mut Command) -> Result<(Child, Watch, PipeReader)> {
    let (reader, writer) = std::io::pipe().context("cannot make a pipe")?;
    command.stdout(writer.try_clone().context("cannot share a pipe")?).stderr(writer).stdin(Stdio::null());
    let (child, watch) = spawn(command)?;
    // The command still holds the writing ends; while it does, the reader would never see the end.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    Ok((child, watch, reader))
}

fn spawn(command: &mut Command) -> Result<(Child, Watch)> {
    interrupt::spawn(command).with_context(|| format!("cannot start {}", shown(command)))
}

/// Hands on each line, and prints it.
pub(crate) fn each_line(reader: PipeReader, mut take: impl FnMut(&str)) -> Result<()> {
    let mut reader = BufReader::new(reader);
    let mut bytes = Vec::new();
    while reader.read_until(b'\n', &mut bytes).context("cannot read from a child")? > 0 {
        let line = String::from_utf8_lossy(&bytes);
        print!("{line}");
        take(line.trim_end());
        bytes.clear();
    }
    Ok(())
}

/// The command as one would read it, for messages.
pub(crate) fn shown(command: &Command) -> String {
    let mut words = vec![Path::new(command.get_program()).file_name().unwrap_or_default()];
    words.extend(command.get_args());
    words.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
