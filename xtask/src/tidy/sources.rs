//! Rules on the text of `.rs` files: how long they are, and what they must not hold.

use std::path::Path;

use anyhow::Result;

use crate::workspace::Workspace;

const LONG: usize = 400;
const TOO_LONG: usize = 600;
const LIB_TOO_LONG: usize = 120;

/// Nowhere at all: unfinished work, and tests that do not run.
const NEVER: &[&str] = &["#[ignore", "todo!(", "unimplemented!(", "dbg!("];
/// Not in what users run.
const NOT_IN_LIBRARIES: &[&str] = &[".unwrap()"];
/// Only behind the `Clock` seam.
const CLOCKS: &[&str] = &["Instant::now(", "SystemTime::now("];

pub(super) fn check(workspace: &Workspace) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    for file in
        workspace.files()?.iter().filter(|file| Path::new(file).extension().is_some_and(|e| e == "rs"))
    {
        let text = workspace.read(file)?;
        if (LONG + 1..=TOO_LONG).contains(&text.lines().count()) {
            println!("note: {file} has {} lines; split it before {TOO_LONG}", text.lines().count());
        }
        findings.extend(sizes(file, &text));
        // This program holds the very words it looks for.
        if !file.starts_with("xtask/") {
            findings.extend(words(file, &text));
        }
    }
    Ok(findings)
}

fn sizes(file: &str, text: &str) -> Option<String> {
    let lines = text.lines().count();
    if lines > TOO_LONG {
        return Some(format!("{file}: {lines} lines, more than {TOO_LONG}"));
    }
    let code = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//")).count();
    (file.ends_with("src/lib.rs") && code > LIB_TOO_LONG)
        .then(|| format!("{file}: {code} lines of code in a table of contents, more than {LIB_TOO_LONG}"))
}

fn words(file: &str, text: &str) -> Vec<String> {
    let parts: Vec<&str> = file.split('/').collect();
    let outer = parts.iter().any(|part| ["tests", "benches", "examples", "tests.rs"].contains(part))
        || file.ends_with("_tests.rs");
    let clock = parts.iter().any(|part| ["clock", "clock.rs"].contains(part));
    let mut findings = Vec::new();
    for (number, line, in_test) in code(text) {
        let outside = outer || in_test;
        let forbidden = NEVER
            .iter()
            .chain(NOT_IN_LIBRARIES.iter().filter(|_| !outside))
            .chain(CLOCKS.iter().filter(|_| !outside && !clock));
        findings.extend(
            forbidden.filter(|word| line.contains(*word)).map(|word| format!("{file}:{number}: `{word}`")),
        );
    }
    findings
}

/// The lines that are not comments: number, text, and whether they stand under `#[cfg(test)]`. Relies on rustfmt: an
/// item ends at a brace indented as its first line.
fn code(text: &str) -> Vec<(usize, &str, bool)> {
    let mut lines = Vec::new();
    let mut test_ends: Option<String> = None;
    let mut armed = false;
    for (index, line) in text.lines().enumerate() {
        let trimmed = line.trim_start();
        if trimmed.is_empty() || trimmed.starts_with("//") {
            continue;
        }
        let line = line.split_once(" // ").map_or(line, |(code, _)| code).trim_end();
        let in_test = armed || test_ends.is_some();
        if test_ends.as_deref() == Some(line) {
            test_ends = None;
        } else if trimmed.starts_with("#[cfg(test)]") || trimmed.starts_with("#[cfg(all(test") {
            armed = true;
        } else if armed && !trimmed.starts_with("#[") {
            armed = false;
            if line.ends_with('{') {
                test_ends = Some(format!("{}}}", &line[..line.len() - line.trim_start().len()]));
            }
        }
        lines.push((index + 1, line, in_test));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::{sizes, words};

    #[test]
    fn long_files_are_found() {
        assert_eq!(sizes("a/src/x.rs", &"//\n".repeat(600)), None);
        assert!(sizes("a/src/x.rs", &"//\n".repeat(601)).is_some());
        assert!(sizes("a/src/lib.rs", &"x\n".repeat(121)).is_some());
        assert_eq!(sizes("a/src/lib.rs", &"//! x\n\n".repeat(150)), None);
    }

    #[test]
    fn forbidden_words_are_found_where_they_are_forbidden() {
        for (file, line, found) in [
            ("a/src/x.rs", "x.unwrap();", true),
            ("a/src/x.rs", "/// x.unwrap();", false),
            ("a/src/x.rs", "f(); // not .unwrap() here", false),
            ("a/src/clock.rs", "Instant::now()", false),
            ("a/src/x.rs", "std::time::Instant::now()", true),
            ("a/src/x.rs", "SystemTime::now()", true),
            ("a/tests/it/x.rs", "x.unwrap(); Instant::now();", false),
            ("a/tests/it/x.rs", "#[ignore = \"slow\"]", true),
            ("examples/src/x.rs", "todo!()", true),
            ("a/src/x.rs", "dbg!(x)", true),
            ("a/src/x.rs", "unimplemented!()", true),
        ] {
            assert_eq!(!words(file, line).is_empty(), found, "{file}: {line}");
        }
    }

    #[test]
    fn inline_tests_may_unwrap_and_what_follows_may_not() {
        let text = "#[cfg(test)]\n#[path = \"x\"]\nmod tests {\n    fn f() {\n        x.unwrap();\n    }\n}\n\
                    #[cfg(test)]\nuse x;\nfn g() {\n    x.unwrap();\n}\n";
        assert_eq!(words("a/src/x.rs", text), ["a/src/x.rs:11: `.unwrap()`"]);
    }
}
