//! What is started in a process group of its own ends with this program, also when that is interrupted.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, Once, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions, kill_process_group, waitpid};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// How long what is ended may take to end: who installs packages finishes that.
const END: Duration = Duration::from_mins(2);

static INTERRUPTED: AtomicBool = AtomicBool::new(false);
static GROUPS: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

/// While it lives, a signal that ends us ends the group too.
#[derive(Debug)]
pub(crate) struct Watch(Option<Pid>);

/// Watches the group that a child leads.
pub(crate) fn watch(child: u32) -> Watch {
    static LISTENER: Once = Once::new();
    LISTENER.call_once(|| match Signals::new([SIGHUP, SIGINT, SIGTERM]) {
        Ok(mut signals) => {
            std::thread::spawn(move || {
                if let Some(signal) = signals.forever().next() {
                    INTERRUPTED.store(true, Ordering::SeqCst);
                    eprintln!("ending what was started; interrupt again to kill it");
                    end_all(|| signals.pending().next().is_some());
                    std::process::exit(128 + signal);
                }
            });
        }
        Err(error) => eprintln!("warning: an interrupt will leave processes behind: {error}"),
    });
    let pid = i32::try_from(child).ok().and_then(Pid::from_raw);
    groups(|groups| groups.extend(pid));
    Watch(pid)
}

impl Drop for Watch {
    fn drop(&mut self) {
        while INTERRUPTED.load(Ordering::SeqCst) {
            // This thread sees the end of what was started, but the process ends where all of it was ended.
            std::thread::park();
        }
        groups(|groups| groups.retain(|group| Some(*group) != self.0));
    }
}

fn groups<T>(work: impl FnOnce(&mut Vec<Pid>) -> T) -> T {
    work(&mut GROUPS.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Politely first: who holds servers ends them. Nothing is left to tell if a group is gone already.
fn end_all(mut impatient: impl FnMut() -> bool) {
    let all = groups(|groups| groups.clone());
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
