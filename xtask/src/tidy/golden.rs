//! Golden encodings never change in place: what one version wrote, every later one must read. A file that no release
//! holds yet may be removed, and a new one added under another name; a released one stays.

use anyhow::Result;

use crate::run::{program, read};
use crate::workspace::Workspace;

const GOLDEN: &str = ":(glob)crates/*/tests/golden/**";

pub(super) fn check(workspace: &Workspace) -> Result<Vec<String>> {
    let git = |args: &[&str]| read(program(&workspace.root, "git", args).args(["--", GOLDEN]));
    if read(&mut program(&workspace.root, "git", &["rev-parse", "--verify", "--quiet", "HEAD"])).is_err() {
        println!("note: no commit yet, so no golden file to compare with");
        return Ok(Vec::new());
    }
    // All that ever happened to the files, and what happens in the work tree; not only the last step, because a fresh
    // clone has no other.
    let log = git(&["log", "--no-renames", "--diff-filter=M", "--name-only", "--format="])?;
    let now = git(&["diff", "--no-renames", "--diff-filter=M", "--name-only", "HEAD"])?;
    let tags = read(&mut program(&workspace.root, "git", &["tag", "--list", "v*", "--merged", "HEAD"]))?;
    let mut removed = String::new();
    for tag in tags.lines() {
        removed += &git(&["diff", "--no-renames", "--diff-filter=D", "--name-only", tag])?;
    }
    Ok(findings(&(log + &now), &removed, |file| workspace.root.join(file).exists()))
}

fn findings(changed: &str, removed: &str, exists: impl Fn(&str) -> bool) -> Vec<String> {
    let files =
        |text: &str| text.lines().map(str::to_owned).filter(|file| !file.is_empty()).collect::<Vec<_>>();
    let mut findings: Vec<_> = files(changed)
        .into_iter()
        .filter(|file| exists(file))
        .map(|file| format!("{file} was changed; add a new file and keep the old one as it was"))
        .chain(files(removed).into_iter().map(|file| format!("{file} is in a release and must stay")))
        .collect();
    findings.sort();
    findings.dedup();
    findings
}

#[cfg(test)]
mod tests {
    use super::{GOLDEN, findings, program, read};

    #[test]
    fn changed_and_removed_files_are_found() {
        let found = findings("a/1\n\na/1\na/gone\n", "b/2\n", |file| file != "a/gone");
        assert_eq!(found.len(), 2);
        assert!(found[0].starts_with("a/1 was changed") && found[1].starts_with("b/2 is in a release"));
        assert!(findings("", "", |_| true).is_empty());
    }

    #[test]
    fn git_sees_a_changed_golden_file() {
        let dir = tempfile::tempdir().unwrap();
        let git = |args: &[&str]| {
            let author = ["-c", "user.name=t", "-c", "user.email=t@t", "-c", "commit.gpgsign=false"];
            read(program(dir.path(), "git", &author).args(args)).unwrap()
        };
        let golden = dir.path().join("crates/a/tests/golden/v1");
        std::fs::create_dir_all(&golden).unwrap();
        git(&["init", "--quiet"]);
        for content in ["one", "two"] {
            std::fs::write(golden.join("entry.bin"), content).unwrap();
            std::fs::write(dir.path().join("crates/a/other"), content).unwrap();
            git(&["add", "."]);
            git(&["commit", "--quiet", "-m", content]);
        }
        let workspace =
            super::Workspace { root: dir.path().into(), target: dir.path().into(), packages: Vec::new() };
        let file = "crates/a/tests/golden/v1/entry.bin";
        let log = git(&["log", "--no-renames", "--diff-filter=M", "--name-only", "--format=", "--", GOLDEN]);
        assert_eq!(log.trim(), file);
        assert_eq!(super::check(&workspace).unwrap().len(), 1);
        // Removed and not released: fine. Released: not.
        git(&["rm", "--quiet", file]);
        assert!(super::check(&workspace).unwrap().is_empty());
        git(&["tag", "v0.1.0"]);
        assert_eq!(super::check(&workspace).unwrap(), [format!("{file} is in a release and must stay")]);
    }
}
