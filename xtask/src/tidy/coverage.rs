//! Documentation coverage, as rustdoc counts it: everything documented, nine of ten with an example.

use std::process::{Command, ExitCode};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::run::{cargo, read};
use crate::workspace::Workspace;

/// Set for a child that cargo starts in place of rustdoc.
const AS_RUSTDOC: &str = "LARDER_XTASK_AS_RUSTDOC";
const PERCENT_WITH_EXAMPLES: u64 = 90;

/// Counting is an unstable option. Allowing it with `RUSTC_BOOTSTRAP` for all of cargo would build every dependency
/// again, so this program stands in for rustdoc and allows it there only.
pub(crate) fn as_rustdoc() -> Option<ExitCode> {
    std::env::var_os(AS_RUSTDOC)?;
    let args = std::env::args_os().skip(1);
    let status = Command::new("rustdoc").args(args).env("RUSTC_BOOTSTRAP", "1").status();
    match status {
        Ok(status) if status.success() => Some(ExitCode::SUCCESS),
        Ok(_) => Some(ExitCode::FAILURE),
        Err(error) => {
            eprintln!("cannot start rustdoc: {error}");
            Some(ExitCode::FAILURE)
        }
    }
}

pub(super) fn check(workspace: &Workspace) -> Result<Vec<String>> {
    let this = std::env::current_exe().context("no path to this program")?;
    let mut findings = Vec::new();
    for package in workspace.publishable() {
        let args =
            ["rustdoc", "--lib", "--all-features", "-p", &package.name, "--", "-Z", "unstable-options"];
        let mut command = cargo(&workspace.root, &args);
        command.args(["--show-coverage", "--output-format", "json"]);
        let text = read(command.env("RUSTDOC", &this).env(AS_RUSTDOC, "1"))?;
        let line = text.lines().find(|line| line.starts_with('{')).context("rustdoc printed no counts")?;
        let files = serde_json::from_str(line).context("rustdoc printed no JSON")?;
        findings.extend(crate_findings(&package.name, &files));
    }
    Ok(findings)
}

#[derive(Default)]
struct Counts {
    items: u64,
    documented: u64,
    examples_wanted: u64,
    examples: u64,
}

impl Counts {
    fn add(&mut self, json: &Value) {
        let number = |field: &str| json[field].as_u64().unwrap_or(0);
        self.items += number("total");
        self.documented += number("with_docs");
        self.examples_wanted += number("total_examples");
        self.examples += number("with_examples");
    }
}

fn crate_findings(name: &str, files: &Value) -> Vec<String> {
    let mut all = Counts::default();
    let mut undocumented = Vec::new();
    let mut without_examples = Vec::new();
    for (file, json) in files.as_object().into_iter().flatten() {
        let mut counts = Counts::default();
        counts.add(json);
        all.add(json);
        let part = |have, want| format!("{file} ({have} of {want})");
        if counts.documented < counts.items {
            undocumented.push(part(counts.documented, counts.items));
        }
        if counts.examples < counts.examples_wanted {
            without_examples.push(part(counts.examples, counts.examples_wanted));
        }
    }
    println!(
        "docs of {name}: {} of {} items documented, {} of {} with an example",
        all.documented, all.items, all.examples, all.examples_wanted
    );
    let mut findings = Vec::new();
    if !undocumented.is_empty() {
        findings.push(format!("{name}: not all is documented: {}", undocumented.join(", ")));
    }
    if all.examples * 100 < all.examples_wanted * PERCENT_WITH_EXAMPLES {
        let list = without_examples.join(", ");
        findings.push(format!("{name}: less than {PERCENT_WITH_EXAMPLES} % have an example: {list}"));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::crate_findings;

    fn findings(with_docs: u64, with_examples: u64) -> Vec<String> {
        let file = serde_json::json!({
            "total": 20, "with_docs": with_docs, "total_examples": 10, "with_examples": with_examples,
        });
        crate_findings("x", &serde_json::json!({ "src/a.rs": file }))
    }

    #[test]
    fn too_little_is_found() {
        assert!(findings(20, 9).is_empty());
        assert_eq!(findings(19, 10), ["x: not all is documented: src/a.rs (19 of 20)"]);
        assert_eq!(findings(20, 8), ["x: less than 90 % have an example: src/a.rs (8 of 10)"]);
    }
}
