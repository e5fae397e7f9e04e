//! The verdict on a request: whether the cache is asked, and under which key.

use http::{Method, header};

use crate::{
    Authorization, Reason, RequestHead,
    authorization::is_credential,
    cookies::Selected,
    host,
    key::{Field, KeyHasher, KeyText},
    original,
    rules::Rules,
};

/// A request that the cache is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lookup {
    pub(crate) key: KeyText,
    /// `HEAD`, which is served from a GET's entry and fills none.
    pub(crate) is_head: bool,
    /// The entry there is must not be served, but replaced.
    pub(crate) is_forced: bool,
}

/// A URI over this is not looked up: what no browser sends is an attack on the store's space.
const MAX_URI: usize = 8 * 1024;
const MAX_HEADER: usize = 1024;
/// `Cookie` is the one keyed header that is long in everyday life.
const MAX_COOKIES: usize = 4 * 1024;

/// Judges a request. `Err` is a request that goes past the cache, untouched.
pub(crate) fn judge(rules: &Rules, head: &RequestHead, has_body: bool) -> Result<Lookup, Reason> {
    if head.method != Method::GET && head.method != Method::HEAD {
        return Err(Reason::Method);
    }
    if head.headers.contains_key(header::UPGRADE) {
        return Err(Reason::Upgrade);
    }
    if has_body || announces_body(head) {
        return Err(Reason::RequestBody);
    }
    if head.headers.contains_key(header::RANGE) {
        return Err(Reason::Range);
    }
    if head.headers.contains_key(header::IF_MATCH) || head.headers.contains_key(header::IF_UNMODIFIED_SINCE) {
        return Err(Reason::Precondition);
    }
    let is_asked_by = |name| is_credential(name) && !rules.keyed_headers.contains(name);
    if rules.authorization == Authorization::Bypass && head.headers.keys().any(is_asked_by) {
        return Err(Reason::Authorization);
    }
    if rules.unless.as_ref().is_some_and(|unless| unless(head)) {
        return Err(Reason::Unless);
    }
    let key = key(rules, head, Personal::Refuse)?;
    let is_head = head.method == Method::HEAD;
    let is_forced = !is_head && rules.forced_update.as_ref().is_some_and(|forced| forced(head));
    Ok(Lookup { key, is_head, is_forced })
}

fn announces_body(head: &RequestHead) -> bool {
    head.headers.contains_key(header::TRANSFER_ENCODING)
        || head.headers.get_all(header::CONTENT_LENGTH).iter().any(|length| length != "0")
}

/// The key of the entry for a target, whoever asks.
pub(crate) fn entry_key(rules: &Rules, head: &RequestHead) -> Result<KeyText, Reason> {
    key(rules, head, Personal::Ignore)
}

/// What personal cookies mean to a key.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Personal {
    /// The request has none.
    Refuse,
    /// They are not looked at.
    Ignore,
}

fn key(rules: &Rules, head: &RequestHead, personal: Personal) -> Result<KeyText, Reason> {
    let mut key = KeyHasher::new();
    match &rules.only {
        Some(only) => only(head).add_to(&mut key, Field::Only)?,
        None => add_target(rules, head, &mut key)?,
    }
    for name in &rules.keyed_headers {
        key.field(Field::Header, name.as_str().as_bytes());
        let max = if name == header::COOKIE { MAX_COOKIES } else { MAX_HEADER };
        for line in head.headers.get_all(name) {
            if line.len() > max {
                return Err(Reason::KeyTooLarge);
            }
            key.field(Field::HeaderLine, line.as_bytes());
        }
    }
    if !rules.keyed_headers.contains(&header::COOKIE) {
        match rules.cookies.select(&rules.analytics, &head.headers) {
            Selected::Personal if personal == Personal::Refuse => return Err(Reason::Cookie),
            Selected::Personal | Selected::None => {}
            Selected::Some(cookies) if cookies.len() > MAX_COOKIES => return Err(Reason::KeyTooLarge),
            Selected::Some(cookies) => key.field(Field::Cookies, &cookies),
        }
    }
    for part in &rules.parts {
        part(head).add_to(&mut key, Field::Part)?;
    }
    Ok(key.finish())
}

/// Scheme, host, path and query.
fn add_target(rules: &Rules, head: &RequestHead, key: &mut KeyHasher) -> Result<(), Reason> {
    let uri = &head.uri;
    let original = original::get(&head.extensions);
    let len = |uri: &http::Uri| uri.path_and_query().map_or(0, |target| target.as_str().len());
    if len(uri) > MAX_URI || original.is_some_and(|original| len(original) > MAX_URI) {
        return Err(Reason::KeyTooLarge);
    }
    if !uri.path().starts_with('/') {
        return Err(Reason::Host);
    }
    key.field(Field::Scheme, rules.scheme.as_str().as_bytes());
    key.field(Field::Host, host::authority(uri, &head.headers, rules.scheme)?.as_bytes());
    // A nested router takes the beginning off the path: `/a/x` and `/b/x` must not meet as `/x`. The whole path tells
    // both, except where something rewrote it, and then neither does.
    let path = uri.path();
    match original.map(http::Uri::path).filter(|original| *original != path) {
        Some(original) => {
            key.field(Field::OriginalPath, original.as_bytes());
            if !original.ends_with(path) {
                key.field(Field::Path, path.as_bytes());
            }
        }
        None => key.field(Field::OriginalPath, path.as_bytes()),
    }
    if let Some(query) = rules.query.apply(uri.query())? {
        key.field(Field::Query, query.as_bytes());
    }
    if let Some(original) = original.filter(|original| original.query() != uri.query())
        && let Some(query) = rules.query.apply(original.query())?
    {
        key.field(Field::OriginalQuery, query.as_bytes());
    }
    Ok(())
}
