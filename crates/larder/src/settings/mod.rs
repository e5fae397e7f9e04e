//! Every setting, once: URL, TOML, environment and documentation read this table.

#[cfg(test)]
mod tests;

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
const TIME: &str = "seconds, or `ms`, `s`, `m`, `h`, `d`, `w`";

/// What every cache has.
pub(crate) const CACHE: [Setting; 10] = [
    setting(["bulk_timeout", "how long `clear` and `keys` may take", TIME, "`30s`", "1m", "never", ""]),
    setting([
        "codec",
        "how values become bytes, where the store keeps bytes",
        "`messagepack`, `json`",
        "`messagepack`",
        "json",
        "pickle",
        "",
    ]),
    setting([
        "explicit_errors",
        "what `get`, `has` and `get_many` do where the store fails",
        "`return`, `miss`",
        "`return`",
        "miss",
        "ignore",
        "",
    ]),
    setting([
        "load_errors",
        "what `get_or_load` does where the store cannot be read",
        "`return`, `miss`",
        "`miss`",
        "return",
        "ignore",
        "",
    ]),
    setting(["load_timeout", "how long a load may take", TIME, "`30s`", "10s", "0", ""]),
    setting(["max_concurrent_loads", "how many loads may run at once", COUNT, "`1024`", "64", "0", ""]),
    setting([
        "max_value_bytes",
        "the largest entry that is encoded for a store of bytes",
        BYTES,
        "`16MiB`",
        "1MiB",
        "8GiB",
        "",
    ]),
    setting([
        "namespace",
        "a name in front of every key",
        "text, up to 96 bytes once encoded",
        "none",
        "shop",
        "",
        "CACHE_KEY_PREFIX",
    ]),
    setting([
        "operation_timeout",
        "how long one operation on the store may take",
        TIME,
        "`500ms`",
        "2s",
        "soon",
        "",
    ]),
    setting([
        "timeout",
        "how long entries stay where nothing else is asked for",
        "seconds, or `ms`, `s`, `m`, `h`, `d`, `w`; `never` or `0`: no end",
        "`5m`",
        "1h30m",
        "-1",
        "CACHE_DEFAULT_TIMEOUT",
    ]),
];

/// What `file://` adds.
#[cfg(any(feature = "filesystem", test))]
pub(crate) const FILE: [Setting; 4] = [
    setting([
        "durability",
        "what survives a power loss",
        "`none`: what the system had written; `data`: all that was acknowledged",
        "`none`",
        "data",
        "full",
        "",
    ]),
    setting(["max_bytes", "the most disk space it uses", BYTES, "`1GiB`", "64MiB", "64MB", ""]),
    setting(["max_entries", "the most entries it keeps", COUNT, "`100000`", "500", "0", "CACHE_THRESHOLD"]),
    setting([
        "sweep_every",
        "how long it rests between two sweeps for what has expired",
        TIME,
        "`5m`",
        "30s",
        "never",
        "",
    ]),
];

/// What `memory://` adds.
#[cfg(any(feature = "simple", test))]
pub(crate) const MEMORY: [Setting; 3] = [
    setting(["eviction", "what goes when it is full", "`lru`, `tiny_lfu`", "`lru`", "tiny_lfu", "fifo", ""]),
    setting([
        "max_bytes",
        "the most bytes it keeps, 400 for each entry included",
        BYTES,
        "no bound",
        "64MiB",
        "64MB",
        "",
    ]),
    setting([
        "max_entries",
        "the most entries it keeps",
        COUNT,
        "`10000`; none where only `max_bytes` is set",
        "500",
        "0",
        "CACHE_THRESHOLD",
    ]),
];

/// What `null://` adds.
#[cfg(any(feature = "null", test))]
pub(crate) const NULL: [Setting; 1] = [setting([
    "warn",
    "whether it says once that nothing is kept",
    "`true`, `false`",
    "`true`",
    "false",
    "no",
    "CACHE_NO_NULL_WARNING, the other way round",
])];

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

pub(crate) const CACHE_NAMES: [&str; 10] = names(&CACHE);

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
