//! The core, over a small store of its own and one that fails, hangs and waits as told.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]
#![expect(clippy::disallowed_methods, reason = "tests start tasks and threads of their own")]

mod batch_loads;
mod batches;
mod bubbling;
mod clock;
mod coalesce;
mod codec;
mod deadlines;
mod doubt;
mod failure;
mod fencing;
mod guarantees;
mod guarded;
mod joining;
mod keys;
mod late_tags;
mod lease_only;
mod leases;
mod lifetime;
mod load_limits;
mod loads;
mod lost_answers;
mod namespaces;
mod observers;
mod operations;
mod options;
mod refreshing;
mod replay;
mod runtime;
mod seats;
mod staleness;
mod stampede;
mod support;
mod tags;
mod timeout;
mod undecodable;
mod unkept;
mod unreadable_stamps;
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
