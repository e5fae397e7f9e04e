//! Other processes: this program once more, in a role. A child reads lines from its standard input and writes lines to
//! its standard output; the end of its input, which the death of the parent is too, ends it.

use std::{
    env,
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdin, Command, ExitCode, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use tokio::runtime::{Builder, Runtime};

pub(crate) const ROLE: &str = "LARDER_RACE_ROLE";

/// A child, and the lines it writes.
pub(crate) struct Process {
    child: Child,
    input: Option<ChildStdin>,
    lines: mpsc::Receiver<String>,
}

impl Process {
    pub(crate) fn start(role: &str, variables: &[(&str, String)]) -> Result<Self> {
        let mut command = Command::new(env::current_exe()?);
        command.env(ROLE, role).stdin(Stdio::piped()).stdout(Stdio::piped());
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        let mut child = command.spawn().context("cannot start this program again")?;
        let output = BufReader::new(child.stdout.take().expect("it is piped"));
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            // Whoever no longer listens has seen enough.
            for line in output.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Self { input: child.stdin.take(), child, lines })
    }

    pub(crate) fn tell(&mut self, line: &str) -> Result<()> {
        let input = self.input.as_mut().context("its input is closed")?;
        writeln!(input, "{line}").and_then(|()| input.flush()).context("a child does not listen")
    }

    /// The next line.
    pub(crate) fn hear(&self, within: Duration) -> Result<String> {
        self.lines.recv_timeout(within).with_context(|| format!("a child said nothing within {within:?}"))
    }

    /// The next line, which must begin with this word; what stands behind it.
    pub(crate) fn expect(&self, word: &str, within: Duration) -> Result<String> {
        let line = self.hear(within)?;
        match line.strip_prefix(word) {
            Some(rest) => Ok(rest.trim().to_owned()),
            None => bail!("a child said {line:?}, not {word:?}"),
        }
    }

    /// What it has said by now.
    pub(crate) fn heard(&self) -> Vec<String> {
        self.lines.try_iter().collect()
    }

    /// `kill -9`. What it said before.
    pub(crate) fn kill(mut self) -> Result<Vec<String>> {
        self.child.kill().and_then(|()| self.child.wait()).context("cannot kill a child")?;
        Ok(self.lines.iter().collect())
    }

    /// Closes its input, and waits for its end. What it said.
    pub(crate) fn end(mut self, within: Duration) -> Result<Vec<String>> {
        drop(self.input.take());
        let deadline = Instant::now() + within;
        loop {
            if let Some(status) = self.child.try_wait()? {
                let lines = self.lines.iter().collect();
                return if status.success() {
                    Ok(lines)
                } else {
                    bail!("a child: {status}; it said {lines:?}")
                };
            }
            if Instant::now() > deadline {
                let lines = self.heard();
                bail!("a child did not end within {within:?}; it said {lines:?}");
            }
            thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may be over already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// In a child: set once the parent has closed its input.
pub(crate) fn stopped() -> Arc<AtomicBool> {
    let stop = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&stop);
    thread::spawn(move || {
        while next_line().is_some() {}
        seen.store(true, Ordering::SeqCst);
    });
    stop
}

/// In a child: what the parent says next.
pub(crate) fn next_line() -> Option<String> {
    let mut line = String::new();
    let read = std::io::stdin().read_line(&mut line).ok()?;
    (read > 0).then(|| line.trim().to_owned())
}

/// In a child: a variable that the parent has set.
pub(crate) fn given(name: &str) -> Result<String> {
    env::var(name).with_context(|| format!("the parent did not set {name}"))
}

pub(crate) fn exit(result: Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

pub(crate) fn runtime() -> Result<Runtime> {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().context("no runtime")
}

/// A name that no other exam has, on servers that several may share.
pub(crate) fn unique(name: &str) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    format!("{name}_{}_{}", std::process::id(), now.as_micros())
}
