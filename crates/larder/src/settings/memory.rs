//! What `memory://` adds.

use super::{BYTES, COUNT, Setting, setting};

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
