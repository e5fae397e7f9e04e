//! Which test binary belongs to which package: cargo names it only by a path such as `tests/it/main.rs`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Result, bail};
use serde_json::Value;

use crate::run::{cargo, output, shown};
use crate::workspace::Workspace;

/// A test binary that was built.
#[derive(Debug, PartialEq)]
pub(crate) struct Binary {
    pub(crate) package: String,
    pub(crate) target: String,
    pub(crate) executable: PathBuf,
}

/// Builds what `cargo` with these arguments would test, without running it; with `--cfg` where one is named.
pub(crate) fn build(workspace: &Workspace, args: &[&str], cfg: Option<&str>) -> Result<Vec<Binary>> {
    let ours = args.split(|word| *word == "--").next().unwrap_or_default();
    if ours.contains(&"--doc") {
        // Documentation tests have no binary, and cargo refuses to only build them.
        return Ok(Vec::new());
    }
    let mut command = cargo(&workspace.root, ours);
    command.args(["--no-run", "--message-format", "json-render-diagnostics"]);
    if let Some(cfg) = cfg {
        let flags = std::env::var("RUSTFLAGS").unwrap_or_default();
        command.env("RUSTFLAGS", format!("{flags} --cfg {cfg}"));
    }
    println!("$ {}", shown(&command));
    let output = output(&mut command)?;
    if !output.status.success() {
        bail!("the tests do not compile");
    }
    let lines = String::from_utf8_lossy(&output.stdout);
    Ok(lines.lines().filter_map(|line| parse(workspace, line)).collect())
}

/// The names to show, by the file name of the executable.
pub(super) fn names(binaries: &[Binary]) -> BTreeMap<String, String> {
    let stem =
        |binary: &Binary| binary.executable.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    binaries.iter().map(|b| (stem(b), format!("{} {}", b.package, b.target))).collect()
}

fn parse(workspace: &Workspace, line: &str) -> Option<Binary> {
    let json: Value = serde_json::from_str(line).ok()?;
    let executable = json["executable"].as_str().filter(|_| json["profile"]["test"] == true)?;
    let package = workspace.packages.iter().find(|package| json["package_id"] == package.id.as_str())?;
    let target = match (json["target"]["kind"][0].as_str()?, json["target"]["name"].as_str()?) {
        ("test", name) => name.to_owned(),
        ("bin" | "example" | "bench", name) => format!("{} {name}", json["target"]["kind"][0].as_str()?),
        _ => "unit".to_owned(),
    };
    Some(Binary { package: package.name.clone(), target, executable: executable.into() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Package;

    #[test]
    fn artifacts_of_tests_are_found() {
        let package = Package { id: "path+x#0.1.0".into(), name: "larder-core".into(), ..Package::default() };
        let workspace = Workspace { root: "/w".into(), target: "/w/target".into(), packages: vec![package] };
        let line = r#"{"reason": "compiler-artifact", "package_id": "path+x#0.1.0", "profile": {"test": true},
            "target": {"kind": ["test"], "name": "it"}, "executable": "/w/target/debug/deps/it-0123"}"#;
        let binary = parse(&workspace, line).unwrap();
        assert_eq!((binary.package.as_str(), binary.target.as_str()), ("larder-core", "it"));
        assert_eq!(names(&[binary])["it-0123"], "larder-core it");
        assert_eq!(parse(&workspace, &line.replace("true", "false")), None);
        assert_eq!(parse(&workspace, &line.replace("path+x", "path+y")), None);
        assert_eq!(parse(&workspace, "no JSON"), None);
    }
}
