//! The stores of this workspace, by scheme.

#[cfg(feature = "simple")]
mod memory;
#[cfg(feature = "null")]
mod null;

use std::sync::Arc;

use crate::StoreFactory;

/// What this build knows of a scheme of ours.
pub(crate) enum Builtin {
    /// Its store is compiled in.
    On,
    /// Its store is behind a feature that is off.
    Off { feature: &'static str },
    /// Its store comes with a later version.
    Later,
}

/// The schemes whose store is compiled in.
pub(crate) fn factories() -> impl Iterator<Item = (&'static str, Arc<dyn StoreFactory>)> {
    [
        #[cfg(feature = "simple")]
        ("memory", Arc::new(memory::Memory) as Arc<dyn StoreFactory>),
        #[cfg(feature = "null")]
        ("null", Arc::new(null::Null) as Arc<dyn StoreFactory>),
    ]
    .into_iter()
}

pub(crate) fn find(scheme: &str) -> Option<Builtin> {
    let built = |on, feature| if on { Builtin::On } else { Builtin::Off { feature } };
    match scheme {
        "memory" => Some(built(cfg!(feature = "simple"), "simple")),
        "null" => Some(built(cfg!(feature = "null"), "null")),
        "redis" | "rediss" | "memcached" | "file" | "postgres" | "postgresql" => Some(Builtin::Later),
        _ => None,
    }
}
