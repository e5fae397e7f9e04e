//! The demonstration site, without a cache: what is found, what is shown, and what is refused.

#![expect(clippy::disallowed_methods, reason = "a test measures and waits at the outermost edge")]
#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod args;
mod docs;
mod fixture;
mod log;
mod markdown;
mod report;
mod search;
mod serve;
mod site;
