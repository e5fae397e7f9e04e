//! Taking a store URL apart. It is hostile until it is parsed, and what is wrong with it is said without repeating
//! it: it may hold a password.

use std::borrow::Cow;

use larder_core::{Error, ErrorKind, Result};
use percent_encoding::percent_decode_str;

use super::Given;
use crate::settings::shown;

/// The parts, decoded.
pub(super) struct Parts {
    pub(super) scheme: String,
    pub(super) username: Option<String>,
    pub(super) password: Option<String>,
    pub(super) hosts: Vec<(String, Option<u16>)>,
    /// Of each host, where it has one.
    pub(super) weights: Vec<Option<u16>>,
    pub(super) path: String,
    /// All before the settings, as it was written.
    pub(super) address: String,
    /// In the order given; names are checked, and none is there twice.
    pub(super) settings: Vec<Given>,
}

const LOOK: &str = "a store URL looks like `memory://?max_entries=10000`";
const ENCODE: &str = "in user name and password, percent-encode everything but letters and digits";

fn config(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Config, message)
}

pub(super) fn parse(url: &str) -> Result<Parts> {
    if url.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(config(format!(
            "a space or control character in a store URL: percent-encode it; {LOOK}"
        )));
    }
    let (scheme, rest) = url.split_once("://").ok_or_else(|| config(format!("not a URL: {LOOK}")))?;
    if !is_scheme(scheme) {
        return Err(config(format!("not a URL: what stands before `://` is no scheme; {LOOK}")));
    }
    if rest.contains('#') {
        return Err(config("a `#` in a store URL: write it as `%23`"));
    }
    let (before, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = before.split_at(before.find('/').unwrap_or(before.len()));
    // The rest of a password with a bare `/` or `?` in it would be taken for a path or settings, and be shown.
    if path.contains('@') || query.contains('@') {
        return Err(config(format!("an `@` behind the host of a store URL: write it as `%40`; {ENCODE}")));
    }
    // The last `@` ends the user's part: one in a password should have been encoded, and is taken as it is.
    let (user, hosts) =
        authority.rsplit_once('@').map_or((None, authority), |(user, hosts)| (Some(user), hosts));
    let (username, password) = match user.map(|user| user.split_once(':').unwrap_or((user, ""))) {
        Some((name, password)) => (decoded_user(name)?, decoded_user(password)?),
        None => (None, None),
    };
    let scheme = scheme.to_ascii_lowercase();
    let (hosts, weights) = parse_hosts(hosts, Syntax::of(&scheme))?.into_iter().unzip();
    Ok(Parts {
        address: format!("{scheme}://{before}"),
        scheme,
        username,
        password,
        hosts,
        weights,
        path: decode(path, "the path")?.into_owned(),
        settings: parse_settings(query)?,
    })
}

/// A letter, then letters, digits, `+`, `-`, `.`.
pub(crate) fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
}

/// Lower-case letters, digits and `_`.
pub(crate) fn is_setting_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

/// What `Max-Entries` is.
fn is_near_a_name(text: &str) -> bool {
    is_setting_name(&text.to_ascii_lowercase().replace('-', "_"))
}

fn decoded_user(text: &str) -> Result<Option<String>> {
    Ok((!text.is_empty()).then_some(decode(text, "the user name or password")?.into_owned()))
}

fn decode<'a>(text: &'a str, what: &str) -> Result<Cow<'a, str>> {
    let well_formed = text.split('%').skip(1).all(|after| {
        let digits = after.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    });
    if !well_formed {
        return Err(config(format!(
            "{what} in a store URL has a `%` without two hex digits: write a `%` as `%25`"
        )));
    }
    percent_decode_str(text).decode_utf8().map_err(|error| {
        config(format!("{what} in a store URL is not UTF-8 once decoded")).with_source(error)
    })
}

/// What a host may be in the URLs of some stores, and of no others.
#[derive(Clone, Copy)]
struct Syntax {
    /// `host:port*weight`
    weights: bool,
    /// The directory of a Unix socket, percent-encoded.
    sockets: bool,
}

impl Syntax {
    fn of(scheme: &str) -> Self {
        Self {
            weights: matches!(scheme, "memcached" | "memcacheds"),
            sockets: matches!(scheme, "postgres" | "postgresql"),
        }
    }
}

type Host = (String, Option<u16>);

/// `host`, `host:port`, `[v6]:port`, several with commas between.
fn parse_hosts(text: &str, syntax: Syntax) -> Result<Vec<(Host, Option<u16>)>> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    text.split(',').map(|host| parse_weighed(host, syntax)).collect()
}

fn parse_weighed(text: &str, syntax: Syntax) -> Result<(Host, Option<u16>)> {
    match text.split_once('*').filter(|_| syntax.weights) {
        Some((host, weight)) => Ok((parse_host(host, syntax)?, Some(parse_u16(weight, "a weight")?))),
        None => Ok((parse_host(text, syntax)?, None)),
    }
}

fn parse_host(text: &str, syntax: Syntax) -> Result<Host> {
    let bad_host = || config(format!("a host in a store URL is not a host name or address; {ENCODE}"));
    let (host, port) = if let Some(bracketed) = text.strip_prefix('[') {
        let (address, after) = bracketed.split_once(']').ok_or_else(bad_host)?;
        if !address.chars().all(|c| c.is_ascii_hexdigit() || matches!(c, ':' | '.')) {
            return Err(bad_host());
        }
        match after.strip_prefix(':') {
            Some(port) => (address.to_ascii_lowercase(), Some(port)),
            None if after.is_empty() => (address.to_ascii_lowercase(), None),
            None => return Err(bad_host()),
        }
    } else {
        let (host, port) = text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
        let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '.' | '_');
        let host = if host.chars().all(is_plain) {
            host.to_ascii_lowercase()
        } else {
            let is_directory = |host: &str| host.starts_with('/') && !host.contains(char::is_control);
            let decoded = if syntax.sockets { decode(host, "a host")?.into_owned() } else { String::new() };
            Some(decoded).filter(|host| is_directory(host)).ok_or_else(bad_host)?
        };
        (host, port)
    };
    if host.is_empty() {
        return Err(bad_host());
    }
    Ok((host, port.map(|port| parse_u16(port, "a port")).transpose()?))
}

fn parse_u16(digits: &str, what: &str) -> Result<u16> {
    let number = digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten();
    number
        .filter(|number| *number > 0)
        .ok_or_else(|| config(format!("{what} in a store URL is not a number from 1 to 65535; {ENCODE}")))
}

fn parse_settings(query: &str) -> Result<Vec<Given>> {
    let mut settings: Vec<Given> = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').map_or((pair, None), |(name, value)| (name, Some(value)));
        // One that is only spelt wrong is named; anything else may be a part of something secret.
        if !is_setting_name(name) && is_near_a_name(name) {
            return Err(config(format!(
                "`{}` is no setting: their names have lower-case letters, digits and `_`",
                shown(name)
            )));
        }
        if !is_setting_name(name) {
            return Err(config(
                "a setting's name in a store URL has other characters than lower-case letters, digits and `_` \
                 (a `?` or `&` elsewhere in the URL must be percent-encoded)",
            ));
        }
        let value = value.ok_or_else(|| config(format!("`{name}` has no value: write `{name}=..`")))?;
        if settings.iter().any(|given| given.name == name) {
            return Err(config(format!("`{name}` is given more than once")));
        }
        let value = decode(value, &format!("the value of `{name}`"))?.into_owned();
        settings.push(Given { name: name.to_owned(), value, label: None });
    }
    Ok(settings)
}
