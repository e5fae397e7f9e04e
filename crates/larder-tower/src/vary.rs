//! Whether a response varies only by what its key holds.

use http::{HeaderMap, header};

use crate::hop::is_hop_by_hop;

/// Whether every header that `Vary` names is one that `is_keyed`. `*` never is.
pub(crate) fn is_covered(headers: &HeaderMap, is_keyed: impl Fn(&str) -> bool) -> bool {
    headers.get_all(header::VARY).iter().all(|line| {
        line.to_str().is_ok_and(|line| {
            line.split(',').map(str::trim).filter(|name| !name.is_empty()).all(|name| {
                // Headers about the connection do not reach the handler's answer.
                is_hop_by_hop(name) || is_keyed(name)
            })
        })
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn covered(lines: &[&[u8]]) -> bool {
        let headers =
            lines.iter().map(|line| (header::VARY, HeaderValue::from_bytes(line).unwrap())).collect();
        is_covered(&headers, |name| name.eq_ignore_ascii_case("accept-language"))
    }

    #[test]
    fn every_name_on_every_line_counts() {
        assert!(covered(&[]));
        assert!(covered(&[b"Accept-Language, ,Connection"]));
        assert!(!covered(&[b"Accept-Language", b"Cookie"]));
        assert!(!covered(&[b"*"]));
        assert!(!covered(&[b"Accept-Language, *"]));
        assert!(!covered(&[b"\xff"]));
    }
}
