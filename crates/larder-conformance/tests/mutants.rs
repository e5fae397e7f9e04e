//! The suite is tested: every broken store fails where it should, and nowhere else.
//!
//! It prints the table of who was caught by what.

#![expect(clippy::unwrap_used, reason = "a broken store may panic where it is not expected to")]

mod broken_store;
mod expectations;
mod reference_store;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    io::Write as _,
    sync::Mutex,
    thread,
    time::Duration,
};

use larder_conformance::Suite;

use crate::{
    broken_store::{Broken, Fault},
    expectations::{Mutant, mutants},
    reference_store::Reference,
};

/// Long enough for every case on a busy machine; a store that hangs costs it once.
const CASE_TIMEOUT: Duration = Duration::from_secs(10);
/// The same sequences each time, so that what the model test catches is known.
const MODEL: (u64, u32) = (1, 200);

/// The cases that fail on a store with this fault.
fn failures(fault: Fault) -> BTreeSet<&'static str> {
    let suite = Suite::with_manual_clock(move |clock| async move { Ok(Broken::new(fault, clock)) });
    let report = suite.model(MODEL.0, MODEL.1).case_timeout(CASE_TIMEOUT).report();
    report.into_iter().filter(|(_, verdict)| verdict.is_failure()).map(|(case, _)| case).collect()
}

/// The failures of every mutant, a few mutants at a time.
fn all_failures() -> Vec<(&'static Mutant, BTreeSet<&'static str>)> {
    let (work, done) = (Mutex::new(mutants().enumerate()), Mutex::new(BTreeMap::new()));
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                loop {
                    let next = work.lock().unwrap().next();
                    let Some((number, mutant)) = next else { break };
                    let failures = failures(mutant.fault);
                    done.lock().unwrap().insert(number, (mutant, failures));
                }
            });
        }
    });
    done.into_inner().unwrap().into_values().collect()
}

#[test]
fn every_broken_store_fails_where_it_should_and_nowhere_else() {
    let results = all_failures();
    let mut catches: BTreeMap<&str, usize> = BTreeMap::new();
    let mut wrong = Vec::new();
    let mut table = format!("{:<32} caught by\n", "fault");
    for (mutant, failed) in &results {
        let expected: BTreeSet<_> = mutant.caught_by.iter().copied().collect();
        let missed: Vec<_> = expected.difference(failed).collect();
        let unrelated: Vec<_> = failed.difference(&expected).collect();
        if !missed.is_empty() || !unrelated.is_empty() {
            wrong.push(format!("{:?}: not caught by {missed:?}, but by {unrelated:?}", mutant.fault));
        }
        for case in failed {
            *catches.entry(case).or_default() += 1;
        }
        let (main, others) =
            mutant.caught_by.split_first().expect("each mutant names the case that catches it");
        writeln!(table, "{:<32} {main}", format!("{:?}", mutant.fault)).unwrap();
        for case in others {
            writeln!(table, "{:<32}   and {case}", "").unwrap();
        }
    }
    writeln!(table, "\n{} faults; {} cases caught one or more:", results.len(), catches.len()).unwrap();
    for (case, count) in &catches {
        writeln!(table, "{count:>4}  {case}").unwrap();
    }
    // Past the test harness, which keeps what goes through `print!` to itself where a test passes.
    std::io::stdout().lock().write_all(table.as_bytes()).unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_reference_store_has_no_fault() {
    let suite = Suite::with_manual_clock(|clock| async { Ok(Reference::new(clock, Duration::ZERO)) });
    for (case, verdict) in suite.model(MODEL.0, MODEL.1).report() {
        assert!(!verdict.is_failure(), "{case}: {verdict:?}");
    }
}
