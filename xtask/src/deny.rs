//! `cargo xtask deny`: licences, sources and banned crates, as `deny.toml` says.

use std::process::Command;

use anyhow::{Context, Result};

use crate::run::{cargo, program, read, run};
use crate::workspace::Workspace;

const VERSION: &str = "0.20.2";

pub(crate) fn command(workspace: &Workspace) -> Result<()> {
    let mut check = find(workspace)?;
    // Which crates stand in two versions is told in a hundred lines; by way of whom would be two thousand.
    check.args(["check", "--hide-inclusion-graph", "bans", "licenses", "sources"]);
    // The advisories are fetched from the network, which not every place allows.
    if std::env::var_os("LARDER_ADVISORIES").is_some_and(|value| value == "1") {
        check.arg("advisories");
    }
    run(&mut check)
}

/// The tool where it is, else installed under the target directory, where it disturbs nobody.
fn find(workspace: &Workspace) -> Result<Command> {
    if read(&mut program(&workspace.root, "cargo-deny", &["--version"])).is_ok() {
        return Ok(program(&workspace.root, "cargo-deny", &[]));
    }
    let tools = workspace.target.join("tools");
    let own = tools.join("bin").join(format!("cargo-deny{}", std::env::consts::EXE_SUFFIX));
    if !own.is_file() {
        // Built without optimization: sooner here, and fast enough for one workspace.
        let wanted = format!("cargo-deny@{VERSION}");
        let install = ["install", "--quiet", "--locked", "--debug", &wanted, "--root"];
        println!(
            "note: cargo-deny is not installed; it is built into {}, once, in about a minute",
            tools.display()
        );
        run(cargo(&workspace.root, &install).arg(&tools))
            .context("cargo-deny is missing and cannot be installed")?;
    }
    let mut command = Command::new(own);
    command.current_dir(&workspace.root);
    Ok(command)
}
