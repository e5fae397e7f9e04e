//! The facade: caches by URL, what is refused and how, and what is re-exported.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod caches;
mod config;
mod connect;
mod documents;
mod env;
mod flask;
mod hostile;
mod registry;
mod secrets;
mod servers;
#[cfg(feature = "toml")]
mod toml;
mod url;

use larder::{ErrorKind, Registry};

/// The message with which a URL is refused.
async fn refusal(url: &str) -> String {
    refusal_by(&Registry::with_defaults(), url).await
}

async fn refusal_by(registry: &Registry, url: &str) -> String {
    let error = registry.connect(url).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    error.to_string()
}

/// The settings of a store, with those that all have, as errors list them.
fn with_common(own: &[&str]) -> String {
    let every = "batching, batching_batches, batching_max_keys, batching_threshold, bulk_timeout, circuit_breaker, \
                 circuit_breaker_consecutive_timeouts, circuit_breaker_error_rate, circuit_breaker_half_open_calls, \
                 circuit_breaker_minimum_calls, circuit_breaker_probe_interval, circuit_breaker_probe_timeout, \
                 circuit_breaker_window, clear_by, clock_skew, coalesce, codec, early_refresh, error_backoff, \
                 error_timeout, explicit_errors, jitter, late_tags, lease_timeout, load_errors, load_timeout, \
                 max_concurrent_loads, max_detached, max_value_bytes, namespace, none_timeout, operation_timeout, \
                 soft_timeout, stale_if_error, stale_while_revalidate, stamp_staleness, timeout";
    let mut all: Vec<_> = every.split(", ").chain(own.iter().copied()).collect();
    all.sort_unstable();
    all.join(", ")
}
