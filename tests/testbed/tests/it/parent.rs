//! What becomes of servers when the process that started them ends, in whatever way.

use std::fs::Permissions;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use larder_testbed::start_time;
use rustix::process::{Pid, Signal, kill_process};

const PROGRAM: &str = env!("CARGO_BIN_EXE_larder-services");
const ALL: &str = "redis,redis-unix,memcached,postgres";

fn program(command: &str, state: &Path) -> Command {
    run(Path::new(PROGRAM), command, state)
}

fn run(program: &Path, command: &str, state: &Path) -> Command {
    let mut program = Command::new(program);
    program.args([command, "--only", ALL, "--state"]).arg(state);
    program
}

/// The pids of the servers, once they are up.
fn servers(state: &Path) -> Vec<u32> {
    let deadline = Instant::now() + Duration::from_secs(30);
    let text = loop {
        match std::fs::read_to_string(state) {
            Ok(text) => break text,
            Err(_) => assert!(Instant::now() < deadline, "the servers did not come up"),
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let pids = json["members"].as_array().unwrap().iter().map(|member| &member["process"]["pid"]);
    let mut pids: Vec<u32> = pids.map(|pid| u32::try_from(pid.as_u64().unwrap()).unwrap()).collect();
    assert_eq!(pids.len(), 5, "Redis twice, memcached, PostgreSQL, PgBouncer");
    // PostgreSQL's own processes too.
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let pid: u32 = entry.unwrap().file_name().to_str()?.parse().ok()?;
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let parent = stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()?;
        Some((pid, parent))
    });
    let backends: Vec<u32> =
        processes.filter(|(_, parent): &(u32, u32)| pids.contains(parent)).map(|(pid, _)| pid).collect();
    assert!(backends.len() >= 4, "{backends:?}");
    pids.extend(backends);
    assert!(pids.iter().all(|pid| start_time(*pid).is_some()));
    pids
}

fn are_gone(pids: &[u32]) {
    let deadline = Instant::now() + Duration::from_secs(8);
    while let Some(pid) = pids.iter().find(|pid| start_time(**pid).is_some()) {
        let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        assert!(Instant::now() < deadline, "{} still runs", name.trim());
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn hold(state: &Path) -> Child {
    program("hold", state).stdin(Stdio::piped()).spawn().unwrap()
}

fn send(child: &Child, signal: Signal) {
    kill_process(Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap(), signal).unwrap();
}

#[test]
fn kill_9_of_the_parent_leaves_no_child() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state.json");
    let mut holder = hold(&state);
    let pids = servers(&state);
    holder.kill().unwrap();
    holder.wait().unwrap();
    are_gone(&pids);
}

#[test]
fn servers_end_on_signals_and_with_whoever_holds_the_pipe() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state.json");
    let ends: [fn(&mut Child); 3] = [
        |holder| send(holder, Signal::INT),
        |holder| send(holder, Signal::TERM),
        |holder| drop(holder.stdin.take()),
    ];
    for end in ends {
        let mut holder = hold(&state);
        let pids = servers(&state);
        end(&mut holder);
        assert!(holder.wait().unwrap().success());
        assert!(pids.iter().all(|pid| start_time(*pid).is_none()), "it waits for their end");
        assert!(!state.exists());
    }
}

/// The processes that are at home in a directory, those a moment old and not yet what they will be included.
fn at_home_in(directory: &Path) -> Vec<u32> {
    let processes = std::fs::read_dir("/proc").unwrap();
    let pids = processes.filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    let lives_there = |pid: &u32| {
        std::fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|home| home.starts_with(directory))
    };
    pids.filter(lives_there).collect()
}

