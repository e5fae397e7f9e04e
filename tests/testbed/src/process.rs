//! One process of ours: started so that it cannot outlive us, signalled by its pid, reaped.

use std::fs::OpenOptions;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::account::Account;
use crate::programs;
use crate::tree::{descendants, is_at_rest, start_time};

/// What to start, and how it is to end.
#[derive(Clone, Debug)]
pub(crate) struct Launch {
    pub(crate) program: PathBuf,
    pub(crate) args: Vec<String>,
    pub(crate) directory: PathBuf,
    pub(crate) log: PathBuf,
    pub(crate) account: Option<Account>,
    /// What asks it to end in good order.
    pub(crate) end_signal: Signal,
    /// What it gets when we end, or drop it.
    pub(crate) last_signal: Signal,
}

/// Becomes the program behind it, unless the process of this number is not its parent any more.
const UNLESS_ORPHANED: [&str; 3] = ["/bin/sh", "-c", r#"[ "$PPID" = "$0" ] && exec "$@""#];

impl Launch {
    /// Through `setpriv`, where there is one, the kernel ends the process when we end, however that happens. It must be
    /// done after the change of user, which resets it; `setpriv` is then the program that becomes the server. Who asks the
    /// kernel when we have ended already is told nothing, and so looks who its parent is before it becomes anything.
    fn command(&self) -> Result<Command> {
        let mut command = match programs::search("setpriv") {
            Some(setpriv) => {
                let mut command = Command::new(setpriv);
                let signal = if self.last_signal == Signal::QUIT { "QUIT" } else { "KILL" };
                command.args(["--pdeathsig", signal, "--"]);
                command.args(UNLESS_ORPHANED).arg(std::process::id().to_string()).arg(&self.program);
                command
            }
            None => Command::new(&self.program),
        };
        let log = OpenOptions::new().create(true).append(true).open(&self.log);
        let log = log.with_context(|| format!("cannot write {}", self.log.display()))?;
        let errors = log.try_clone().context("cannot share a log")?;
        command.args(&self.args).current_dir(&self.directory).env("LC_ALL", "C");
        command.stdin(Stdio::null()).stdout(log).stderr(errors);
        // A group of its own: Ctrl-C at a terminal ends us, and we end it.
        command.process_group(0);
        if let Some(account) = self.account {
            command.uid(account.uid).gid(account.gid);
        }
        Ok(command)
    }

    pub(crate) fn start(&self) -> Result<Process> {
        let command = self.command()?;
        let child = spawn(command).with_context(|| format!("cannot start {}", self.program.display()))?;
        Ok(Process { child, last_signal: self.last_signal })
    }

    /// Runs a program that ends by itself; an error with its log unless it succeeds in time.
    pub(crate) fn run(&self, within: Duration) -> Result<()> {
        let mut process = self.start()?;
        let status = process.wait(within)?;
        let name = self.program.file_name().unwrap_or_default().to_string_lossy();
        match status {
            Some(status) if status.success() => Ok(()),
            Some(status) => bail!("{name} ended with {status}:\n{}", tail(&self.log)),
            None => bail!("{name} was not done within {within:?}:\n{}", tail(&self.log)),
        }
    }
}

/// A running (or ended, but not yet dropped) process.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    last_signal: Signal,
}

