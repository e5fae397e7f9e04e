use super::Report;

const RUN: &str = "
     Running unittests src/lib.rs (target/debug/deps/larder_core-11)
running 2 tests
test key::is_injective ... ok
test key::is_short ... ok
test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
     Running tests/conformance.rs (target/debug/deps/conformance-22)
test                         get::missing_is_none    ... ok
test [capability: increment] increment::sums_exactly ... ignored
test result: ok. 1 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.03s
   Doc-tests larder_core
test crates/larder-core/src/key.rs - key::Key (line 7) ... ok
test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.10s
all doctests ran in 0.20s; merged doctests compilation took 0.10s
";

fn report(text: &str) -> Report {
    let mut report =
        Report::new([("conformance-22".to_owned(), "larder-null conformance".to_owned())].into());
    text.lines().for_each(|line| report.line(line));
    report.ended(true);
    report
}

#[test]
fn a_capability_case_is_skipped_and_named() {
    let report = report(RUN);
    assert_eq!(report.closing_line(), "4 passed, 0 failed, 1 skipped");
    assert!(report.verdict().is_ok());
    let table = report.table();
    assert!(
        table.contains(
            "skipped: larder-null conformance increment::sums_exactly: the store has no `increment`"
        )
    );
    assert!(table.contains("larder-core docs"), "{table}");
}

#[test]
fn any_other_ignored_test_fails_the_run() {
    let text =
        RUN.replace("[capability: increment] increment::sums_exactly ... ignored", "slow ... ignored, slow");
    let report = report(&text);
    assert_eq!(report.closing_line(), "4 passed, 1 failed, 0 skipped");
    assert!(report.verdict().is_err());
    assert!(report.table().contains("not for a missing capability: larder-null conformance slow, slow"));
}

#[test]
fn an_ignored_test_that_no_line_names_fails_the_run() {
    let report = report(&RUN.replace("2 passed; 0 failed; 0 ignored", "2 passed; 0 failed; 3 ignored"));
    assert_eq!(report.failed(), 3);
}

#[test]
fn failures_are_counted_and_named() {
    let text = RUN
        .replace("is_short ... ok", "is_short ... FAILED")
        .replace("ok. 2 passed; 0", "FAILED. 1 passed; 1");
    let mut report = report(&text);
    report.ended(false);
    assert_eq!(report.closing_line(), "3 passed, 1 failed, 1 skipped");
    assert!(report.table().contains("key::is_short"));
}

#[test]
fn what_failed_tests_said_comes_last_and_short() {
    let said =
        |name: &str, lines: &str| format!("---- {name} stdout ----\n{lines}\nError: {name} was late\n");
    let many: Vec<String> = (0..40).map(|line| format!("histogram {line}")).collect();
    let backtrace = "\nStack backtrace:\n   0: somewhere\n";
    let failures = [said("key::is_short", &many.join("\n")), backtrace.into(), said("key::b", "")].concat();
    let end =
        "failures:\n    key::is_short\n    key::b\n\ntest result: FAILED. 1 passed; 2 failed; 0 ignored;";
    let text = RUN.replace("is_short ... ok", "is_short ... FAILED").replacen(
        "test result: ok. 2 passed; 0 failed; 0 ignored;",
        &format!("failures:\n\n{failures}\n{end}"),
        1,
    );
    let table = report(&text).table();
    let at = |what: &str| table.find(what).unwrap_or_else(|| panic!("no {what} in {table}"));
    assert!(at("skipped: ") < at("what ran") && at("what ran") < at("\nfailed: "));
    assert!(
        at("failed: ") < at("---- key::is_short") && at("key::is_short was late") < at("key::b was late")
    );
    assert!(!table.contains("somewhere") && !table.contains("histogram 9\n"), "{table}");
    assert!(table.contains("histogram 39"), "{table}");
}

#[test]
fn a_run_that_breaks_or_tests_nothing_fails() {
    let mut broken = report(RUN);
    broken.ended(false);
    assert_eq!(broken.closing_line(), "4 passed, 1 failed, 1 skipped");
    let nothing = report("test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 9 filtered out");
    assert_eq!(nothing.verdict().unwrap_err().to_string(), "no test ran");
}
