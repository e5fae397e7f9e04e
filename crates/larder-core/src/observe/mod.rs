//! What a cache tells those who watch it: events through one seam, and counters.

mod event;
#[cfg(feature = "metrics")]
mod metrics;
mod stats;
mod stripe;
#[cfg(feature = "tracing")]
mod tracing;

#[cfg(feature = "metrics")]
pub use self::metrics::MetricsObserver;
pub(crate) use self::stats::{Counter, Counters};
#[cfg(feature = "tracing")]
pub use self::tracing::TracingObserver;
pub use self::{
    event::{Event, Observer},
    stats::Stats,
};
