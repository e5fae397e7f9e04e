//! What the layer promises, seen from outside.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]
#![expect(
    clippy::disallowed_methods,
    reason = "tests are an outermost edge: they start tasks and bound waits themselves"
)]

mod axum_app;
mod bodies;
mod coalescing;
mod contract;
mod keys;
mod options;
mod over_http;
mod probes;
mod processes;
mod site;
mod stored;
mod stores;
