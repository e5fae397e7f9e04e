//! The state file: which processes are ours, and what they serve.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use larder_testbed::{Probe, Server, start_time};
use serde::{Deserialize, Serialize};

#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct State {
    /// The process that holds the servers.
    pub(crate) holder: Process,
    pub(crate) directory: PathBuf,
    pub(crate) variables: Vec<(String, String)>,
    pub(crate) members: Vec<Member>,
}

/// A pid alone may be somebody else's by now; with its start time it is not.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    started: u64,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) process: Process,
    pub(crate) probe: Probe,
}

impl Process {
    /// `None` if there is no such process.
    pub(crate) fn of(pid: u32) -> Option<Self> {
        start_time(pid).map(|started| Self { pid, started })
    }

    pub(crate) fn is_alive(self) -> bool {
        start_time(self.pid) == Some(self.started)
    }
}

impl Member {
    pub(crate) fn of(server: &Server) -> Option<Self> {
        let process = Process::of(server.pid()?)?;
        Some(Self { name: server.name().to_owned(), process, probe: server.probe().clone() })
    }
}

impl State {
    /// `None` when there is no such file.
    pub(crate) fn read(path: &Path) -> Result<Option<Self>> {
        let text = match std::fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        };
        let state = serde_json::from_slice(&text);
        state.map(Some).with_context(|| format!("{} is no state of ours", path.display()))
    }

    /// Whole or not at all, and for its owner alone: it holds passwords.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_vec_pretty(self).context("the state cannot be written as JSON")?;
        let new = path.with_extension(format!("{}.new", std::process::id()));
        let context = || format!("cannot write {}", path.display());
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory).with_context(context)?;
        }
        let file = std::fs::OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&new);
        file.and_then(|mut file| file.write_all(&text)).with_context(context)?;
        std::fs::rename(&new, path).with_context(context)
    }

    /// For a shell to read.
    pub(crate) fn exports(&self) -> String {
        let line = |(name, url): &(String, String)| format!("export {name}='{url}'\n");
        self.variables.iter().map(line).collect()
    }
}
