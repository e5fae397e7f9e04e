//! `cargo xtask tidy`: the rules of this repository, as checks. A check returns what it finds wrong.

mod arrows;
pub(crate) mod coverage;
mod golden;
mod manifests;
mod packages;
mod prose;
mod sources;

use anyhow::{Context, Result, bail};

use crate::workspace::Workspace;

type Check = fn(&Workspace) -> Result<Vec<String>>;

const CHECKS: &[(&str, Check)] = &[
    ("manifests", manifests::check),
    ("arrows", |workspace| Ok(arrows::check(workspace))),
    ("sources", sources::check),
    ("prose", prose::check),
    ("golden", golden::check),
    ("packages", packages::check),
    ("coverage", coverage::check),
];

pub(crate) fn command(workspace: &Workspace) -> Result<()> {
    let mut wrong = 0;
    for (name, check) in CHECKS {
        let findings = check(workspace).with_context(|| format!("tidy cannot check {name}"))?;
        for finding in &findings {
            println!("tidy {name}: {finding}");
        }
        wrong += findings.len();
    }
    if wrong > 0 {
        bail!("tidy found {wrong} thing(s) to put right");
    }
    println!("tidy: {} checks, nothing found", CHECKS.len());
    Ok(())
}
