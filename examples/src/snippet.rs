//! Cutting the most telling passage out of a document.

use std::collections::HashSet;
use std::ops::Range;

use crate::words::words;

const BEFORE: usize = 6;
const LENGTH: usize = 32;

/// A piece of a snippet.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fragment {
    /// Text around the words looked for.
    Text(String),
    /// One of the words looked for, as the document writes it.
    Match(String),
}

/// The passage of `text` that holds the most different words of `terms`, with those words marked.
pub(crate) fn snippet(text: &str, terms: &HashSet<String>) -> Vec<Fragment> {
    let words: Vec<(Range<usize>, Option<String>)> =
        words(text).map(|(range, word)| (range, terms.contains(&word).then_some(word))).collect();
    let window = best_window(&words);
    let (Some((first, _)), Some((last, _))) = (words[window.clone()].first(), words[window.clone()].last())
    else {
        return Vec::new();
    };
    let mut fragments = Vec::new();
    let mut pending = if window.start > 0 { "… ".to_owned() } else { String::new() };
    let mut at = first.start;
    for (range, _) in words[window.clone()].iter().filter(|(_, term)| term.is_some()) {
        pending.push_str(&text[at..range.start]);
        if !pending.is_empty() {
            fragments.push(Fragment::Text(one_line(&pending)));
            pending.clear();
        }
        fragments.push(Fragment::Match(text[range.clone()].to_owned()));
        at = range.end;
    }
    pending.push_str(&text[at..last.end]);
    if window.end < words.len() {
        pending.push_str(" …");
    }
    if !pending.is_empty() {
        fragments.push(Fragment::Text(one_line(&pending)));
    }
    fragments
}

fn best_window(words: &[(Range<usize>, Option<String>)]) -> Range<usize> {
    let window = |at: usize| {
        let start = at.saturating_sub(BEFORE);
        start..words.len().min(start + LENGTH)
    };
    let found = words.iter().enumerate().filter(|(_, (_, term))| term.is_some()).map(|(at, _)| window(at));
    let telling = |range: &Range<usize>| {
        let terms = words[range.clone()].iter().filter_map(|(_, term)| term.as_deref());
        let different: HashSet<_> = terms.clone().collect();
        (different.len(), terms.count(), std::cmp::Reverse(range.start))
    };
    found.max_by_key(telling).unwrap_or_else(|| window(0))
}

/// Runs of white space become one space; those at the ends stay, because a word stands next to them.
fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        if !c.is_whitespace() {
            line.push(c);
        } else if !line.ends_with(' ') {
            line.push(' ');
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::{Fragment, snippet};

    fn terms(words: &[&str]) -> std::collections::HashSet<String> {
        words.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn marks_words_as_written_and_keeps_the_space_around_them() {
        let found = snippet("The Cache\n\n keeps a cache.", &terms(&["cache"]));
        let expected = [
            Fragment::Text("The ".into()),
            Fragment::Match("Cache".into()),
            Fragment::Text(" keeps a ".into()),
            Fragment::Match("cache".into()),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn takes_the_passage_with_the_most_different_words() {
        let filler = "and so on ".repeat(30);
        let text = format!("stale stale stale {filler} a stale entry expires {filler}");
        let found = snippet(&text, &terms(&["stale", "entry", "expires"]));
        let marked: Vec<_> = found.iter().filter(|part| matches!(part, Fragment::Match(_))).collect();
        assert_eq!(marked.len(), 3, "{found:?}");
        assert!(matches!(found.first(), Some(Fragment::Text(text)) if text.starts_with('…')), "{found:?}");
        assert!(matches!(found.last(), Some(Fragment::Text(text)) if text.ends_with('…')), "{found:?}");
    }

    #[test]
    fn a_text_without_the_words_gives_its_start_and_an_empty_one_nothing() {
        assert_eq!(snippet("One two.", &terms(&["x"])), [Fragment::Text("One two".into())]);
        assert_eq!(snippet(" .. ", &terms(&["x"])), []);
    }
}
