//! What every member's `Cargo.toml` says, and that the changelog knows the version.

use anyhow::{Context, Result};
use toml::{Table, Value};

use crate::workspace::{Package, Workspace};

const INHERITED: &[&str] = &["version", "edition", "rust-version", "license", "repository"];
const INHERITED_WHEN_PUBLISHED: &[&str] = &["homepage", "keywords", "categories"];

pub(super) fn check(workspace: &Workspace) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    for package in &workspace.packages {
        let path = package.dir.join("Cargo.toml");
        let manifest: Table = workspace.read(&path)?.parse().with_context(|| path.display().to_string())?;
        findings.extend(member(package, &manifest));
    }
    let root: Table = workspace.read("Cargo.toml")?.parse().context("Cargo.toml")?;
    let version = root["workspace"]["package"]["version"].as_str().context("no workspace version")?;
    if !names_version(&workspace.read("CHANGELOG.md")?, version) {
        findings.push(format!("CHANGELOG.md has no section `## {version}`"));
    }
    Ok(findings)
}

fn member(package: &Package, manifest: &Table) -> Vec<String> {
    let mut findings = Vec::new();
    let mut demand = |holds: bool, what: &str| {
        if !holds {
            findings.push(format!("{}: {what}", package.name));
        }
    };
    demand(manifest.get("lints").is_some_and(inherited), "no `[lints] workspace = true`");
    let field = |name: &str| manifest["package"].get(name);
    for name in INHERITED {
        demand(field(name).is_some_and(inherited), &format!("`{name}.workspace = true` is missing"));
    }
    if package.publish {
        for name in INHERITED_WHEN_PUBLISHED {
            demand(field(name).is_some_and(inherited), &format!("`{name}.workspace = true` is missing"));
        }
        demand(field("description").is_some(), "no description");
        demand(field("readme").and_then(Value::as_str) == Some("README.md"), "no `readme = \"README.md\"`");
        let docs =
            field("metadata").and_then(|metadata| metadata.get("docs")?.get("rs")?.get("all-features"));
        demand(docs == Some(&Value::Boolean(true)), "no `[package.metadata.docs.rs] all-features = true`");
    }
    for name in own_versions(manifest) {
        demand(false, &format!("dependency `{name}` is not `workspace = true`"));
    }
    findings
}

fn inherited(value: &Value) -> bool {
    value.get("workspace") == Some(&Value::Boolean(true))
}

/// Dependencies whose version is not the workspace's, of every kind and target.
fn own_versions(manifest: &Table) -> Vec<&str> {
    let targets = manifest.get("target").and_then(Value::as_table).into_iter().flat_map(Table::values);
    let tables = std::iter::once(manifest).chain(targets.filter_map(Value::as_table));
    tables
        .flat_map(|table| {
            ["dependencies", "dev-dependencies", "build-dependencies"].map(|kind| table.get(kind))
        })
        .filter_map(|dependencies| dependencies?.as_table())
        .flat_map(|dependencies| dependencies.iter().filter(|(_, value)| !inherited(value)))
        .map(|(name, _)| name.as_str())
        .collect()
}

fn names_version(changelog: &str, version: &str) -> bool {
    let sections = changelog.lines().filter_map(|line| line.strip_prefix("## "));
    sections
        .filter_map(|title| title.split_whitespace().next())
        .any(|word| word.trim_matches(['[', ']']) == version)
}

#[cfg(test)]
mod tests {
    use super::{Package, member, names_version};

    const GOOD: &str = r#"
        [package]
        description = "d"
        readme = "README.md"
        version.workspace = true
        edition.workspace = true
        rust-version.workspace = true
        license.workspace = true
        repository.workspace = true
        homepage.workspace = true
        keywords.workspace = true
        categories.workspace = true
        [package.metadata.docs.rs]
        all-features = true
        [dependencies]
        bytes.workspace = true
        [target.'cfg(unix)'.dependencies]
        tokio = { workspace = true, features = ["net"] }
        [lints]
        workspace = true
    "#;

    fn findings(manifest: &str) -> Vec<String> {
        let package = Package { name: "x".into(), publish: true, ..Package::default() };
        member(&package, &manifest.parse().unwrap())
    }

    #[test]
    fn a_good_member_passes() {
        assert_eq!(findings(GOOD), [""; 0]);
    }

    #[test]
    fn what_is_missing_is_named() {
        for (from, to, finding) in [
            ("[lints]\n        workspace = true", "", "x: no `[lints] workspace = true`"),
            ("license.workspace = true", "license = \"MIT\"", "x: `license.workspace = true` is missing"),
            ("keywords.workspace = true", "", "x: `keywords.workspace = true` is missing"),
            ("all-features = true", "", "x: no `[package.metadata.docs.rs] all-features = true`"),
            ("bytes.workspace = true", "bytes = \"1\"", "x: dependency `bytes` is not `workspace = true`"),
            (
                "workspace = true, features",
                "version = \"1\", features",
                "x: dependency `tokio` is not `workspace = true`",
            ),
            ("readme = \"README.md\"", "", "x: no `readme = \"README.md\"`"),
        ] {
            assert_eq!(findings(&GOOD.replace(from, to)), [finding]);
        }
    }

    #[test]
    fn the_changelog_names_the_version() {
        assert!(names_version("# Changelog\n\n## 0.1.0\n", "0.1.0"));
        assert!(names_version("## [0.1.0] - 2026-01-01", "0.1.0"));
        assert!(!names_version("## 0.1.0-rc.1\nabout 0.1.0", "0.1.0"));
    }
}
