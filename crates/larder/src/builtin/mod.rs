//! The stores of this workspace, by scheme.

#[cfg(feature = "filesystem")]
mod file;
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
    let known: Vec<(&'static str, Arc<dyn StoreFactory>)> = vec![
        #[cfg(feature = "filesystem")]
        ("file", Arc::new(file::File)),
        #[cfg(feature = "simple")]
        ("memory", Arc::new(memory::Memory)),
        #[cfg(feature = "null")]
        ("null", Arc::new(null::Null)),
    ];
    known.into_iter()
}

pub(crate) fn find(scheme: &str) -> Option<Builtin> {
    let built = |on, feature| if on { Builtin::On } else { Builtin::Off { feature } };
    match scheme {
        "file" => Some(built(cfg!(feature = "filesystem"), "filesystem")),
        "memory" => Some(built(cfg!(feature = "simple"), "simple")),
        "null" => Some(built(cfg!(feature = "null"), "null")),
        "redis" | "rediss" | "memcached" | "postgres" | "postgresql" => Some(Builtin::Later),
        _ => None,
    }
}