/// From the moment in which the first is no more than a copy of its parent.
#[test]
fn a_signal_while_they_start_leaves_no_child() {
    // The servers' user must be able to enter it, and a socket's path is short.
    let directory = tempfile::tempdir_in("/tmp").unwrap();
    std::fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
    let state = directory.path().join("state.json");
    for round in 0..16 {
        let signal = if round % 2 == 0 { Signal::KILL } else { Signal::TERM };
        let mut holder = program("hold", &state);
        let mut holder = holder.env("TMPDIR", directory.path()).stdin(Stdio::piped()).spawn().unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        while at_home_in(directory.path()).is_empty() {
            assert!(Instant::now() < deadline, "nothing was started");
        }
        std::thread::sleep(Duration::from_millis(round / 2 * 5));
        send(&holder, signal);
        holder.wait().unwrap();
        are_gone(&at_home_in(directory.path()));
        // Of a machine that kept this thread waiting until they were up.
        let left = std::fs::remove_file(&state).is_ok();
        assert!(signal == Signal::KILL || !left, "it removes what it wrote");
    }
    // One that was a copy of its parent may have come home since.
    are_gone(&at_home_in(directory.path()));
}

#[test]
fn servers_in_the_background_come_and_go() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state.json");
    let output = |command: &str| program(command, &state).output().unwrap();
    assert!(!output("status").status.success());
    let up = output("up");
    assert!(up.status.success(), "{}", String::from_utf8_lossy(&up.stderr));
    let exports = String::from_utf8(up.stdout).unwrap();
    let names = ["POSTGRES", "POSTGRES_TLS", "PGBOUNCER", "REDIS", "REDIS_UNIX", "MEMCACHED"];
    let expected = names.map(|name| format!("export LARDER_TEST_{name}='"));
    for (line, expected) in exports.lines().zip(&expected) {
        assert!(line.starts_with(expected) && line.ends_with('\''), "{line}");
    }
    assert_eq!(exports.lines().count(), expected.len());
    let pids = servers(&state);
    assert_eq!(output("up").stdout, exports.as_bytes(), "they are up already");

    let status = output("status");
    assert!(status.status.success());
    assert_eq!(String::from_utf8(status.stdout).unwrap().matches(" answers\n").count(), 5);
    kill_process(Pid::from_raw(i32::try_from(pids[0]).unwrap()).unwrap(), Signal::KILL).unwrap();
    are_gone(&pids[..1]);
    let status = output("status");
    assert!(!status.status.success());
    assert_eq!(String::from_utf8(status.stdout).unwrap().matches(" is gone\n").count(), 1);

    assert!(output("down").status.success());
    assert!(pids.iter().all(|pid| start_time(*pid).is_none()));
    assert!(!state.exists());
    assert!(output("down").status.success(), "there is nothing to end");
}

/// A process that is not ours, under a pid that was: it is left alone.
#[test]
fn down_ends_only_what_was_started() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state.json");
    let mut stranger = Command::new("sleep").arg("60").process_group(0).spawn().unwrap();
    let process = format!(r#"{{"pid": {}, "started": 1}}"#, stranger.id());
    let probe = r#"{"endpoint": {"Tcp": "127.0.0.1:1"}, "question": "Redis"}"#;
    let text = format!(
        r#"{{"holder": {process}, "directory": "{0}/gone", "variables": [],
            "members": [{{"name": "redis", "process": {process}, "probe": {probe}}}]}}"#,
        directory.path().display()
    );
    std::fs::write(&state, text).unwrap();
    assert!(program("down", &state).status().unwrap().success());
    assert!(stranger.try_wait().unwrap().is_none(), "the stranger was ended");
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}

#[test]
fn what_is_not_installed_is_said_in_one_sentence() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
    // Root's own directories are often closed to others, and with them what it built.
    let copy = directory.path().join("larder-services");
    std::fs::copy(PROGRAM, &copy).unwrap();
    let empty = directory.path().join("programs");
    std::fs::create_dir(&empty).unwrap();
    // Not root, so that nothing is installed; and no program is found in an empty directory.
    let mut command = run(&copy, "hold", &directory.path().join("state.json"));
    command.env("LARDER_TESTBED_PROGRAMS", &empty).stdin(Stdio::piped()).stderr(Stdio::piped());
    if rustix::process::geteuid().is_root() {
        command.uid(65_534);
    }
    let mut child = command.spawn().unwrap();
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(2), "{said}");
    let packages = "apt-get install redis-server memcached postgresql pgbouncer";
    assert!(said.lines().count() == 1 && said.trim_end().ends_with(packages), "{said}");
}
