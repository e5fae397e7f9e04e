//! Whatever `cargo xtask` has started ends with it when it is interrupted.
#![expect(clippy::disallowed_methods, reason = "it waits for processes, in real time")]

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

/// Stands in for cargo: says what the workspace is made of, and works without end on everything else.
const CARGO: &str = r#"#!/bin/sh
if [ "$1" = metadata ]; then exec "$REAL_CARGO" "$@"; fi
echo $$ > "$PIDS/new" && mv "$PIDS/new" "$PIDS/pid"
exec sleep 600
"#;

/// Waits for what other processes do.
fn soon<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what}: not within half a minute");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn what_a_step_has_started_ends_with_it() {
    let directory = tempfile::tempdir().unwrap();
    let cargo = directory.path().join("cargo");
    std::fs::write(&cargo, CARGO).unwrap();
    std::fs::set_permissions(&cargo, Permissions::from_mode(0o755)).unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    // A build whose output is read, and a step whose output goes straight through.
    for (words, signal) in [(&["test", "--fast"][..], Signal::TERM), (&["fmt"], Signal::INT)] {
        let mut xtask = Command::new(env!("CARGO_BIN_EXE_xtask"));
        xtask.args(words).current_dir(root).env("CARGO", &cargo);
        xtask.env("REAL_CARGO", env!("CARGO")).env("PIDS", directory.path());
        let mut xtask = xtask.spawn().unwrap();
        let text = soon("it starts cargo", || std::fs::read_to_string(directory.path().join("pid")).ok());
        let started = Pid::from_raw(text.trim().parse().unwrap()).unwrap();
        kill_process(Pid::from_child(&xtask), signal).unwrap();
        let status = xtask.wait().unwrap();
        assert!(test_kill_process(started).is_err(), "{words:?}: cargo still runs");
        assert_eq!(status.code(), Some(128 + signal.as_raw()), "{words:?}");
        std::fs::remove_file(directory.path().join("pid")).unwrap();
    }
}
