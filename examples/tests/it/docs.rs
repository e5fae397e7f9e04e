use std::io;
use std::path::Path;

use larder_examples::docs::Docs;

use crate::fixture::directory;

#[test]
fn finds_markdown_and_leaves_out_the_hidden_and_the_built() {
    let root = directory(
        "docs_finds",
        &[
            ("README.md", "# Top"),
            ("crates/a/README.md", "no heading here"),
            ("crates/a/src/lib.rs", "# Not Markdown"),
            (".git/notes.md", "# Hidden"),
            (".secret.md", "# Hidden"),
            ("target/doc/x.md", "# Built"),
        ],
    );
    let found: Vec<_> =
        Docs::open(&root).unwrap().all().unwrap().into_iter().map(|d| (d.path, d.title)).collect();
    let expected = [("README.md", "Top"), ("crates/a/README.md", "crates/a/README.md")];
    assert_eq!(found, expected.map(|(path, title)| (path.to_owned(), title.to_owned())));
}

#[test]
fn no_path_leads_outside_or_to_what_is_left_out() {
    let root = directory(
        "docs_outside/root",
        &[
            ("in.md", "inside"),
            ("sub/in.md", "inside"),
            (".git/x.md", "hidden"),
            ("target/x.md", "built"),
            ("x.rs", ""),
        ],
    );
    std::fs::write(root.join("../out.md"), "outside").unwrap();
    let docs = Docs::open(&root).unwrap();
    let absolute = root.join("in.md");
    for path in [
        "../out.md",
        "sub/../../out.md",
        "sub/../in.md",
        "/etc/hostname.md",
        absolute.to_str().unwrap(),
        "..\\out.md",
        "C:in.md",
        "in.md\0",
        "in.md\0.md",
        ".git/x.md",
        "target/x.md",
        "x.rs",
        "sub",
        "",
        ".",
        "..",
        ".md",
        "missing.md",
        "in.md/x.md",
    ] {
        assert_eq!(docs.read(path).unwrap(), None, "{path:?}");
    }
    assert_eq!(docs.read("sub/in.md").unwrap().unwrap().source, "inside");
}

#[cfg(unix)]
#[test]
fn a_link_is_not_listed_and_followed_only_to_a_document_inside() {
    use std::os::unix::fs::symlink;
    let root =
        directory("docs_links/root", &[("README.md", "# Top"), ("crates/a/x", ""), (".git/x.md", "hidden")]);
    std::fs::write(root.join("../out.md"), "outside").unwrap();
    symlink("../../README.md", root.join("crates/a/README.md")).unwrap();
    symlink("../out.md", root.join("out.md")).unwrap();
    symlink(".git/x.md", root.join("hidden.md")).unwrap();
    symlink(".", root.join("loop")).unwrap();
    symlink("missing", root.join("dangling.md")).unwrap();
    let docs = Docs::open(&root).unwrap();
    let found: Vec<_> = docs.all().unwrap().into_iter().map(|d| d.path).collect();
    assert_eq!(found, ["README.md"]);
    assert_eq!(docs.read("crates/a/README.md").unwrap().unwrap().title, "Top");
    for path in ["out.md", "hidden.md", "dangling.md", "loop/../../out.md"] {
        assert_eq!(docs.read(path).unwrap(), None, "{path}");
    }
}

#[test]
fn bytes_that_are_not_text_are_replaced_and_a_missing_root_is_an_error() {
    let root = directory("docs_bytes", &[]);
    std::fs::write(root.join("odd.md"), b"# Odd \xff\xfe").unwrap();
    assert_eq!(Docs::open(&root).unwrap().read("odd.md").unwrap().unwrap().title, "Odd \u{fffd}\u{fffd}");
    let error = Docs::open(Path::new("/nonexistent/larder")).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
    assert!(Docs::open(&root.join("odd.md")).is_err());
}
