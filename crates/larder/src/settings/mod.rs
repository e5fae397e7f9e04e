//! Every setting, once: URL, TOML, environment and documentation read this table.

mod cache;
#[cfg(any(feature = "filesystem", test))]
mod file;
mod guards;
#[cfg(any(feature = "memcached", test))]
mod memcached;
#[cfg(any(feature = "simple", test))]
mod memory;
#[cfg(any(feature = "null", test))]
mod null;
#[cfg(any(feature = "postgres", test))]
mod postgres;
#[cfg(any(feature = "redis", test))]
mod redis;
#[cfg(test)]
mod tests;

pub(crate) use cache::CACHE;
#[cfg(any(feature = "filesystem", test))]
pub(crate) use file::FILE;
pub(crate) use guards::GUARDS;
#[cfg(any(feature = "memcached", test))]
pub(crate) use memcached::MEMCACHED;
#[cfg(any(feature = "simple", test))]
pub(crate) use memory::MEMORY;
#[cfg(any(feature = "null", test))]
pub(crate) use null::NULL;
#[cfg(any(feature = "postgres", test))]
pub(crate) use postgres::POSTGRES;
#[cfg(any(feature = "redis", test))]
pub(crate) use redis::REDIS;

/// One setting. Its name in a URL and in TOML is `name`; in the environment, `LARDER_` and the name in capitals.
#[derive(Debug)]
pub(crate) struct Setting {
    pub(crate) name: &'static str,
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "for the documentation, which tests compare with this")
    )]
    pub(crate) page: Page,
}

/// What the documentation says of a setting.
#[derive(Debug)]
#[cfg_attr(not(test), expect(dead_code, reason = "for the documentation, which tests compare with this"))]
pub(crate) struct Page {
    /// What it does.
    pub(crate) about: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) default: &'static str,
    /// A value that is allowed.
    pub(crate) example: &'static str,
    /// A value that is not.
    pub(crate) wrong: &'static str,
    /// Flask-Caching's name.
    pub(crate) flask: &'static str,
}

/// A setting and its line in the documentation:
/// `[name, about, unit, default, example, wrong, name in Flask-Caching]`.
const fn setting([name, about, unit, default, example, wrong, flask]: [&'static str; 7]) -> Setting {
    Setting { name, page: Page { about, unit, default, example, wrong, flask } }
}

const COUNT: &str = "whole number";
const BYTES: &str = "bytes, `KiB`, `MiB`, `GiB`";
#[cfg(any(feature = "filesystem", feature = "postgres", test))]
const FROM_16_KIB: &str = "bytes, `KiB`, `MiB`, `GiB`; from `16KiB`";
const TIME: &str = "seconds, or `ms`, `s`, `m`, `h`, `d`, `w`";
const FLAG: &str = "`true`, `false`";
#[cfg(any(feature = "memcached", feature = "postgres", feature = "redis", test))]
const PREFIX: &str = "up to 50 letters, digits and `-.~:`";

/// The settings that only stand beside others, in TOML or the environment, never in a URL.
pub(crate) const BESIDE: [&str; 2] = ["share_store", "url"];

/// The names alone.
pub(crate) const fn names<const N: usize>(settings: &[Setting; N]) -> [&'static str; N] {
    let mut names = [""; N];
    let mut at = 0;
    while at < N {
        names[at] = settings[at].name;
        at += 1;
    }
    names
}

pub(crate) const CACHE_NAMES: [&str; CACHE.len()] = names(&CACHE);

/// Of every store, whatever its scheme.
pub(crate) const GUARD_NAMES: [&str; GUARDS.len()] = names(&GUARDS);

/// Whether it is a setting of every cache, which no store may claim.
pub(crate) fn is_common(name: &str) -> bool {
    CACHE_NAMES.contains(&name) || GUARD_NAMES.contains(&name)
}

/// The name in the environment.
pub(crate) fn variable(name: &str) -> String {
    format!("LARDER_{}", name.to_ascii_uppercase())
}

/// A name or value as errors show it: in one line, not too long, and not at all where it may be a URL with a password.
pub(crate) fn shown(text: &str) -> String {
    const LONG: usize = 80;
    if text.contains('@') {
        return "***".to_owned();
    }
    let short: String = text.chars().take(LONG).collect();
    let more = if short.len() < text.len() { ".." } else { "" };
    format!("{}{more}", short.escape_debug())
}
