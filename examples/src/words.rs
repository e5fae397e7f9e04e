//! What counts as a word, for the index, the query and the snippets alike.

use std::ops::Range;

/// The words of `text`, lower-case, each with where it stands.
pub(crate) fn words(text: &str) -> impl Iterator<Item = (Range<usize>, String)> {
    let mut rest = 0;
    std::iter::from_fn(move || {
        let start = rest + text[rest..].find(char::is_alphanumeric)?;
        let end =
            text[start..].find(|c: char| !c.is_alphanumeric()).map_or(text.len(), |length| start + length);
        rest = end;
        Some((start..end, text[start..end].to_lowercase()))
    })
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn words_are_runs_of_letters_and_digits_in_lower_case() {
        let found: Vec<_> = words("Größe: get_or_load(key), 2×4").map(|(_, word)| word).collect();
        assert_eq!(found, ["größe", "get", "or", "load", "key", "2", "4"]);
        assert_eq!(words("  --  ").count(), 0);
    }

    #[test]
    fn a_range_marks_the_word_as_it_was_written() {
        // Lower-casing "İ" makes it longer, so ranges must be of the original.
        let text = "an İstanbul tale";
        let (range, _) = words(text).nth(1).unwrap();
        assert_eq!(&text[range], "İstanbul");
    }
}
