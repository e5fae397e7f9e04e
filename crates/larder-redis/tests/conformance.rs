//! The suite every store must pass, on every topology and with every setting that changes how entries lie in the server.

#[path = "support/mod.rs"]
mod support;

use std::{process::ExitCode, time::Duration};

use larder_conformance::Suite;
use larder_redis::{OnRollback, RedisStoreBuilder};

fn suite(
    name: &str,
    variable: &'static str,
    set: impl Fn(RedisStoreBuilder) -> RedisStoreBuilder + Send + Sync + 'static,
) -> Suite {
    // On a busy machine an operation may take longer than the half second that applications want.
    let patient = Duration::from_secs(4);
    Suite::new(move || {
        let store = set(support::builder(variable).operation_timeout(patient)).build();
        async move { Ok(store?) }
    })
    .named(name)
}

fn main() -> ExitCode {
    larder_conformance::run([
        suite("alone", "LARDER_TEST_REDIS", |builder| builder),
        suite("alone, distrustful, with a prefix", "LARDER_TEST_REDIS", |builder| {
            builder.on_rollback(OnRollback::Distrust).prefix("distrust:").connections(2)
        }),
        suite("alone, small values", "LARDER_TEST_REDIS", |builder| {
            builder.prefix("small:").max_value_bytes(2 << 20)
        }),
        suite("unix socket", "LARDER_TEST_REDIS_UNIX", |builder| builder),
        suite("tls and acl", "LARDER_TEST_REDIS_TLS", |builder| builder),
        suite("sentinel", "LARDER_TEST_REDIS_SENTINEL", |builder| builder),
        suite("sentinel, waiting for replicas", "LARDER_TEST_REDIS_SENTINEL", |builder| {
            builder.prefix("wait:").wait_replicas(1)
        }),
        suite("cluster", "LARDER_TEST_REDIS_CLUSTER", |builder| builder),
        suite("cluster, waiting for replicas", "LARDER_TEST_REDIS_CLUSTER", |builder| {
            builder.prefix("wait:").wait_replicas(1)
        }),
    ])
}
