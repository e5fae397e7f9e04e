//! What the documents say: every feature is in its crate's README, and every crate they name exists or is planned.

use std::collections::BTreeSet;

use anyhow::Result;

use super::arrows::is_planned;
use crate::workspace::{Package, Workspace};

/// Not CONTRIBUTING.md: it speaks of crates that are not ours.
const DOCUMENTS: &[&str] = &["README.md", "ARCHITECTURE.md", "CHANGELOG.md", "SECURITY.md"];

pub(super) fn check(workspace: &Workspace) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    for package in workspace.publishable() {
        match std::fs::read_to_string(package.dir.join("README.md")) {
            Ok(readme) => findings.extend(features(package, &readme)),
            Err(error) => findings.push(format!("{}: README.md: {error}", package.name)),
        }
    }
    for document in DOCUMENTS {
        if !workspace.root.join(document).is_file() {
            findings.push(format!("{document} is missing"));
            continue;
        }
        for name in crate_names(&workspace.read(document)?) {
            // The owner in the repository's address.
            if !workspace.is_member(name) && !is_planned(name) && name != "larder-rs" {
                findings.push(format!("{document} names `{name}`, which is no crate of ours"));
            }
        }
    }
    Ok(findings)
}

fn features(package: &Package, readme: &str) -> Vec<String> {
    let named = |feature: &&String| readme.contains(&format!("`{feature}`"));
    let missing = package.features.keys().filter(|feature| *feature != "default" && !named(feature));
    missing
        .map(|feature| format!("{}: README.md does not name the feature `{feature}`", package.name))
        .collect()
}

/// Every word that begins with `larder-`.
fn crate_names(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
    words.map(|word| word.trim_end_matches('-')).filter(|word| word.starts_with("larder-")).collect()
}

#[cfg(test)]
mod tests {
    use super::{Package, crate_names, features};

    #[test]
    fn a_feature_that_the_readme_leaves_out_is_found() {
        let features_of = ["default", "json", "metrics"].map(|name| (name.to_owned(), Vec::new()));
        let package = Package { name: "x".into(), features: features_of.into(), ..Package::default() };
        assert_eq!(features(&package, "| `json` | y |\n| `metrics` | z |"), [""; 0]);
        assert_eq!(
            features(&package, "`json`, metrics"),
            ["x: README.md does not name the feature `metrics`"]
        );
    }

    #[test]
    fn crate_names_are_words() {
        let text = "`larder-core`, my-larder-etcd, larder-*, larder-{a,b}, github.com/larder-rs/larder larder-simple.";
        assert_eq!(
            crate_names(text).into_iter().collect::<Vec<_>>(),
            ["larder-core", "larder-rs", "larder-simple"]
        );
    }
}