impl Process {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it did.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().context("cannot wait for a child")
    }

    pub(crate) fn wait(&mut self, within: Duration) -> Result<Option<ExitStatus>> {
        let deadline = Instant::now() + within;
        loop {
            let ended = self.ended()?;
            if ended.is_some() || Instant::now() >= deadline {
                return Ok(ended);
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// SIGKILL, to it and then to what it had started; none of them runs when this returns, unless the kernel takes more
    /// than some seconds.
    pub(crate) fn kill(&mut self) {
        let children: Vec<_> =
            descendants(self.pid()).into_iter().map(|pid| (pid, start_time(pid))).collect();
        // Neither fails for a child that was not reaped yet.
        let _ = self.child.kill();
        let _ = self.child.wait();
        for (child, _) in &children {
            send(*child, Signal::KILL);
        }
        // They may still answer, and hold what the next start needs. One whose pid another process has by now is gone.
        let is_gone =
            |(pid, began): &(u32, Option<u64>)| start_time(*pid).is_none_or(|now| Some(now) != *began);
        within_a_moment(|| children.iter().all(is_gone));
    }

    /// SIGSTOP, to it and to all it has started: a server with a process for each connection is only then paused. No
    /// thread of theirs runs when this returns.
    pub(crate) fn stop_all(&self) -> Result<()> {
        let all = || std::iter::once(self.pid()).chain(descendants(self.pid()));
        let stopped = within_a_moment(|| {
            self.signal_all(Signal::STOP);
            // Listed again: what was started before the first of them stopped is among them.
            all().all(is_at_rest)
        });
        if !stopped {
            bail!("process {} does not stop", self.pid());
        }
        Ok(())
    }

    /// To it and to all it has started.
    pub(crate) fn signal_all(&self, signal: Signal) {
        send(self.pid(), signal);
        for child in descendants(self.pid()) {
            send(child, signal);
        }
    }

    /// To it alone.
    pub(crate) fn signal(&self, signal: Signal) {
        send(self.pid(), signal);
    }
}

/// A server that cleans up behind itself may do so, but not for long.
impl Drop for Process {
    fn drop(&mut self) {
        if self.last_signal != Signal::KILL && matches!(self.ended(), Ok(None)) {
            self.signal_all(Signal::CONT);
            self.signal(self.last_signal);
            if matches!(self.wait(Duration::from_secs(3)), Ok(Some(_))) {
                return;
            }
        }
        self.kill();
    }
}

/// Asks until it is so, for as long as a busy machine may keep a process from noticing a signal; whether it was so.
fn within_a_moment(mut is_so: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        if is_so() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A process that is gone by now needs no signal.
fn send(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, signal);
    }
}

/// The last lines of a log, for errors.
pub(crate) fn tail(log: &Path) -> String {
    let bytes = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

type Started = std::io::Result<Child>;
/// What to start, and where to answer.
type Job = (Command, mpsc::Sender<Started>);

/// The kernel's signal at a parent's death comes when the *thread* that started the child ends. Tests run in threads that
/// end, so one thread that never does starts them all.
fn spawn(command: Command) -> Started {
    static SPAWNER: LazyLock<Mutex<mpsc::Sender<Job>>> = LazyLock::new(|| {
        let (jobs, inbox) = mpsc::channel::<Job>();
        std::thread::spawn(move || {
            for (mut command, answer) in inbox {
                let closed = closed();
                let started = if *closed { Err(no_more()) } else { command.spawn() };
                drop(closed);
                // Whoever asked is waiting below.
                let _ = answer.send(started);
            }
        });
        Mutex::new(jobs)
    });
    let (answer, started) = mpsc::channel();
    let spawner = SPAWNER.lock().unwrap_or_else(PoisonError::into_inner).clone();
    spawner.send((command, answer)).expect("the spawner never ends");
    started.recv().expect("the spawner answers every job")
}

/// Whether nothing is started any more. Locked while a process is.
fn closed() -> MutexGuard<'static, bool> {
    static CLOSED: Mutex<bool> = Mutex::new(false);
    CLOSED.lock().unwrap_or_else(PoisonError::into_inner)
}

fn no_more() -> std::io::Error {
    std::io::Error::other("everything is being ended: nothing more is started")
}

/// Kills every process that this one started, and starts none from now on: for a program that ends while servers start, and
/// shall not leave that to the kernel.
pub fn end_everything() {
    *closed() = true;
    for child in descendants(std::process::id()) {
        send(child, Signal::KILL);
    }
}
