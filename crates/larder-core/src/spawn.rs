//! Where tasks start: the one seam through which Larder spawns.

use std::fmt;

use crate::{BoxFuture, Error, ErrorKind, Result};

/// Starts background tasks: loads that outlive their caller, and upkeep.
///
/// The default, [`TokioSpawn`], uses the Tokio runtime of the caller. Implement it to wrap every task, for example in
/// your own task-locals:
///
/// ```
/// use larder_core::{BoxFuture, Result, Spawn, TokioSpawn};
///
/// tokio::task_local! { static REQUEST: u64; }
///
/// #[derive(Debug)]
/// struct WithRequest;
///
/// impl Spawn for WithRequest {
///     fn spawn(&self, task: BoxFuture<'static, ()>) -> Result<()> {
///         let request = REQUEST.try_with(|id| *id).unwrap_or(0);
///         TokioSpawn.spawn(Box::pin(REQUEST.scope(request, task)))
///     }
/// }
/// ```
pub trait Spawn: fmt::Debug + Send + Sync + 'static {
    /// Starts `task` in the background, or says why it cannot (and drops it).
    ///
    /// ```
    /// use larder_core::{ErrorKind, Spawn, TokioSpawn};
    /// let outside_a_runtime = TokioSpawn.spawn(Box::pin(async {})).unwrap_err();
    /// assert_eq!(outside_a_runtime.kind(), ErrorKind::Config);
    /// ```
    fn spawn(&self, task: BoxFuture<'static, ()>) -> Result<()>;
}

/// Spawns on the Tokio runtime that the caller runs in, of either flavour. Without one: an error of kind
/// [`Config`](ErrorKind::Config) that says so.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> larder_core::Result<()> {
/// use larder_core::{Spawn, TokioSpawn};
/// TokioSpawn.spawn(Box::pin(async { /* in the background */ }))
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct TokioSpawn;

impl Spawn for TokioSpawn {
    #[expect(clippy::disallowed_methods, reason = "this is the seam")]
    fn spawn(&self, task: BoxFuture<'static, ()>) -> Result<()> {
        // The handle of the task is not kept: whoever spawns learns of the end by what the task itself publishes.
        drop(current()?.spawn(task));
        Ok(())
    }
}

/// Runs what blocks its thread, on one of the runtime's threads for that. A panic in it is an error.
#[expect(clippy::disallowed_methods, reason = "this is the seam")]
pub(crate) async fn blocking<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> Result<R> {
    current()?.spawn_blocking(work).await.map_err(|error| {
        Error::new(ErrorKind::Load, "the loader panicked, or its runtime is shutting down").with_source(error)
    })
}

/// The runtime of the caller, or the error that names what is missing.
pub(crate) fn current() -> Result<tokio::runtime::Handle> {
    tokio::runtime::Handle::try_current().map_err(|error| {
        Error::new(
            ErrorKind::Config,
            "no Tokio runtime here: call this from within one (`#[tokio::main]`, `Runtime::block_on`)",
        )
        .with_source(error)
    })
}
