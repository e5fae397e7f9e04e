//! The servers the tests run against.

use std::{env, time::Duration};

use larder_postgres::{PostgresStore, PostgresStoreBuilder};

/// The address of a server, and the options behind its `?`.
pub(crate) fn server(variable: &str) -> (String, Vec<(String, String)>) {
    let url = env::var(variable).unwrap_or_else(|_| {
        panic!("{variable} is not set: run `cargo xtask test`, or `cargo xtask services up`")
    });
    let (address, query) = url.split_once('?').unwrap_or((&url, ""));
    let options = query.split('&').filter_map(|pair| pair.split_once('='));
    (address.to_owned(), options.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

/// A store there, with a table of this name; patient, because tests share two cores.
pub(crate) fn builder(variable: &str, table: &str) -> PostgresStoreBuilder {
    let (address, options) = server(variable);
    let mut builder = PostgresStore::builder(&address)
        .table(table)
        .create_table(true)
        .operation_timeout(Duration::from_secs(4));
    for (name, value) in options {
        builder = match (&*name, &*value) {
            ("pgbouncer", "true") => builder.pgbouncer(true),
            ("sslmode", mode) => builder.sslmode(mode.parse().expect("a mode")),
            ("ca", path) => builder.ca(path),
            (name, value) => panic!("{variable}: unknown option {name}={value}"),
        };
    }
    builder
}
