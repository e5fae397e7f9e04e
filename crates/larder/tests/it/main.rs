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
