//! How the suite comes by a store, and names of its own in it.

use std::{
    process,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use larder_core::{BoxError, BoxFuture, CacheStore, Clock as _, ManualClock, Namespace, SystemClock};

use crate::{
    model::Plan,
    subject::{Subject, Time},
};

/// Makes a store, under a manual clock where the store takes one.
pub(crate) type Factory =
    Arc<dyn Fn(ManualClock) -> BoxFuture<'static, Result<Arc<dyn CacheStore>, BoxError>> + Send + Sync>;

/// How to come by a subject for a case.
#[derive(Clone)]
pub(crate) struct Connect {
    pub(crate) factory: Factory,
    pub(crate) manual_clock: bool,
    /// Or what is wrong with it.
    pub(crate) plan: Result<Plan, String>,
}

impl Connect {
    /// A store for one case, with a namespace no other case and no other process uses.
    pub(crate) async fn subject(&self) -> Result<Subject, BoxError> {
        let plan = self.plan.clone()?;
        let clock = ManualClock::default();
        let store = (self.factory)(clock.clone()).await?;
        let resolution = store.capabilities().expiry_resolution();
        let time = if self.manual_clock {
            Time::Manual { clock, resolution }
        } else {
            Time::Real { clock: Arc::new(SystemClock::new()), resolution }
        };
        Ok(Subject::new(store, Namespace::root().child(&unique_name())?, time, plan))
    }
}

/// A shared server sees many runs of the suite, at once and over the years.
fn unique_name() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let now = SystemClock::new().now().as_nanos();
    format!("t{now:x}{:x}-{:x}", process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}
