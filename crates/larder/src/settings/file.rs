//! What `file://` adds.

use super::{COUNT, FROM_16_KIB, Setting, TIME, setting};

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
    setting(["max_bytes", "the most disk space it uses", FROM_16_KIB, "`1GiB`", "64MiB", "64MB", ""]),
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
