//! The stores of this workspace, by scheme.

#[cfg(feature = "filesystem")]
mod file;
#[cfg(feature = "memcached")]
mod memcached;
#[cfg(feature = "simple")]
mod memory;
#[cfg(feature = "null")]
mod null;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "redis")]
mod redis;
#[cfg(any(feature = "memcached", feature = "postgres", feature = "redis"))]
mod remote;

use std::sync::Arc;

use crate::StoreFactory;

/// What this build knows of a scheme of ours.
pub(crate) enum Builtin {
    /// Its store is compiled in.
    On,
    /// Its store is behind a feature that is off.
    Off { feature: &'static str },
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
    let servers = SERVERS.iter().filter_map(|(scheme, feature)| Some((*scheme, server(feature)?)));
    known.into_iter().chain(servers)
}

/// The schemes of stores that are servers, each with its feature.
const SERVERS: [(&str, &str); 12] = [
    ("memcached", "memcached"),
    ("memcached+unix", "memcached"),
    ("memcacheds", "memcached"),
    ("postgres", "postgres"),
    ("postgresql", "postgres"),
    ("redis", "redis"),
    ("redis+cluster", "redis"),
    ("redis+sentinel", "redis"),
    ("rediss", "redis"),
    ("rediss+cluster", "redis"),
    ("rediss+sentinel", "redis"),
    ("unix", "redis"),
];

/// The factory of a feature, if that is on.
fn server(feature: &str) -> Option<Arc<dyn StoreFactory>> {
    match feature {
        #[cfg(feature = "memcached")]
        "memcached" => Some(Arc::new(memcached::Memcached)),
        #[cfg(feature = "postgres")]
        "postgres" => Some(Arc::new(postgres::Postgres)),
        #[cfg(feature = "redis")]
        "redis" => Some(Arc::new(redis::Redis)),
        _ => None,
    }
}

/// What there is in place of what somebody asks a store of ours for, by a scheme or a setting. Empty where that is
/// nothing in particular.
pub(crate) fn instead_of(scheme: &str, asked: &str) -> &'static str {
    let is_binary = ["sasl", "binary"].iter().any(|word| asked.contains(word));
    if scheme.starts_with("memcached") && is_binary {
        "; SASL needs the binary protocol of memcached, which is not spoken here: use ASCII authentication \
         (`memcached -Y`), `memcached://user:password@host`"
    } else {
        ""
    }
}

pub(crate) fn find(scheme: &str) -> Option<Builtin> {
    let built = |on, feature| if on { Builtin::On } else { Builtin::Off { feature } };
    match scheme {
        "file" => Some(built(cfg!(feature = "filesystem"), "filesystem")),
        "memory" => Some(built(cfg!(feature = "simple"), "simple")),
        "null" => Some(built(cfg!(feature = "null"), "null")),
        _ => {
            let (_, feature) = SERVERS.iter().find(|(known, _)| *known == scheme)?;
            Some(built(server(feature).is_some(), feature))
        }
    }
}
