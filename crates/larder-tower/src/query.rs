//! What of the query string makes a response another one.

use std::borrow::Cow;

use crate::{Names, Reason};

/// What of the query string is part of the key.
///
/// Whatever it is, the handler that fills an entry sees exactly that query: what does not select the entry cannot get
/// into it either. Names are compared as they stand in the URI, without decoding; parameters are separated by `&` only.
///
/// ```
/// use larder_tower::Query;
/// let pages = Query::Only(["page", "per_page"].into());
/// let without_ads = Query::Except(["utm_*", "gclid", "fbclid"].into());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Query {
    /// All of it, byte for byte: the default.
    #[default]
    Exact,
    /// All of it, sorted by name; parameters of one name keep their order.
    Sorted,
    /// Only these parameters.
    Only(Names),
    /// All but these parameters.
    Except(Names),
    /// Nothing of it.
    Ignore,
}

/// More parameters than this are not cached: only an attack or a form gone astray has them.
const MAX_PARAMETERS: usize = 64;

impl Query {
    /// The query that selects the entry, and that the handler sees.
    pub(crate) fn apply<'a>(&self, query: Option<&'a str>) -> Result<Option<Cow<'a, str>>, Reason> {
        let Some(query) = query else { return Ok(None) };
        if query.bytes().filter(|byte| *byte == b'&').count() >= MAX_PARAMETERS {
            return Err(Reason::KeyTooLarge);
        }
        Ok(match self {
            Self::Exact => Some(Cow::Borrowed(query)),
            Self::Ignore => None,
            Self::Sorted => {
                let mut parameters: Vec<&str> = query.split('&').collect();
                if parameters.is_sorted_by_key(|parameter| name(parameter)) {
                    Some(Cow::Borrowed(query))
                } else {
                    parameters.sort_by_key(|parameter| name(parameter));
                    Some(Cow::Owned(parameters.join("&")))
                }
            }
            Self::Only(names) => filter(query, |name| names.contains(name)),
            Self::Except(names) => filter(query, |name| !names.contains(name)),
        })
    }
}

fn name(parameter: &str) -> &str {
    parameter.split_once('=').map_or(parameter, |(name, _)| name)
}

fn filter(query: &str, keep: impl Fn(&str) -> bool) -> Option<Cow<'_, str>> {
    if query.split('&').all(|parameter| keep(name(parameter))) {
        return Some(Cow::Borrowed(query));
    }
    let kept: Vec<&str> = query.split('&').filter(|parameter| keep(name(parameter))).collect();
    if kept.is_empty() { None } else { Some(Cow::Owned(kept.join("&"))) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn apply(rule: &Query, query: &str) -> Option<String> {
        rule.apply(Some(query)).unwrap().map(Cow::into_owned)
    }

    #[test]
    fn each_rule_keeps_what_it_says() {
        let names = || Names::from(["page", "utm_*"]);
        assert_eq!(apply(&Query::Exact, "b=1&a=2").unwrap(), "b=1&a=2");
        assert_eq!(apply(&Query::Sorted, "b=1&a=2&b=0&a").unwrap(), "a=2&a&b=1&b=0");
        assert_eq!(apply(&Query::Only(names()), "q=x&page=2&utm_id=3").unwrap(), "page=2&utm_id=3");
        assert_eq!(apply(&Query::Except(names()), "q=x&page=2&utm_id=3").unwrap(), "q=x");
        assert_eq!(apply(&Query::Except(names()), "page=2"), None);
        assert_eq!(apply(&Query::Ignore, "q=x"), None);
        assert_eq!(Query::Exact.apply(None), Ok(None));
    }

    #[test]
    fn a_semicolon_and_an_encoded_name_hide_nothing() {
        let only = Query::Only(["page"].into());
        assert_eq!(apply(&only, "page=1;admin=1").unwrap(), "page=1;admin=1");
        assert_eq!(apply(&only, "p%61ge=1"), None);
        assert_eq!(apply(&Query::Except(["page"].into()), "p%61ge=1").unwrap(), "p%61ge=1");
    }

    #[test]
    fn more_than_64_parameters_are_refused() {
        let query = |count: usize| vec!["a=1"; count].join("&");
        assert!(Query::Exact.apply(Some(&query(64))).is_ok());
        assert_eq!(Query::Exact.apply(Some(&query(65))), Err(Reason::KeyTooLarge));
    }

    proptest! {
        #[test]
        fn applying_a_rule_twice_changes_nothing(query in "[ab=&;%]{0,40}") {
            for rule in [
                Query::Exact, Query::Sorted, Query::Ignore,
                Query::Only(["a"].into()), Query::Except(["a*"].into()),
            ] {
                if let Some(once) = apply(&rule, &query) {
                    prop_assert_eq!(apply(&rule, &once), Some(once));
                }
            }
        }
    }
}
