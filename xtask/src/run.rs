//! Starting programs.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, PipeReader};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};

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
    let status = command.status().with_context(|| format!("cannot start {}", shown(command)))?;
    if !status.success() {
        bail!("{} ended with {status}", shown(command));
    }
    Ok(())
}

/// Runs to the end and returns what it printed; an error, with what it said, unless it succeeded.
pub(crate) fn read(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot start {}", shown(command)))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{} ended with {}:\n{}", shown(command), output.status, said.trim_end());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Starts it with both outputs in one pipe, so that their order is kept, and in a process group of its own, which is to be
/// [watched](crate::interrupt::watch).
pub(crate) fn spawn_piped(command: &mut Command) -> Result<(Child, PipeReader)> {
    let (reader, writer) = std::io::pipe().context("cannot make a pipe")?;
    command.stdout(writer.try_clone().context("cannot share a pipe")?).stderr(writer).stdin(Stdio::null());
    command.process_group(0);
    let child = command.spawn().with_context(|| format!("cannot start {}", shown(command)))?;
    // The command still holds the writing ends; while it does, the reader would never see the end.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    Ok((child, reader))
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
