//! What the cookies of a request mean to the cache.

use http::{HeaderMap, HeaderValue, header};

use crate::Names;

/// What the cookies of a request mean to the cache.
///
/// Cookies that are not part of the key are hidden from the handler while it fills an entry, so they cannot get into it.
/// A session middleware therefore belongs outside the layer, or its routes do not belong into the cache.
///
/// ```
/// use larder_tower::Cookies;
/// let by_theme = Cookies::Only(["theme"].into());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cookies {
    /// A request with a cookie goes past the cache, unless all its cookies are analytics' own: the default.
    #[default]
    Bypass,
    /// Cookies do not matter: every request is looked up, and the handler that fills an entry sees none.
    Ignore,
    /// These cookies are part of the key; the handler that fills an entry sees them, sorted by name, and no other.
    Only(Names),
}

/// Cookies that analytics scripts set for themselves, which no server-side page depends on.
pub(crate) const ANALYTICS: [&str; 14] = [
    "_ga*", "_gid", "_gat*", "_gcl_*", "__utm*", "_fbp", "_fbc", "_hj*", "_pk_*", "_clck", "_clsk", "ajs_*",
    "mp_*", "_uet*",
];

/// The cookies of a request that the key holds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Selected {
    /// A cookie that may make the response personal.
    Personal,
    /// None: whatever there is does not count.
    None,
    /// These, as a `Cookie` header.
    Some(Vec<u8>),
}

impl Cookies {
    pub(crate) fn select(&self, analytics: &Names, headers: &HeaderMap) -> Selected {
        let mut cookies = headers.get_all(header::COOKIE).iter().flat_map(crumbs);
        match self {
            Self::Bypass => {
                let personal = cookies.any(|cookie| !analytics.contains_bytes(name(cookie)));
                if personal { Selected::Personal } else { Selected::None }
            }
            Self::Ignore => Selected::None,
            Self::Only(names) => {
                let mut kept: Vec<&[u8]> =
                    cookies.filter(|cookie| names.contains_bytes(name(cookie))).collect();
                if kept.is_empty() {
                    return Selected::None;
                }
                kept.sort_by_key(|cookie| name(cookie));
                Selected::Some(kept.join(&b"; "[..]))
            }
        }
    }

    /// Leaves only the cookies that the key holds.
    pub(crate) fn hide(&self, analytics: &Names, headers: &mut HeaderMap) {
        if !headers.contains_key(header::COOKIE) {
            return;
        }
        let selected = self.select(analytics, headers);
        headers.remove(header::COOKIE);
        if let Selected::Some(cookies) = selected {
            let value = HeaderValue::from_bytes(&cookies).expect("made of parts of header values");
            headers.insert(header::COOKIE, value);
        }
    }
}

fn crumbs(header: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    header.as_bytes().split(|byte| *byte == b';').map(<[u8]>::trim_ascii).filter(|cookie| !cookie.is_empty())
}

fn name(cookie: &[u8]) -> &[u8] {
    // A cookie without a name is one that cannot be told from another: it counts as personal.
    let end = cookie.iter().position(|byte| *byte == b'=').unwrap_or(0);
    cookie[..end].trim_ascii()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn headers(lines: &[&str]) -> HeaderMap {
        lines.iter().map(|line| (header::COOKIE, HeaderValue::from_str(line).unwrap())).collect()
    }

    fn select(rule: &Cookies, lines: &[&str]) -> Selected {
        rule.select(&ANALYTICS.into(), &headers(lines))
    }

    #[test]
    fn analytics_do_not_count_and_all_else_does() {
        let rule = Cookies::Bypass;
        assert_eq!(select(&rule, &[]), Selected::None);
        assert_eq!(select(&rule, &["_ga=1; _ga_X=2", "__utmz=3;"]), Selected::None);
        for personal in ["session=1", "_ga=1; session=1", "_ga", "=_ga", "_GA=1", "; a"] {
            assert_eq!(select(&rule, &[personal]), Selected::Personal, "{personal}");
        }
        assert_eq!(select(&rule, &["_ga=1", "session=1"]), Selected::Personal);
    }

    #[test]
    fn only_keeps_its_own_sorted() {
        let rule = Cookies::Only(["b", "a"].into());
        assert_eq!(select(&rule, &["b=1; c=2; a=3", "a=0"]), Selected::Some(b"a=3; a=0; b=1".to_vec()));
        assert_eq!(select(&rule, &["c=2"]), Selected::None);
        let mut seen = headers(&["b=1; c=2", "a=3"]);
        rule.hide(&Names::default(), &mut seen);
        assert_eq!(seen[header::COOKIE], "a=3; b=1");
    }

    #[test]
    fn what_is_not_in_the_key_is_hidden() {
        for rule in [Cookies::Bypass, Cookies::Ignore] {
            let mut seen = headers(&["_ga=1"]);
            rule.hide(&ANALYTICS.into(), &mut seen);
            assert!(seen.is_empty());
        }
    }

    proptest! {
        #[test]
        fn any_header_can_be_read(line in proptest::collection::vec(0x20_u8..=0xff, 0..60)) {
            prop_assume!(!line.contains(&0x7f));
            let mut headers = HeaderMap::new();
            headers.insert(header::COOKIE, HeaderValue::from_bytes(&line).unwrap());
            let rule = Cookies::Only(["a*"].into());
            rule.hide(&Names::default(), &mut headers);
            let once = headers.clone();
            rule.hide(&Names::default(), &mut headers);
            prop_assert_eq!(once, headers);
        }
    }
}
