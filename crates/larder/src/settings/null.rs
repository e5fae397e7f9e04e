//! What `null://` adds.

use super::{Setting, setting};

pub(crate) const NULL: [Setting; 1] = [setting([
    "warn",
    "whether it says once that nothing is kept",
    "`true`, `false`",
    "`true`",
    "false",
    "no",
    "CACHE_NO_NULL_WARNING, the other way round",
])];
