//! Stores without a server.

use super::{BYTES, COUNT, Setting, TIME, setting};

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
