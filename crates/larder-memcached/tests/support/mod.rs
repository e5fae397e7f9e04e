//! The servers that tests use: they come by environment variables.

use larder_core::BoxError;
use larder_memcached::{MemcachedStore, MemcachedStoreBuilder};

/// One server.
pub(crate) const ALONE: &str = "LARDER_TEST_MEMCACHED";
/// Three.
pub(crate) const THREE: &str = "LARDER_TEST_MEMCACHED_THREE";
/// One, on a Unix socket.
pub(crate) const UNIX: &str = "LARDER_TEST_MEMCACHED_UNIX";
/// One, with TLS and ASCII authentication.
pub(crate) const TLS: &str = "LARDER_TEST_MEMCACHED_TLS";

/// The address in a variable, and the options behind it.
pub(crate) fn address(variable: &str) -> Result<(String, Option<String>), BoxError> {
    let url = std::env::var(variable).map_err(|_| {
        format!("{variable} is not set: run `cargo xtask test`, or `cargo xtask services up`")
    })?;
    Ok(match url.split_once('?') {
        Some((address, options)) => (address.to_owned(), Some(options.to_owned())),
        None => (url, None),
    })
}

/// A store for the servers in a variable.
pub(crate) fn builder(variable: &str) -> Result<MemcachedStoreBuilder, BoxError> {
    let (address, options) = address(variable)?;
    let builder = MemcachedStore::builder(address);
    match options.as_deref().map(|options| options.strip_prefix("ca=")) {
        None => Ok(builder),
        Some(Some(ca)) => Ok(builder.ca(ca)),
        Some(None) => Err(format!("{variable}: an option other than `ca`").into()),
    }
}
