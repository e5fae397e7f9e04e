//! Every publishable crate can be packaged, with its README and both licences.

use anyhow::Result;

use crate::run::{cargo, read};
use crate::workspace::Workspace;

const HOLDS: &[&str] = &["README.md", "LICENSE-MIT", "LICENSE-APACHE", "src/lib.rs"];

pub(super) fn check(workspace: &Workspace) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    // All of them together: only so can one that depends on another be packaged before either is published.
    let target = workspace.target.join("package-check");
    let mut package = cargo(&workspace.root, &["package", "--workspace", "--no-verify", "--allow-dirty"]);
    package.arg("--target-dir").arg(target);
    for member in workspace.packages.iter().filter(|member| !member.publish) {
        package.args(["--exclude", &member.name]);
    }
    if let Err(error) = read(&mut package) {
        findings.push(format!("{error:#}"));
    }
    for member in workspace.publishable() {
        let args = ["package", "--list", "--allow-dirty", "-p", &member.name];
        let files = read(&mut cargo(&workspace.root, &args))?;
        findings.extend(missing(&member.name, &files));
    }
    Ok(findings)
}

fn missing(name: &str, files: &str) -> Vec<String> {
    let absent = HOLDS.iter().filter(|file| !files.lines().any(|line| line == **file));
    absent.map(|file| format!("the package {name} would not hold {file}")).collect()
}

#[cfg(test)]
mod tests {
    use super::missing;

    #[test]
    fn a_package_without_a_licence_is_found() {
        let files = "Cargo.toml\nLICENSE-APACHE\nLICENSE-MIT\nREADME.md\nsrc/lib.rs\n";
        assert!(missing("x", files).is_empty());
        assert_eq!(
            missing("x", &files.replace("LICENSE-MIT\n", "")),
            ["the package x would not hold LICENSE-MIT"]
        );
    }
}
