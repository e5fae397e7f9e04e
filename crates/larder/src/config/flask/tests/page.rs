//! The page about migration lists exactly the names there are, and says of each what the code does.

use super::super::names::{Fate, NAMES, Name};

const PAGE: &str = include_str!("../../../../docs/migrating-from-flask-caching.md");

#[test]
fn the_page_lists_exactly_the_names_there_are() {
    let table = PAGE
        .split_once("<!-- names -->\n")
        .and_then(|(_, rest)| rest.split_once("<!-- end -->"))
        .expect("the page marks the table")
        .0
        .trim();
    let mut expected = vec!["| Flask-Caching | here | by |".to_owned(), "|---|---|---|".to_owned()];
    expected.extend(NAMES.iter().map(|Name { name, fate }| {
        let (here, by) = match fate {
            Fate::Honoured(by) => ("honoured", by),
            Fate::FalseOnly(by) => ("`False` only", by),
            Fate::Refused(by) => ("refused", by),
        };
        format!("| `{name}` | {here} | {by} |")
    }));
    let expected = expected.join("\n");
    assert_eq!(table, expected, "write:\n\n{expected}\n");
}

#[test]
fn each_name_is_there_once_and_in_order() {
    assert!(NAMES.is_sorted_by(|a, b| a.name < b.name));
}
