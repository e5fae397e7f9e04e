//! What the README and the facade say is what there is.

use std::{collections::BTreeSet, fs, path::Path};

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn the_readme_shows_the_code_of_the_quickstart() {
    let (readme, quickstart) = (read("README.md"), read("../../examples/quickstart.rs"));
    let shown = readme
        .split_once("<!-- from examples/quickstart.rs -->")
        .and_then(|(_, rest)| rest.split_once("<!-- end -->"))
        .map(|(shown, _)| shown.trim().trim_start_matches("```rs").trim_end_matches("```").trim())
        .expect("the README marks the code");
    assert!(shown.lines().count() > 20);
    // Parts of it, each as it stands there.
    for part in shown.split("// ..\n") {
        assert!(quickstart.contains(part.trim()), "not in quickstart.rs:\n{part}");
    }
}

#[test]
fn everything_public_in_the_core_is_in_the_facade() {
    let names = |text: &str| -> BTreeSet<String> {
        let exports =
            text.split("pub use ").skip(1).filter_map(|rest| rest.split_once(';')).map(|(names, _)| names);
        let words = exports.flat_map(|names| names.split(|c: char| !(c.is_alphanumeric() || c == '_')));
        words.filter(|word| word.starts_with(char::is_uppercase)).map(str::to_owned).collect()
    };
    let core = names(&read("../larder-core/src/lib.rs"));
    let facade = names(&read("src/lib.rs"));
    // Only for tests of the core itself.
    let missing: Vec<_> = core.difference(&facade).filter(|name| *name != "Faults").collect();
    assert!(missing.is_empty(), "{missing:?}");
}
