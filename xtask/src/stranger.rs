//! `cargo xtask stranger`: the store of CONTRIBUTING.md, built in a workspace of its own, passes the suite.

use std::path::{Component, Path};

use anyhow::{Context, Result, bail};

use crate::run::{cargo, shown, spawn_piped};
use crate::test::{Report, follow};
use crate::workspace::Workspace;

/// What a stranger depends on, taken from this checkout rather than from the registry.
const PATCHED: &[&str] = &["larder-conformance", "larder-core"];

pub(crate) fn command(workspace: &Workspace) -> Result<()> {
    let files = file_blocks(&workspace.read("CONTRIBUTING.md")?)?;
    for wanted in ["Cargo.toml", "src/lib.rs", "tests/conformance.rs"] {
        if !files.iter().any(|(name, _)| name == wanted) {
            bail!("CONTRIBUTING.md has no code block with `file={wanted}` after its language");
        }
    }
    let dir =
        tempfile::Builder::new().prefix("larder-stranger-").tempdir().context("no temporary directory")?;
    for (name, text) in &files {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().context("a file without a directory")?)?;
        let text = if name == "Cargo.toml" { patched(workspace, text)? } else { text.clone() };
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    // The versions proven here; cargo drops the entries that the stranger does not need.
    std::fs::copy(workspace.root.join("Cargo.lock"), dir.path().join("Cargo.lock"))
        .context("no Cargo.lock")?;

    let mut command = cargo(dir.path(), &["test", "--target-dir"]);
    command.arg(workspace.target.join("stranger"));
    println!("$ {}", shown(&command));
    let (mut child, _watch, output) = spawn_piped(&mut command)?;
    let mut report = follow(output, Report::default())?;
    report.ended(child.wait()?.success());
    println!("the stranger's store: {}", report.closing_line());
    report.verdict().context("the store of CONTRIBUTING.md, in a workspace of its own")
}

/// The fenced blocks whose info string has `file=NAME`, with that name.
fn file_blocks(markdown: &str) -> Result<Vec<(String, String)>> {
    let mut files: Vec<(String, String)> = Vec::new();
    let mut fence: Option<(&str, bool)> = None;
    for line in markdown.lines() {
        let ticks = &line[..line.len() - line.trim_start_matches('`').len()];
        match fence {
            None if ticks.len() >= 3 => {
                let name = line.split_whitespace().find_map(|word| word.strip_prefix("file="));
                if let Some(name) = name {
                    if !Path::new(name).components().all(|part| matches!(part, Component::Normal(_))) {
                        bail!("`{name}` leads out of the stranger's workspace");
                    }
                    if files.iter().any(|(other, _)| other == name) {
                        bail!("two code blocks for `{name}`");
                    }
                    files.push((name.to_owned(), String::new()));
                }
                fence = Some((ticks, name.is_some()));
            }
            Some((open, _)) if line.trim_end() == open => fence = None,
            Some((_, true)) => {
                let (_, text) = files.last_mut().expect("pushed when the fence was opened");
                text.push_str(line);
                text.push('\n');
            }
            _ => {}
        }
    }
    Ok(files)
}

/// The stranger's manifest, the root of its own workspace, with our crates taken from here.
fn patched(workspace: &Workspace, manifest: &str) -> Result<String> {
    let mut table: toml::Table = manifest.parse().context("the Cargo.toml in CONTRIBUTING.md")?;
    table.entry("workspace").or_insert_with(|| toml::Table::new().into());
    let mut patch = toml::Table::new();
    for name in PATCHED {
        let package = workspace.packages.iter().find(|package| package.name == *name);
        let dir = &package.with_context(|| format!("there is no {name}"))?.dir;
        let dir = dir.to_str().context("a path that is not UTF-8")?;
        patch.insert((*name).to_owned(), toml::Table::from_iter([("path".to_owned(), dir.into())]).into());
    }
    table.insert("patch".to_owned(), toml::Table::from_iter([("crates-io".to_owned(), patch.into())]).into());
    Ok(table.to_string())
}

#[cfg(test)]
mod tests {
    use super::{file_blocks, patched};
    use crate::workspace::{Package, Workspace};

    const PAGE: &str = "\
a
```toml file=Cargo.toml
[package]
name = \"s\"
```
```sh
cargo test
```
````rust file=src/lib.rs
//! ```
//! x
//! ```
````
";

    #[test]
    fn named_blocks_are_taken() {
        let files = file_blocks(PAGE).unwrap();
        assert_eq!(files[0], ("Cargo.toml".to_owned(), "[package]\nname = \"s\"\n".to_owned()));
        assert_eq!(files[1], ("src/lib.rs".to_owned(), "//! ```\n//! x\n//! ```\n".to_owned()));
        assert_eq!(files.len(), 2);
    }

    #[test]
    fn names_stay_inside_and_are_unique() {
        assert!(file_blocks(&PAGE.replace("src/lib.rs", "../lib.rs")).is_err());
        assert!(file_blocks(&PAGE.replace("src/lib.rs", "/etc/x")).is_err());
        assert!(file_blocks(&PAGE.replace("src/lib.rs", "Cargo.toml")).is_err());
    }

    #[test]
    fn the_manifest_gets_a_workspace_and_our_crates() {
        let crates = ["larder-core", "larder-conformance"];
        let package = |name: &str| Package { name: name.into(), dir: "/w".into(), ..Package::default() };
        let packages = crates.map(package).into();
        let workspace = Workspace { root: "/w".into(), target: "/w/target".into(), packages };
        let manifest: toml::Table = patched(&workspace, "[package]\nname = \"s\"").unwrap().parse().unwrap();
        assert!(manifest["workspace"].is_table());
        assert_eq!(manifest["patch"]["crates-io"]["larder-core"]["path"].as_str(), Some("/w"));
        assert!(patched(&Workspace { packages: Vec::new(), ..workspace }, "").is_err());
    }
}
