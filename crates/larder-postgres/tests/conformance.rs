//! The suite every store must pass, on every topology, each in a table of its own.

mod support;

use std::process::ExitCode;

use larder_conformance::Suite;
use larder_postgres::PostgresStoreBuilder;

/// Two connections for each case are enough to have them in each other's way.
fn suite(
    name: &str,
    variable: &'static str,
    table: &'static str,
    options: fn(PostgresStoreBuilder) -> PostgresStoreBuilder,
) -> Suite {
    Suite::new(move || async move { Ok(options(support::builder(variable, table).connections(2)).build()?) })
        .named(name)
}

fn main() -> ExitCode {
    larder_conformance::run([
        suite("unlogged", "LARDER_TEST_POSTGRES", "suite_unlogged", |builder| builder.prefix("suite")),
        suite("logged", "LARDER_TEST_POSTGRES", "suite_logged", |builder| builder.logged(true)),
        suite("relaxed", "LARDER_TEST_POSTGRES", "suite_relaxed", |builder| {
            builder.logged(true).synchronous_writes(false)
        }),
        suite("pgbouncer", "LARDER_TEST_PGBOUNCER", "suite_pgbouncer", |builder| builder),
        suite("tls", "LARDER_TEST_POSTGRES_TLS", "suite_tls", |builder| builder),
    ])
}
