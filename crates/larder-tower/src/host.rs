//! The host a request is for, in one spelling.

use std::borrow::Cow;

use http::{HeaderMap, Uri, header};

use crate::{Reason, scheme::Scheme};

const MAX_HOST: usize = 255;

/// The authority of a request: lower case, without the scheme's default port.
///
/// A host that is missing or malformed, or that the URI and the `Host` header tell differently, is no host: whichever of
/// the two the handler reads, it must be the one in the key.
pub(crate) fn authority<'a>(
    uri: &'a Uri,
    headers: &'a HeaderMap,
    scheme: Scheme,
) -> Result<Cow<'a, str>, Reason> {
    let mut lines = headers.get_all(header::HOST).iter();
    let header = match (lines.next(), lines.next()) {
        (None, _) => None,
        (Some(line), None) => Some(normalise(line.to_str().map_err(|_| Reason::Host)?, scheme)?),
        (Some(_), Some(_)) => return Err(Reason::Host),
    };
    let target = uri.authority().map(|authority| normalise(authority.as_str(), scheme)).transpose()?;
    match (target, header) {
        (Some(target), Some(header)) if target != header => Err(Reason::Host),
        (Some(host), _) | (None, Some(host)) => Ok(host),
        (None, None) => Err(Reason::Host),
    }
}

fn normalise(text: &str, scheme: Scheme) -> Result<Cow<'_, str>, Reason> {
    let (host, port) = split(text).filter(|(host, _)| is_host(host)).ok_or(Reason::Host)?;
    let port = match port {
        None => None,
        Some(digits) => {
            let port: u16 = digits.parse().map_err(|_| Reason::Host)?;
            (port != scheme.default_port()).then_some(digits)
        }
    };
    let kept = port.map_or(host, |port| &text[..host.len() + 1 + port.len()]);
    Ok(if kept.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(kept.to_ascii_lowercase())
    } else {
        Cow::Borrowed(kept)
    })
}

/// The host and, after a colon, the port.
fn split(text: &str) -> Option<(&str, Option<&str>)> {
    let end = if text.starts_with('[') { text.find(']')? + 1 } else { text.find(':').unwrap_or(text.len()) };
    let (host, rest) = text.split_at(end);
    match rest.strip_prefix(':') {
        None if rest.is_empty() => Some((host, None)),
        Some(port) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some((host, Some(port)))
        }
        _ => None,
    }
}

/// Names and addresses as they occur; not all that the grammar of URIs would allow.
fn is_host(host: &str) -> bool {
    let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    (1..=MAX_HOST).contains(&host.len())
        && match inner {
            Some(address) => {
                !address.is_empty() && address.bytes().all(|b| b.is_ascii_hexdigit() || b":.".contains(&b))
            }
            None => host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte)),
        }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn host(uri: &str, lines: &[&str]) -> Option<String> {
        let headers = lines.iter().map(|line| (header::HOST, HeaderValue::from_str(line).unwrap())).collect();
        authority(&uri.parse().unwrap(), &headers, Scheme::Https).ok().map(Cow::into_owned)
    }

    #[test]
    fn one_spelling() {
        for (given, kept) in [
            ("Example.ORG", "example.org"),
            ("example.org:443", "example.org"),
            ("example.org:8443", "example.org:8443"),
            ("[::1]:443", "[::1]"),
            ("[2001:DB8::1]:80", "[2001:db8::1]:80"),
            ("localhost", "localhost"),
        ] {
            assert_eq!(host("/", &[given]).as_deref(), Some(kept));
        }
        assert_eq!(host("https://Example.org/", &[]).as_deref(), Some("example.org"));
        assert_eq!(host("https://example.org/", &["EXAMPLE.org:443"]).as_deref(), Some("example.org"));
    }

    #[test]
    fn no_host() {
        assert_eq!(host("/", &[]), None);
        assert_eq!(host("/", &["a.org", "a.org"]), None);
        assert_eq!(host("https://a.org/", &["b.org"]), None);
        for bad in [
            "",
            "a b",
            "a.org:",
            "a.org:x",
            "a.org:99999",
            "a@b",
            "a/b",
            "[::1",
            "[]",
            "[::1]x",
            "a:1:2",
            "%61",
            "a,b",
            ":1",
        ] {
            assert_eq!(host("/", &[bad]), None, "{bad}");
        }
        assert_eq!(host("/", &[&"a".repeat(256)]), None);
    }

    proptest! {
        #[test]
        fn normal_is_a_fixed_point(text in "[a-cA-C0-9.:\\[\\]@-]{0,12}") {
            if let Ok(once) = normalise(&text, Scheme::Http) {
                prop_assert_eq!(normalise(&once, Scheme::Http), Ok(once.clone()));
            }
        }
    }
}
