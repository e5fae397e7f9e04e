//! "Did you mean": the nearest of the words that would have been right.

/// ` (did you mean ..?)`, or nothing where no candidate is near.
pub(crate) fn near<'a>(given: &str, candidates: impl Iterator<Item = &'a str>) -> String {
    let nearest = candidates.map(|candidate| (distance(given, candidate), candidate)).min();
    match nearest {
        Some((distance, candidate)) if distance <= 2 && distance < candidate.len() / 2 => {
            format!(" (did you mean `{candidate}`?)")
        }
        _ => String::new(),
    }
}

/// How many letters must be put in, taken out or changed.
fn distance(a: &str, b: &str) -> usize {
    // Names are short; what is far longer is far away, and costs nothing to tell.
    if a.len().abs_diff(b.len()) > 2 {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, to) in b.bytes().enumerate() {
            let changed = diagonal + usize::from(from != to);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (a, b, expected) in
            [("", "", 0), ("a", "", 1), ("max_entires", "max_entries", 2), ("kitten", "mitten", 1)]
        {
            assert_eq!(distance(a, b), expected, "{a} {b}");
            assert_eq!(distance(b, a), expected, "{b} {a}");
        }
        assert_eq!(distance("a", "aaaa"), usize::MAX);
    }

    #[test]
    fn only_near_words_are_suggested() {
        let words = || ["max_bytes", "max_entries", "tls"].into_iter();
        assert_eq!(near("max_entires", words()), " (did you mean `max_entries`?)");
        assert_eq!(near("size", words()), "");
        assert_eq!(near("tl", words()), "", "too short to tell");
    }
}
