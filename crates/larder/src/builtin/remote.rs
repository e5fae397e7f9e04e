//! What the stores that are servers read alike.

use larder_core::{Error, ErrorKind, Result};

use crate::{StoreUrl, url::byte_count};

/// `store` with a setting, where it was given.
pub(super) fn set<S, T>(store: S, value: Option<T>, setter: impl FnOnce(S, T) -> S) -> S {
    match value {
        Some(value) => setter(store, value),
        None => store,
    }
}

/// Text that is not empty.
pub(super) fn text<'a>(url: &'a StoreUrl, name: &str) -> Result<Option<&'a str>> {
    url.read(name, "text of at least one character", |text| (!text.is_empty()).then_some(text))
}

/// As [`text`], for what may stand in the URL's own user and password. Both at once say two things.
pub(super) fn login<'a>(url: &'a StoreUrl, name: &str) -> Result<Option<&'a str>> {
    let given = text(url, name)?;
    let in_url = if name == "username" { url.username() } else { url.password() };
    if given.is_some() && in_url.is_some() {
        let label = url.label(name);
        return Err(Error::new(
            ErrorKind::Config,
            format!("`{label}` is given more than once: before the `@` of the URL as well; leave one"),
        ));
    }
    Ok(given)
}

/// The file of a certificate or key.
pub(super) fn file<'a>(url: &'a StoreUrl, name: &str) -> Result<Option<&'a str>> {
    url.read(name, "the absolute path of a PEM file", |path| path.starts_with('/').then_some(path))
}

/// What is in front of every key on a server. Without a `/` in it, no two of them with a key make the same.
pub(super) fn prefix(url: &StoreUrl) -> Result<Option<&str>> {
    let is_safe = |c: char| c.is_ascii_alphanumeric() || "-.~:".contains(c);
    url.read("prefix", "at most 50 letters (`A-Z`, `a-z`), digits and `-.~:`", |prefix| {
        (prefix.len() <= 50 && prefix.chars().all(is_safe)).then_some(prefix)
    })
}

/// The cache's own bound of an entry, which is the store's too, and must be one that it can keep.
pub(super) fn max_value_bytes(url: &StoreUrl, most: u64) -> Result<Option<usize>> {
    let allowed =
        format!("a number of bytes (`65536`, `64KiB`, `64MiB`) from 1 to {most} with `{}://`", url.scheme());
    url.read("max_value_bytes", &allowed, |text| {
        byte_count(text).filter(|bytes| (1..=most).contains(bytes)).and_then(|bytes| bytes.try_into().ok())
    })
}
