//! Processes as `/proc` shows them.

/// Every process that descends from `pid`, as far as can be seen now.
pub(crate) fn descendants(pid: u32) -> Vec<u32> {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let parents: Vec<(u32, u32)> = pids.filter_map(|pid| Some((pid, stat(pid)?.parent))).collect();
    let mut found = vec![pid];
    let mut next = 0;
    while let Some(&parent) = found.get(next) {
        found.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(child, _)| *child));
        next += 1;
    }
    found.split_off(1)
}

/// When a process began, in the kernel's ticks since boot: with it a pid names one process for ever. `None` when there is
/// none, or only a zombie.
pub fn start_time(pid: u32) -> Option<u64> {
    stat(pid).filter(|stat| stat.state != "Z").map(|stat| stat.started)
}

/// Whether no thread of a process runs, as all are stopped, or there is none any more. A signal is only noted when it is
/// sent: the threads stop, each by itself, when they next have a processor.
pub(crate) fn is_at_rest(pid: u32) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let mut stats = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("stat")).ok());
    stats.all(|line| parse(&line).is_some_and(|stat| matches!(stat.state.as_str(), "T" | "t" | "Z" | "X")))
}

struct Stat {
    state: String,
    parent: u32,
    started: u64,
}

fn stat(pid: u32) -> Option<Stat> {
    parse(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The name stands in brackets, and may hold brackets and spaces itself.
fn parse(line: &str) -> Option<Stat> {
    let (_, rest) = line.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    Some(Stat {
        state: (*fields.first()?).to_owned(),
        parent: fields.get(1)?.parse().ok()?,
        started: fields.get(19)?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_is_read_past() {
        let line = "7 (a) b (c)) S 3 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 8899 1 2";
        let stat = parse(line).unwrap();
        assert_eq!((stat.state.as_str(), stat.parent, stat.started), ("S", 3, 8899));
    }

    #[test]
    fn who_asks_is_not_at_rest_and_who_is_not_there_is() {
        assert!(!is_at_rest(std::process::id()));
        assert!(is_at_rest(0));
    }

    #[test]
    fn we_have_a_start_time_and_no_process_has_pid_zero() {
        assert!(start_time(std::process::id()).is_some());
        assert_eq!(start_time(0), None);
    }
}
