//! Several processes on one directory, and processes that are killed. The test program starts itself again for each.
#![expect(clippy::disallowed_methods, reason = "a test waits and starts tasks at the outermost edge")]
#![expect(clippy::unwrap_used, reason = "a test program fails like a test")]

mod counters;
mod kill;
mod loads;
#[cfg(unix)]
mod stranger;
mod suite;
mod support;

use std::{env, process::ExitCode};

use libtest_mimic::{Arguments, Trial};

fn main() -> ExitCode {
    if let Ok(role) = env::var(support::ROLE) {
        return match &*role {
            "suite" => suite::child(),
            "writer" => kill::child(),
            "counter" => counters::child(),
            "loader" => loads::child(),
            #[cfg(unix)]
            "stranger" => stranger::child(),
            other => panic!("an unknown role: {other}"),
        };
    }
    let trials = vec![
        Trial::test("the_suite_passes_in_four_processes_at_once", suite::four_processes),
        Trial::test("a_killed_writer_leaves_whole_entries_and_nothing_else", kill::kill_and_reopen),
        Trial::test("a_killed_writers_files_go_while_others_stay_open", kill::kill_beside_others),
        #[cfg(unix)]
        Trial::test("the_directory_of_another_user_is_refused_in_words", stranger::refused),
        Trial::test("counters_and_claims_are_exact_across_processes", counters::exact),
        Trial::test("loads_beside_deletes_and_clears_are_never_mixed_up", loads::race),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
