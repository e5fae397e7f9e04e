//! What is started leads a process group of its own, and ends with this program, also when that is interrupted.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions, kill_process_group, waitpid};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// How long what is ended may take to end: who installs packages finishes that.
const END: Duration = Duration::from_mins(2);

/// Locked while something is started: whoever ends everything sees it.
static GROUPS: Mutex<Groups> = Mutex::new(Groups { watched: Vec::new(), interrupted: false });

struct Groups {
    watched: Vec<Pid>,
    interrupted: bool,
}

/// While it lives, a signal that ends us ends the group too.
#[derive(Debug)]
#[must_use = "what is started is ended with this program only while this lives"]
pub(crate) struct Watch(Option<Pid>);

/// Starts a program at the head of a group of its own, and watches that from its first moment.
pub(crate) fn spawn(command: &mut Command) -> io::Result<(Child, Watch)> {
    listen();
    let mut groups = groups();
    let child = command.process_group(0).spawn()?;
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    groups.watched.extend(pid);
    Ok((child, Watch(pid)))
}

impl Drop for Watch {
    fn drop(&mut self) {
        groups().watched.retain(|group| Some(*group) != self.0);
    }
}

/// Once interrupted, none gets any further here: this thread may see the end of what was started, and would start what
/// comes next, but the process ends where all of it was ended.
fn groups() -> MutexGuard<'static, Groups> {
    loop {
        let groups = locked();
        if !groups.interrupted {
            return groups;
        }
        drop(groups);
        std::thread::park();
    }
}

fn locked() -> MutexGuard<'static, Groups> {
    GROUPS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn listen() {
    static LISTENER: Once = Once::new();
    LISTENER.call_once(|| match Signals::new([SIGHUP, SIGINT, SIGTERM]) {
        Ok(mut signals) => {
            std::thread::spawn(move || {
                if let Some(signal) = signals.forever().next() {
                    eprintln!("ending what was started; interrupt again to kill it");
                    end_all(|| signals.pending().next().is_some());
                    std::process::exit(128 + signal);
                }
            });
        }
        Err(error) => eprintln!("warning: an interrupt will leave processes behind: {error}"),
    });
}

/// Politely first: who holds servers ends them. Nothing is left to tell if a group is gone already.
fn end_all(mut impatient: impl FnMut() -> bool) {
    let all = {
        let mut groups = locked();
        groups.interrupted = true;
        groups.watched.clone()
    };
    for group in &all {
        let _ = kill_process_group(*group, Signal::TERM);
    }
    let deadline = Instant::now() + END;
    for group in all {
        let runs = || matches!(waitpid(Some(group), WaitOptions::NOHANG), Ok(None));
        while runs() && Instant::now() < deadline && !impatient() {
            std::thread::sleep(Duration::from_millis(10));
        }
        // Its leader is gone, or does not listen.
        let _ = kill_process_group(group, Signal::KILL);
    }
}
