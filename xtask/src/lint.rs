//! `fmt`, `clippy` and `docs`: the compiler's own tools, without a warning.

use std::collections::BTreeSet;

use anyhow::Result;

use crate::run::{cargo, run};
use crate::workspace::{Package, Workspace};

pub(crate) fn fmt(workspace: &Workspace) -> Result<()> {
    run(&mut cargo(&workspace.root, &["fmt", "--all", "--check"]))
}

/// Everything with all features, then each publishable crate as its users may build it: without features, and with
/// each one alone. Those runs leave the tests out, whose dependencies would switch more features on.
pub(crate) fn clippy(workspace: &Workspace) -> Result<()> {
    let deny = ["--", "-D", "warnings"];
    for features in ["--all-features", "--no-default-features"] {
        let args = ["clippy", "--quiet", "--workspace", "--all-targets", features];
        run(cargo(&workspace.root, &args).args(deny))?;
    }
    for package in workspace.publishable() {
        let alone = ["clippy", "--quiet", "-p", &package.name, "--no-default-features"];
        run(cargo(&workspace.root, &alone).args(deny))?;
        for feature in single_features(package) {
            run(cargo(&workspace.root, &alone).args(["--features", feature]).args(deny))?;
        }
    }
    Ok(())
}

pub(crate) fn docs(workspace: &Workspace) -> Result<()> {
    let args = ["doc", "--quiet", "--workspace", "--all-features", "--no-deps"];
    run(cargo(&workspace.root, &args).env("RUSTDOCFLAGS", "-D warnings"))
}

/// The features to build alone: one of each group that switches on the same things, and none that switches on
/// nothing, which is already built.
fn single_features(package: &Package) -> Vec<&str> {
    let mut seen = BTreeSet::from([BTreeSet::new()]);
    // The short lists first, so that an alias such as `default` gives way to the feature it stands for.
    let mut features: Vec<_> = package.features.keys().collect();
    features.sort_by_key(|feature| package.features[*feature].iter().any(|value| is_feature(package, value)));
    features.retain(|feature| seen.insert(switched_on(package, feature)));
    features.into_iter().map(String::as_str).collect()
}

/// What a feature switches on in the end. A feature that only names other features is not itself in the set.
fn switched_on<'a>(package: &'a Package, feature: &'a str) -> BTreeSet<&'a str> {
    let mut set = BTreeSet::new();
    let mut open = vec![feature];
    let mut visited = BTreeSet::new();
    while let Some(name) = open.pop() {
        let Some(values) = package.features.get(name).filter(|_| visited.insert(name)) else { continue };
        let is_alias = !values.is_empty() && values.iter().all(|value| is_feature(package, value));
        if name != "default" && !is_alias {
            set.insert(name);
        }
        open.extend(values.iter().map(String::as_str));
    }
    set
}

fn is_feature(package: &Package, value: &str) -> bool {
    package.features.contains_key(value)
}

#[cfg(test)]
mod tests {
    use super::{Package, single_features};

    fn package(features: &[(&str, &[&str])]) -> Package {
        let strings = |values: &[&str]| values.iter().map(|&v| v.to_owned()).collect();
        let features = features.iter().map(|&(name, values)| (name.to_owned(), strings(values))).collect();
        Package { features, ..Package::default() }
    }

    #[test]
    fn aliases_are_built_once() {
        let features: &[(&str, &[&str])] = &[
            ("default", &["simple"]),
            ("full", &["simple", "null", "tower"]),
            ("null", &["dep:larder-null"]),
            ("simple", &["dep:larder-simple"]),
            ("some", &["simple", "null"]),
            ("tower", &["dep:larder-tower"]),
        ];
        assert_eq!(single_features(&package(features)), ["null", "simple", "tower", "full", "some"]);
    }

    #[test]
    fn an_empty_feature_is_not_built_and_a_named_one_is_built_for_its_alias() {
        assert!(single_features(&package(&[("default", &[])])).is_empty());
        assert_eq!(single_features(&package(&[("default", &["json"]), ("json", &["dep:x"])])), ["json"]);
    }
}
