//! What `Suite::report` says.

use larder_conformance::{Suite, Verdict};

use crate::stores::{Forgetful, Minimal, Quirk, chosen, unreachable};

fn failures(report: &[(&'static str, Verdict)]) -> Vec<String> {
    report.iter().filter(|(_, verdict)| verdict.is_failure()).map(|failure| format!("{failure:?}")).collect()
}

#[test]
fn three_operations_are_a_store() {
    let report = Minimal::suite(Quirk::None).report();
    assert_eq!(failures(&report), [""; 0]);

    let ignored = chosen(&report, |verdict| matches!(verdict, Verdict::Ignored(_)));
    for case in
        ["add::does_not_overwrite", "increment::creates", "clear::removes_what_is_in_it", "touch::extends"]
    {
        assert!(ignored.contains(case), "{case} is not ignored");
    }
    let passed = chosen(&report, |verdict| *verdict == Verdict::Passed);
    for capability in ["versions", "increment", "touch", "expiry", "clear", "keys", "len"] {
        let opposite = format!("unsupported::{capability}_says_so");
        assert!(passed.contains(&*opposite), "{opposite} did not run");
    }
    assert!(!report.iter().any(|(case, _)| case.starts_with("forgetful::")), "it forgets nothing");
}

#[test]
fn an_ignored_case_names_what_is_missing() {
    let report = Minimal::suite(Quirk::None).report();
    let missing = |case| match report.iter().find(|(name, _)| *name == case) {
        Some((_, Verdict::Ignored(capability))) => capability.clone(),
        other => panic!("{case}: {other:?}"),
    };
    assert_eq!(missing("add::does_not_overwrite"), "versions");
    assert_eq!(missing("listing::keys_lists_many"), "keys");
    assert_eq!(missing("limits::over_the_limit_is_too_large"), "max_value_bytes");
}

#[test]
fn what_is_declared_is_tried() {
    let report = Minimal::suite(Quirk::SaysItsLimit).report();
    assert_eq!(failures(&report), [""; 0]);
    let passed = chosen(&report, |verdict| *verdict == Verdict::Passed);
    assert!(passed.contains("limits::over_the_limit_is_too_large"));
}

#[test]
fn a_store_may_keep_nothing() {
    let report = Suite::new(|| async { Ok(Forgetful::default()) }).report();
    assert_eq!(failures(&report), [""; 0]);
    let passed = chosen(&report, |verdict| *verdict == Verdict::Passed);
    assert!(passed.contains("forgetful::add_always_wins"));
    let retaining = chosen(&report, |verdict| *verdict == Verdict::Ignored("retains".to_owned()));
    assert!(retaining.contains("get_set::set_then_get"));
}

#[test]
fn a_store_that_cannot_be_reached_is_one_failure_with_its_cause() {
    let report = unreachable().report();
    let [("connect", Verdict::Failed(failure))] = &report[..] else { panic!("{report:?}") };
    assert!(failure.contains("my://localhost") && failure.contains("connection refused"), "{failure}");
}

#[test]
fn a_panic_is_a_failure_of_its_case() {
    let report = Minimal::suite(Quirk::GetPanics).report();
    let failed = chosen(&report, Verdict::is_failure);
    assert!(failed.contains("get_set::missing_is_none"));
    assert!(!failed.contains("delete::of_a_missing_key_is_false"));
    assert!(failures(&report)[0].contains("saw: out of order"));
}

#[test]
fn a_failed_model_test_is_short_and_says_how_to_repeat_it() {
    let broken_by = |seed, cases| {
        let report = Minimal::suite(Quirk::DeleteDoesNothing).model(seed, cases).report();
        match report.iter().find(|(case, _)| *case == "model::random_operations") {
            Some((_, Verdict::Failed(failure))) => failure.clone(),
            other => panic!("{other:?}"),
        }
    };
    let failure = broken_by(7, 50);
    let (_, seed) = failure.split_once("LARDER_MODEL_SEED=").unwrap();
    let (seed, rest) = seed.split_once(' ').unwrap();
    assert!(rest.starts_with("LARDER_MODEL_CASES=1\n"), "{failure}");
    // A value, its deletion, and the read that still finds it.
    assert!(failure.contains("  2. ") && !failure.contains("  4. "), "{failure}");
    let again = broken_by(seed.parse().unwrap(), 1);
    let steps = |failure: &str| failure.lines().filter(|line| line.starts_with("  1. ")).collect::<String>();
    assert_eq!(steps(&again), steps(&failure));
}
