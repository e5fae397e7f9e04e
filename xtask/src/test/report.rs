//! What the printed lines of `cargo test` say.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Result, bail};

/// What ran so far.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// Names by the file name of the executable.
    names: BTreeMap<String, String>,
    binaries: Vec<Ran>,
    /// Set when cargo failed although no test did: something did not compile, or died.
    broken: bool,
}

#[derive(Debug, Default)]
struct Ran {
    name: String,
    summaries: u64,
    passed: u64,
    failed: u64,
    ignored: u64,
    failures: Vec<String>,
    /// What the failed tests said: the lines between `failures:` and the list of their names.
    said: Vec<String>,
    saying: bool,
    /// The cases a store lacks the capability for: name and capability.
    skipped: Vec<(String, String)>,
    /// Ignored for any other reason, which is not allowed.
    forbidden: Vec<String>,
}

impl Ran {
    /// Ignored, but no line named it.
    fn unnamed(&self) -> u64 {
        self.ignored.saturating_sub((self.skipped.len() + self.forbidden.len()) as u64)
    }
}

impl Report {
    pub(crate) fn new(names: BTreeMap<String, String>) -> Self {
        Self { names, ..Self::default() }
    }

    /// Takes the next line.
    pub(crate) fn line(&mut self, line: &str) {
        let words = line.trim_start();
        if let Some(rest) = words.strip_prefix("Running ") {
            if let Some(path) = rest.strip_suffix(')').and_then(|rest| rest.rsplit_once('(')) {
                let file = path.1.rsplit(['/', '\\']).next().unwrap_or_default();
                let file = file.strip_suffix(".exe").unwrap_or(file);
                let name = self.names.get(file).map_or(rest, String::as_str).to_owned();
                self.binaries.push(Ran { name, ..Ran::default() });
            }
        } else if let Some(name) = words.strip_prefix("Doc-tests ") {
            self.binaries.push(Ran { name: format!("{} docs", name.replace('_', "-")), ..Ran::default() });
        } else if line == "failures:" {
            // Twice: before what they said, and before the bare list of their names.
            let ran = self.last();
            ran.saying = ran.said.is_empty();
        } else if let Some(counts) = line.strip_prefix("test result: ") {
            self.last().saying = false;
            self.summary(counts);
        } else if self.binaries.last().is_some_and(|ran| ran.saying) {
            self.last().said.push(line.to_owned());
        } else if let Some((name, outcome)) = line.strip_prefix("test ").and_then(|l| l.rsplit_once(" ... "))
        {
            self.outcome(name.trim(), outcome);
        }
    }

    /// Takes the end of the process.
    pub(crate) fn ended(&mut self, success: bool) {
        self.broken = !success && self.sum(|ran| ran.failed) == 0;
    }

    fn last(&mut self) -> &mut Ran {
        if self.binaries.is_empty() {
            self.binaries.push(Ran { name: "tests".to_owned(), ..Ran::default() });
        }
        self.binaries.last_mut().expect("one was just pushed if there was none")
    }

    fn outcome(&mut self, name: &str, outcome: &str) {
        let ran = self.last();
        if outcome.starts_with("FAILED") {
            ran.failures.push(name.to_owned());
        } else if let Some(reason) = outcome.strip_prefix("ignored") {
            match name.strip_prefix("[capability: ").and_then(|rest| rest.split_once(']')) {
                Some((capability, case)) => {
                    ran.skipped.push((case.trim().to_owned(), capability.trim().to_owned()));
                }
                None => ran.forbidden.push(format!("{name}{reason}")),
            }
        }
    }

    /// Takes `ok. 5 passed; 0 failed; 1 ignored; ..`.
    fn summary(&mut self, counts: &str) {
        let count = |what: &str| {
            let part = counts.split(['.', ';']).find_map(|part| part.trim().strip_suffix(what));
            part.and_then(|number| number.trim().parse::<u64>().ok()).unwrap_or(0)
        };
        let ran = self.last();
        ran.summaries += 1;
        ran.passed += count("passed");
        ran.failed += count("failed");
        ran.ignored += count("ignored");
    }

    fn sum(&self, count: impl Fn(&Ran) -> u64) -> u64 {
        self.binaries.iter().map(count).sum()
    }

    pub(crate) fn passed(&self) -> u64 {
        self.sum(|ran| ran.passed)
    }

    /// Failed tests, forbidden ignores, and a run that broke without a failing test.
    pub(crate) fn failed(&self) -> u64 {
        self.sum(|ran| ran.failed + ran.forbidden.len() as u64 + ran.unnamed()) + u64::from(self.broken)
    }

    pub(crate) fn closing_line(&self) -> String {
        let skipped = self.sum(|ran| ran.skipped.len() as u64);
        format!("{} passed, {} failed, {skipped} skipped", self.passed(), self.failed())
    }

    pub(crate) fn verdict(&self) -> Result<()> {
        match (self.failed(), self.passed()) {
            (0, 0) => bail!("no test ran"),
            (0, _) => Ok(()),
            (failed, _) => bail!("{failed} failed; they are listed above"),
        }
    }

    /// What was ignored and why, what ran, what failed and what it said: last what a reader of the end has to see.
    pub(crate) fn table(&self) -> String {
        let mut text = String::new();
        let mut put = |line: String| writeln!(text, "{line}").expect("writing to a string cannot fail");
        for ran in &self.binaries {
            for (case, capability) in &ran.skipped {
                put(format!("skipped: {} {case}: the store has no `{capability}`", ran.name));
            }
        }
        put(format!("\n{:<48} {:>7} {:>7} {:>7}", "what ran", "passed", "failed", "ignored"));
        for ran in &self.binaries {
            if ran.passed + ran.failed + ran.ignored > 0 {
                put(format!("{:<48} {:>7} {:>7} {:>7}", ran.name, ran.passed, ran.failed, ran.ignored));
            } else if ran.summaries == 0 && !ran.name.ends_with(" docs") {
                put(format!("{:<48} no summary", ran.name));
            }
        }
        for ran in &self.binaries {
            for name in &ran.forbidden {
                put(format!("ignored, and not for a missing capability: {} {name}", ran.name));
            }
            if ran.unnamed() > 0 {
                put(format!("ignored, and not named: {} in {}", ran.unnamed(), ran.name));
            }
            for name in &ran.failures {
                put(format!("failed: {} {name}", ran.name));
            }
            excerpt(&ran.said).for_each(|line| put(format!("    {line}")));
        }
        if self.broken {
            put("failed: cargo test itself, although no test failed; see its output".to_owned());
        }
        text
    }
}

/// What failed tests said without their backtraces, of each one the end: there is the error.
fn excerpt(said: &[String]) -> impl Iterator<Item = &str> {
    const LINES: usize = 30;
    let tests = said.chunk_by(|_, line| !is_heading(line));
    tests.flat_map(|test| {
        let until_backtrace = |line: &&String| !line.trim().eq_ignore_ascii_case("stack backtrace:");
        let lines: Vec<&str> = test.iter().take_while(until_backtrace).map(String::as_str).collect();
        let (heading, rest) = lines.split_at(lines.len().min(1));
        let end = &rest[rest.len().saturating_sub(LINES)..];
        [heading, end].concat().into_iter().filter(|line| !line.trim().is_empty())
    })
}

/// `---- name stdout ----`, or without the word.
fn is_heading(line: &str) -> bool {
    line.starts_with("---- ") && line.ends_with(" ----")
}

#[cfg(test)]
#[path = "report_tests.rs"]
mod tests;
