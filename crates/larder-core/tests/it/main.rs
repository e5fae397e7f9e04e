//! The core, over a small store of its own and one that fails, hangs and waits as told.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]
#![expect(clippy::disallowed_methods, reason = "tests start tasks and threads of their own")]

mod batch_loads;
mod batches;
mod clock;
mod codec;
mod doubt;
mod failure;
mod fencing;
mod keys;
mod lifetime;
mod load_limits;
mod loads;
mod observers;
mod operations;
mod runtime;
mod seats;
mod support;
mod timeout;
mod undecodable;
mod unsupported;

#[cfg(feature = "faults")]
mod faults;
#[cfg(feature = "metrics")]
mod metrics;
#[cfg(feature = "tracing")]
mod tracing;

/// The store of the documentation's examples.
#[expect(unreachable_pub, reason = "the examples take it for their own")]
#[path = "../support/doc.rs"]
mod doc;
