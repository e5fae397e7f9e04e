//! Where the servers of the tests are.

use larder_redis::{RedisStore, RedisStoreBuilder};

/// A store on the servers that a variable names. Options in its query are files and the like, given by hand here.
pub(crate) fn builder(variable: &str) -> RedisStoreBuilder {
    let url = url(variable);
    let (address, query) = url.split_once('?').unwrap_or((&url, ""));
    let mut builder = RedisStore::builder(address);
    for (name, value) in query.split('&').filter_map(|option| option.split_once('=')) {
        builder = match name {
            "ca" => builder.ca(value),
            other => panic!("{variable} has the option `{other}`, which these tests do not know"),
        };
    }
    builder
}

pub(crate) fn url(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| {
        panic!("{variable} is not set: run `cargo xtask test`, or `cargo xtask services up`")
    })
}
