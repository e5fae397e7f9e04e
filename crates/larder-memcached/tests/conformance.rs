//! The suite every store must pass, on every topology.

mod support;

use std::{process::ExitCode, sync::Arc, time::Duration};

use larder_conformance::Suite;
use larder_core::BoxError;
use larder_memcached::MemcachedStoreBuilder;
use support::{ALONE, THREE, TLS, UNIX};

/// An unoptimised build on a busy machine must not run out of time.
fn builder(variable: &str) -> Result<MemcachedStoreBuilder, BoxError> {
    Ok(support::builder(variable)?.operation_timeout(Duration::from_secs(4)))
}

fn main() -> ExitCode {
    larder_conformance::run([
        Suite::new(|| async { Ok(builder(ALONE)?.build()?) }).named("alone"),
        Suite::new(|| async { Ok(builder(THREE)?.build()?) }).named("three"),
        Suite::new(|| async { Ok(builder(UNIX)?.lanes(1).build()?) }).named("unix"),
        Suite::new(|| async { Ok(builder(TLS)?.build()?) }).named("tls"),
        Suite::new(|| async { Ok(builder(THREE)?.rehash(true).prefix("conformance:").build()?) })
            .named("three, rehash"),
        Suite::with_manual_clock(|clock| async { Ok(builder(ALONE)?.clock(Arc::new(clock)).build()?) })
            .named("manual clock"),
    ])
}
