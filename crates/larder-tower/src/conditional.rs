//! Conditional requests, answered from a stored response.

use http::{HeaderMap, HeaderValue, header};

/// Whether the client already holds what is stored: `If-None-Match`, else `If-Modified-Since`.
pub(crate) fn is_not_modified(request: &HeaderMap, stored: &HeaderMap) -> bool {
    if request.contains_key(header::IF_NONE_MATCH) {
        let Some(stored) = stored.get(header::ETAG).and_then(|tag| opaque(tag.as_bytes())) else {
            return false;
        };
        return request.get_all(header::IF_NONE_MATCH).iter().any(|line| lists(line.as_bytes(), stored));
    }
    match (
        request.get(header::IF_MODIFIED_SINCE).and_then(date),
        stored.get(header::LAST_MODIFIED).and_then(date),
    ) {
        (Some(since), Some(modified)) => modified <= since,
        _ => false,
    }
}

/// Leaves what a 304 may say: what describes the body stays with the body.
pub(crate) fn strip_for_not_modified(headers: &mut HeaderMap) {
    for name in [
        header::CONTENT_TYPE,
        header::CONTENT_LENGTH,
        header::CONTENT_ENCODING,
        header::CONTENT_LANGUAGE,
        header::CONTENT_DISPOSITION,
        header::LAST_MODIFIED,
    ] {
        headers.remove(name);
    }
}

fn date(value: &HeaderValue) -> Option<std::time::SystemTime> {
    httpdate::parse_http_date(value.to_str().ok()?).ok()
}

/// The part between the quotes of an entity tag, strong or weak: the comparison asked for here is the weak one.
fn opaque(tag: &[u8]) -> Option<&[u8]> {
    let tag = tag.trim_ascii();
    tag.strip_prefix(b"W/").unwrap_or(tag).strip_prefix(b"\"")?.strip_suffix(b"\"")
}

/// Whether a list of entity tags holds one. A tag may hold commas, and there is no escape in it.
fn lists(line: &[u8], wanted: &[u8]) -> bool {
    let mut rest = line.trim_ascii();
    if rest == b"*" {
        return true;
    }
    loop {
        let tag = rest.strip_prefix(b"W/").unwrap_or(rest);
        let Some(tag) = tag.strip_prefix(b"\"") else { return false };
        let Some(end) = tag.iter().position(|byte| *byte == b'"') else { return false };
        if &tag[..end] == wanted {
            return true;
        }
        let Some(after) = tag[end + 1..].trim_ascii_start().strip_prefix(b",") else { return false };
        rest = after.trim_ascii_start();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(request: &[(&str, &str)], stored: &[(&str, &str)]) -> bool {
        let map = |lines: &[(&str, &str)]| {
            let lines = lines.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
            lines.collect::<HeaderMap>()
        };
        is_not_modified(&map(request), &map(stored))
    }

    #[test]
    fn entity_tags_compare_weakly() {
        let tagged = [("etag", "\"a,b\"")];
        for matching in ["\"a,b\"", "W/\"a,b\"", "\"x\", W/\"a,b\"", "*", " \"x\" ,\"a,b\" "] {
            assert!(check(&[("if-none-match", matching)], &tagged), "{matching}");
        }
        for other in ["\"a\"", "a,b", "\"a,b", "\"x\" \"a,b\"", "", "\"A,B\"", "\"*\""] {
            assert!(!check(&[("if-none-match", other)], &tagged), "{other}");
        }
        assert!(!check(&[("if-none-match", "*")], &[]));
        assert!(check(&[("if-none-match", "\"x\""), ("if-none-match", "\"w\"")], &[("etag", "W/\"w\"")]));
    }

    #[test]
    fn dates_count_only_without_tags() {
        let (early, late) = ("Sun, 06 Nov 1994 08:49:37 GMT", "Mon, 07 Nov 1994 08:49:37 GMT");
        let stored = [("last-modified", early), ("etag", "\"a\"")];
        assert!(check(&[("if-modified-since", early)], &stored));
        assert!(check(&[("if-modified-since", late)], &stored));
        assert!(!check(&[("if-modified-since", early)], &[("last-modified", late)]));
        assert!(!check(&[("if-modified-since", late), ("if-none-match", "\"b\"")], &stored));
        assert!(!check(&[("if-modified-since", "yesterday")], &stored));
    }

    proptest! {
        #[test]
        fn any_list_can_be_read(line in "[\" ,W/a*]{0,20}") {
            check(&[("if-none-match", &line)], &[("etag", "\"a\"")]);
        }
    }
}
