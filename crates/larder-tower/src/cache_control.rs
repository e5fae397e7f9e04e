//! The `Cache-Control` of a response, as far as application mode asks for it.

use http::{HeaderMap, header};

/// The directives that forbid keeping a response. `private="Set-Cookie"` forbids keeping one field only; keeping nothing
/// obeys it too.
const FORBIDDING: [&[u8]; 3] = [b"private", b"no-store", b"no-cache"];

/// Whether a response may not be kept. What cannot be read may have said anything, and forbids it.
pub(crate) fn forbids_keeping(headers: &HeaderMap) -> bool {
    headers.get_all(header::CACHE_CONTROL).iter().any(|line| {
        let mut rest = line.as_bytes();
        while let Some((directive, after)) = next(rest) {
            let Some(directive) = directive else { return true };
            let name = directive.split(|byte| *byte == b'=').next().unwrap_or_default().trim_ascii();
            if FORBIDDING.iter().any(|forbidding| name.eq_ignore_ascii_case(forbidding)) {
                return true;
            }
            rest = after;
        }
        false
    })
}

/// The next element of a list separated by commas, which do not separate inside quotes; `Some(None)` where a quote never
/// ends.
fn next(line: &[u8]) -> Option<(Option<&[u8]>, &[u8])> {
    if line.is_empty() {
        return None;
    }
    let (mut quoted, mut escaped) = (false, false);
    for (at, byte) in line.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b',' if !quoted => return Some((Some(&line[..at]), &line[at + 1..])),
            _ => {}
        }
    }
    Some(((!quoted).then_some(line), &[]))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn forbids(lines: &[&str]) -> bool {
        let lines = lines.iter().map(|line| (header::CACHE_CONTROL, HeaderValue::from_str(line).unwrap()));
        forbids_keeping(&lines.collect())
    }

    #[test]
    fn case_whitespace_and_lines_do_not_matter() {
        assert!(forbids(&["Private"]));
        assert!(forbids(&["max-age=60 ,NO-STORE"]));
        assert!(forbids(&["public", "no-cache"]));
        assert!(forbids(&["private=\"set-cookie, authorization\""]));
        assert!(forbids(&["no-cache = \"x\""]));
    }

    #[test]
    fn quoted_text_is_not_a_directive() {
        assert!(!forbids(&["ext=\"a, no-store, b\", max-age=60"]));
        assert!(!forbids(&[r#"ext="a\", private""#]));
        assert!(forbids(&[r#"ext="a\\", private"#]));
        assert!(!forbids(&["max-age=60, public", "", ",,", "not-private, no-storex"]));
    }

    #[test]
    fn a_quote_without_end_forbids() {
        assert!(forbids(&["ext=\"a, max-age=60"]));
    }

    proptest! {
        #[test]
        fn any_value_can_be_read_and_a_directive_before_it_is_seen(line in "[ -~]{0,40}") {
            let line = format!("no-store,{line}");
            prop_assert!(forbids(&[&line]));
        }
    }
}
