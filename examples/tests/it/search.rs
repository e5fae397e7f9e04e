use larder_examples::docs::Docs;
use larder_examples::search::{Fragment, Index};

use crate::fixture::directory;

fn index(test: &str, files: &[(&str, &str)]) -> Index {
    Index::build(Docs::open(&directory(test, files)).unwrap().all().unwrap())
}

fn paths(index: &Index, query: &str) -> Vec<String> {
    index.search(query, 10).into_iter().map(|found| found.path).collect()
}

#[test]
fn rare_words_count_for_more_than_common_ones() {
    let index = index(
        "search_rare",
        &[
            ("a.md", "cache cache cache cache"),
            ("b.md", "cache and one stampede"),
            ("c.md", "cache again"),
            ("d.md", "nothing of it"),
        ],
    );
    let found = paths(&index, "cache stampede");
    assert_eq!(found[0], "b.md");
    assert_eq!(found.len(), 3, "{found:?}");
}

#[test]
fn more_occurrences_and_shorter_documents_rank_higher() {
    let long = format!("lease {}", "filler ".repeat(200));
    let index = index(
        "search_length",
        &[("long.md", &long), ("often.md", "lease lease x"), ("once.md", "lease x y")],
    );
    assert_eq!(paths(&index, "lease"), ["often.md", "once.md", "long.md"]);
}

#[test]
fn the_title_counts_more_than_the_text() {
    let index = index(
        "search_title",
        &[("a.md", "# Other\n\nstamps here stamps"), ("b.md", "# Stamps\n\nother here other")],
    );
    assert_eq!(paths(&index, "stamps"), ["b.md", "a.md"]);
}

#[test]
fn a_query_is_words_in_any_case_and_nothing_else() {
    let index = index("search_query", &[("a.md", "`get_or_load` is ÉTÉ"), ("b.md", "something")]);
    for query in ["GET_OR_LOAD", "été", "load!!", "\"load\" (or)"] {
        assert_eq!(paths(&index, query), ["a.md"], "{query}");
    }
    for query in ["", "  ", "--", "absent"] {
        assert_eq!(paths(&index, query), [""; 0], "{query}");
    }
}

#[test]
fn results_are_bounded_and_equal_scores_keep_the_order_of_paths() {
    let index =
        index("search_ties", &[("c.md", "same words"), ("a.md", "same words"), ("b.md", "same words")]);
    assert_eq!(paths(&index, "same"), ["a.md", "b.md", "c.md"]);
    assert_eq!(index.search("same", 2).len(), 2);
    assert_eq!(Index::build(Vec::new()).search("same", 2), []);
}

#[test]
fn a_snippet_marks_the_words_looked_for() {
    let index = index("search_snippet", &[("a.md", "# T\n\nA *stale* entry.")]);
    let found = index.search("STALE", 1).remove(0);
    assert!(found.score > 0.0);
    assert_eq!(
        found.snippet,
        [Fragment::Text("T A ".into()), Fragment::Match("stale".into()), Fragment::Text(" entry".into())]
    );
}
