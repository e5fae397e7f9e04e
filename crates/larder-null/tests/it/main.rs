//! What only the null store promises.
#![cfg_attr(feature = "tracing", expect(clippy::unwrap_used, reason = "helpers of tests fail like tests"))]

#[cfg(feature = "tracing")]
mod warning;
