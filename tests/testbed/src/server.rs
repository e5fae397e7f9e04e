//! What every server has: a process, a port or a socket, a way to see that it answers.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::Signal;

use crate::ports::Port;
use crate::probe::Probe;
use crate::process::{Launch, Process, tail};
use crate::run::Run;

/// How long a server may take to answer after its start.
const START: Duration = Duration::from_secs(30);
/// How long it may take to end when asked.
const END: Duration = Duration::from_secs(10);

/// A server of ours. Dropping it kills it.
pub struct Server {
    name: String,
    port: Option<Port>,
    launch: Launch,
    probe: Probe,
    process: Mutex<Option<Process>>,
    /// The directory lives at least as long as its server.
    _run: Run,
}

impl Server {
    /// Starts it, and returns once it answers.
    pub(crate) fn launch(
        run: &Run,
        name: &str,
        port: Option<Port>,
        launch: Launch,
        probe: Probe,
    ) -> Result<Self> {
        Self::launch_prepared(run, name, port, launch, probe, || Ok(()))
    }

    /// The same for one that has to be prepared before it can answer; `prepare` is tried until it succeeds.
    pub(crate) fn launch_prepared(
        run: &Run,
        name: &str,
        port: Option<Port>,
        launch: Launch,
        probe: Probe,
        prepare: impl FnMut() -> Result<()>,
    ) -> Result<Self> {
        let process = Mutex::new(Some(launch.start()?));
        let server = Self { name: name.to_owned(), port, launch, probe, process, _run: run.clone() };
        server.wait_until(START, prepare)?;
        server.wait_until_it_answers(START)?;
        Ok(server)
    }

    /// What it is called in its run: the name of its directory and of its log.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it listens. Panics for a server that listens on a Unix socket only.
    pub fn address(&self) -> SocketAddr {
        self.port.as_ref().expect("the server listens on TCP").address()
    }

    /// The port it listens on. Panics as `address` does.
    pub fn port(&self) -> u16 {
        self.address().port()
    }

    /// `None` while it is down.
    pub fn pid(&self) -> Option<u32> {
        self.process().as_ref().map(Process::pid)
    }

    /// How to ask it whether it answers.
    pub fn probe(&self) -> &Probe {
        &self.probe
    }

    /// Starts it on the port and the data it had, and returns once it answers. An error if it runs.
    pub fn start(&self) -> Result<()> {
        {
            let mut process = self.process();
            if process.is_some() {
                bail!("{} runs already", self.name);
            }
            *process = Some(self.launch.start()?);
        }
        let started = self.wait_until_it_answers(START);
        if started.is_err() {
            self.kill();
        }
        started
    }

    /// `kill`, then `start`.
    pub fn restart(&self) -> Result<()> {
        self.kill();
        self.start()
    }

    /// SIGKILL, to it and to the processes it started; it is reaped, and they are gone, when this returns.
    pub fn kill(&self) {
        if let Some(mut process) = self.process().take() {
            process.kill();
        }
    }

    /// Asks it to end (SIGTERM, or what its kind takes for "now, but orderly") and waits; if it does not within 10 s, kills
    /// it and returns an error.
    pub fn terminate(&self) -> Result<()> {
        let Some(mut process) = self.process().take() else { return Ok(()) };
        process.signal(self.launch.end_signal);
        if process.wait(END)?.is_none() {
            bail!("{} did not end within {END:?}:\n{}", self.name, self.log_tail());
        }
        Ok(())
    }

    /// SIGSTOP, to it and to the processes it started; no thread of theirs runs when this returns, and else it is an
    /// error.
    pub fn pause(&self) -> Result<()> {
        self.process()
            .as_ref()
            .map_or(Ok(()), Process::stop_all)
            .with_context(|| format!("pausing {}", self.name))
    }

    /// SIGCONT after `pause`.
    pub fn resume(&self) {
        if let Some(process) = &*self.process() {
            process.signal_all(Signal::CONT);
        }
    }

    /// Whether it answers now: one round trip of its protocol, within a second.
    pub fn answers(&self) -> bool {
        self.probe.ask().is_ok()
    }

    /// Returns as soon as it answers; an error, with the end of its log, when it ends or time is over.
    pub fn wait_until_it_answers(&self, within: Duration) -> Result<()> {
        self.wait_until(within, || self.probe.ask())
    }

    fn wait_until(&self, within: Duration, mut ask: impl FnMut() -> Result<()>) -> Result<()> {
        let deadline = Instant::now() + within;
        loop {
            let asked = ask();
            // Another server may have the port, and may answer: only one that runs is ours.
            let ended = match &mut *self.process() {
                Some(process) => process.ended()?,
                None => bail!("{} is down", self.name),
            };
            if let Some(status) = ended {
                bail!("{} ended with {status} before it answered:\n{}", self.name, self.log_tail());
            }
            match asked {
                Ok(()) => return Ok(()),
                Err(error) if Instant::now() >= deadline => {
                    let what = format!(
                        "{} did not answer within {within:?}; its log:\n{}",
                        self.name,
                        self.log_tail()
                    );
                    return Err(error).context(what);
                }
                Err(_) => std::thread::sleep(Duration::from_millis(10)),
            }
        }
    }

    /// The last lines of its log.
    pub fn log_tail(&self) -> String {
        tail(&self.launch.log)
    }

    /// Its own directory: data, configuration, log.
    pub fn directory(&self) -> &Path {
        &self.launch.directory
    }

    fn process(&self) -> MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("name", &self.name).field("pid", &self.pid()).finish_non_exhaustive()
    }
}
