//! Which crate may depend on which: facade, then stores, adapters and macros, then core.

use crate::workspace::{Package, Workspace};

const STORES: &[&str] = &[
    "larder-filesystem",
    "larder-memcached",
    "larder-null",
    "larder-postgres",
    "larder-redis",
    "larder-simple",
];
const ADAPTERS: &[&str] = &["larder-macros", "larder-minijinja", "larder-tower"];

/// Every published crate there is or will be: what documents may speak of.
pub(super) fn is_planned(name: &str) -> bool {
    ["larder", "larder-core", "larder-conformance"].contains(&name)
        || STORES.contains(&name)
        || ADAPTERS.contains(&name)
}

pub(super) fn check(workspace: &Workspace) -> Vec<String> {
    workspace.packages.iter().flat_map(|package| package_findings(workspace, package)).collect()
}

fn package_findings(workspace: &Workspace, package: &Package) -> Vec<String> {
    let mut findings = Vec::new();
    if package.publish && !is_planned(&package.name) {
        findings.push(format!("{} is published, but has no place in the table of arrows", package.name));
    }
    for dependency in &package.dependencies {
        let Some(target) = workspace.packages.iter().find(|other| other.name == dependency.name) else {
            continue;
        };
        let kind = if dependency.dev { "dev-depends" } else { "depends" };
        if package.publish && !target.publish {
            findings.push(format!("{} {kind} on {}, which is not published", package.name, target.name));
        } else if !may_depend(package, &target.name, dependency.dev) {
            findings.push(format!("{} {kind} on {}: no such arrow", package.name, target.name));
        }
    }
    findings
}

fn may_depend(package: &Package, on: &str, dev: bool) -> bool {
    let name = package.name.as_str();
    if !package.publish {
        return name != "xtask";
    }
    match name {
        "larder-core" => false,
        "larder-conformance" => on == "larder-core" || (dev && on == "larder-simple"),
        "larder" => on == "larder-core" || STORES.contains(&on) || ADAPTERS.contains(&on),
        _ if STORES.contains(&name) => on == "larder-core" || (dev && on == "larder-conformance"),
        _ if ADAPTERS.contains(&name) => on == "larder-core" || (dev && on == "larder-simple"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Dependency;

    fn findings(name: &str, publish: bool, on: &str, dev: bool) -> Vec<String> {
        let package = |name: &str, publish| Package { name: name.into(), publish, ..Package::default() };
        let mut packages: Vec<_> =
            ["larder-core", "larder-simple", "larder-null", "larder-conformance", "larder", "larder-tower"]
                .map(|name| package(name, true))
                .into();
        packages.push(package("larder-tests", false));
        let workspace = Workspace { root: "/w".into(), target: "/w/target".into(), packages };
        let dependencies = vec![Dependency { name: on.into(), dev }];
        package_findings(&workspace, &Package { dependencies, ..package(name, publish) })
    }

    #[test]
    fn arrows_of_the_design_pass() {
        for (name, on, dev) in [
            ("larder-simple", "larder-core", false),
            ("larder-simple", "larder-conformance", true),
            ("larder-conformance", "larder-core", false),
            ("larder-tower", "larder-simple", true),
            ("larder", "larder-tower", false),
            ("larder-core", "bytes", false),
        ] {
            assert_eq!(findings(name, true, on, dev), [""; 0], "{name} on {on}");
        }
        assert_eq!(findings("larder-tests", false, "larder", false), [""; 0]);
    }

    #[test]
    fn other_arrows_are_found() {
        for (name, on, dev) in [
            ("larder-core", "larder-conformance", true),
            ("larder-simple", "larder-null", false),
            ("larder-simple", "larder-conformance", false),
            ("larder-tower", "larder", true),
            ("larder", "larder-conformance", false),
            ("larder-null", "larder-tests", true),
        ] {
            assert_eq!(findings(name, true, on, dev).len(), 1, "{name} on {on}");
        }
        assert_eq!(findings("xtask", false, "larder-core", false).len(), 1);
        assert_eq!(findings("larder-etcd", true, "bytes", false).len(), 1);
    }
}
