//! What `cargo metadata` says of this workspace.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::run::{cargo, read};

#[derive(Debug)]
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    pub(crate) target: PathBuf,
    pub(crate) packages: Vec<Package>,
}

#[derive(Debug, Default)]
pub(crate) struct Package {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) dir: PathBuf,
    pub(crate) publish: bool,
    pub(crate) needs_servers: bool,
    pub(crate) features: BTreeMap<String, Vec<String>>,
    pub(crate) dependencies: Vec<Dependency>,
}

#[derive(Debug)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) dev: bool,
}

impl Workspace {
    pub(crate) fn load() -> Result<Self> {
        let here = std::env::current_dir().context("no current directory")?;
        let text = read(&mut cargo(&here, &["metadata", "--no-deps", "--format-version", "1"]))?;
        Self::parse(&text)
    }

    fn parse(text: &str) -> Result<Self> {
        let json: Value = serde_json::from_str(text).context("cargo metadata printed no JSON")?;
        let packages = list(&json, "packages").map(Package::parse).collect::<Result<_>>()?;
        Ok(Self {
            root: string(&json, "workspace_root")?.into(),
            target: string(&json, "target_directory")?.into(),
            packages,
        })
    }

    pub(crate) fn publishable(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| package.publish)
    }

    pub(crate) fn is_member(&self, name: &str) -> bool {
        self.packages.iter().any(|package| package.name == name)
    }

    /// Every file git knows or would add, relative to the root.
    pub(crate) fn files(&self) -> Result<Vec<String>> {
        let args = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
        let text = read(&mut crate::run::program(&self.root, "git", &args))?;
        let files: BTreeSet<&str> = text.split_terminator('\0').collect();
        Ok(files.into_iter().filter(|file| self.root.join(file).is_file()).map(str::to_owned).collect())
    }

    pub(crate) fn read(&self, file: impl AsRef<Path>) -> Result<String> {
        let path = self.root.join(file);
        std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    }
}

impl Package {
    fn parse(json: &Value) -> Result<Self> {
        let manifest = PathBuf::from(string(json, "manifest_path")?);
        let features = json["features"].as_object().into_iter().flatten();
        let strings = |value: &Value| {
            value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
        };
        Ok(Self {
            id: string(json, "id")?,
            name: string(json, "name")?,
            dir: manifest.parent().context("a manifest without a directory")?.to_owned(),
            // `publish = false` is an empty list of registries; `null` is any registry.
            publish: json["publish"].as_array().is_none_or(|registries| !registries.is_empty()),
            needs_servers: json["metadata"]["larder"]["needs-servers"] == Value::Bool(true),
            features: features.map(|(name, values)| (name.clone(), strings(values))).collect(),
            dependencies: list(json, "dependencies")
                .map(|d| Ok(Dependency { name: string(d, "name")?, dev: d["kind"] == "dev" }))
                .collect::<Result<_>>()?,
        })
    }
}

fn list<'a>(json: &'a Value, field: &str) -> impl Iterator<Item = &'a Value> {
    json[field].as_array().into_iter().flatten()
}

fn string(json: &Value, field: &str) -> Result<String> {
    json[field].as_str().map(str::to_owned).with_context(|| format!("cargo metadata without `{field}`"))
}

#[cfg(test)]
mod tests {
    use super::Workspace;

    #[test]
    fn metadata_is_read() {
        let text = r#"{"workspace_root": "/w", "target_directory": "/w/target", "packages": [
            {"id": "i", "name": "a", "version": "0.1.0", "manifest_path": "/w/crates/a/Cargo.toml", "publish": null,
             "features": {"default": ["json"], "json": []}, "metadata": {"larder": {"needs-servers": true}},
             "dependencies": [{"name": "b", "kind": null}, {"name": "c", "kind": "dev"}]},
            {"id": "j", "name": "b", "version": "0.1.0", "manifest_path": "/w/b/Cargo.toml", "publish": [],
             "features": {}, "metadata": null, "dependencies": []}]}"#;
        let workspace = Workspace::parse(text).unwrap();
        let names: Vec<_> = workspace.publishable().map(|package| package.name.as_str()).collect();
        assert_eq!(names, ["a"]);
        let [a, b] = &workspace.packages[..] else { panic!("two packages") };
        assert!(a.needs_servers && !b.needs_servers);
        assert_eq!(a.features["default"], ["json"]);
        assert_eq!(a.dir.to_str(), Some("/w/crates/a"));
        assert!(!a.dependencies[0].dev && a.dependencies[1].dev);
        assert!(Workspace::parse("{}").is_err());
    }
}
