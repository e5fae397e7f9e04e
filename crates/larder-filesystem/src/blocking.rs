//! Where files are touched: jobs on threads that may block, a bounded number at a time.

use std::{num::NonZero, pin::pin, sync::Arc, thread, time::Duration};

use futures_util::future::{Either, select};
use larder_core::{Clock, Error, ErrorKind, Result, SystemClock};
use tokio::{runtime::Handle, sync::Semaphore};

/// How long a walk through the whole store may take.
const WALK_TIMEOUT: Duration = Duration::from_mins(10);

/// How many reads, and how many writes, may be at the file system at a time: they mostly wait for it, not for a processor.
const PER_CORE: usize = 4;
const LEAST: usize = 16;

/// Runs jobs that block. A job that began runs to its end, whatever its caller does.
#[derive(Debug)]
pub(crate) struct Blocking {
    /// Reads take no lock, and must not wait behind writers that do: the holder may be a process that was stopped.
    reads: Arc<Semaphore>,
    writes: Arc<Semaphore>,
    /// Walks have places of their own: they are long, and must not keep a read waiting.
    walks: Arc<Semaphore>,
    /// So has the background: removing what was cleared may take minutes.
    background: Arc<Semaphore>,
    operation_timeout: Duration,
    /// The machine's own: a disk knows nothing of a clock that is moved by hand.
    clock: SystemClock,
}

/// What a caller must know whose job did not end in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It changes nothing.
    None,
    /// It may still happen.
    Possible,
}

impl Blocking {
    pub(crate) fn new(operation_timeout: Duration) -> Self {
        let cores = thread::available_parallelism().map_or(4, NonZero::get);
        Self {
            reads: Arc::new(Semaphore::new((PER_CORE * cores).max(LEAST))),
            writes: Arc::new(Semaphore::new((PER_CORE * cores).max(LEAST))),
            walks: Arc::new(Semaphore::new(2)),
            background: Arc::new(Semaphore::new(1)),
            operation_timeout,
            clock: SystemClock::new(),
        }
    }

    /// One operation on one key, or on a few.
    pub(crate) async fn point<T: Send + 'static>(
        &self,
        effect: Effect,
        job: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let places = if effect == Effect::None { &self.reads } else { &self.writes };
        self.run(places, self.operation_timeout, effect, job).await
    }

    /// A look at many keys, with a deadline of its own.
    pub(crate) async fn walk<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.run(&self.walks, WALK_TIMEOUT, Effect::None, job).await
    }

    /// Takes a namespace out of sight: short, unless writers hold its locks.
    pub(crate) async fn clear<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.run(&self.writes, WALK_TIMEOUT, Effect::Possible, job).await
    }

    /// Upkeep, which takes what time it takes.
    pub(crate) async fn background(&self, job: impl FnOnce() -> Result<()> + Send + 'static) -> Result<()> {
        self.run(&self.background, Duration::MAX, Effect::None, job).await
    }

    #[expect(clippy::disallowed_methods, reason = "this is the seam")]
    async fn run<T: Send + 'static>(
        &self,
        places: &Arc<Semaphore>,
        limit: Duration,
        effect: Effect,
        job: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let runtime = Handle::try_current().map_err(|cause| {
            Error::new(ErrorKind::Config, "no Tokio runtime here: the file store works within one")
                .with_source(cause)
        })?;
        let deadline = pin!(self.clock.sleep(limit));
        let place = pin!(Arc::clone(places).acquire_owned());
        let (place, deadline) = match select(place, deadline).await {
            Either::Left((place, deadline)) => (place.expect("these semaphores are never closed"), deadline),
            Either::Right(_) => {
                return Err(Error::new(
                    ErrorKind::Timeout,
                    format!("no worker was free within {limit:?}: earlier operations on files still run"),
                ));
            }
        };
        let job = runtime.spawn_blocking(move || {
            let result = job();
            drop(place);
            result
        });
        match select(job, deadline).await {
            Either::Left((Ok(result), _)) => result,
            Either::Left((Err(cause), _)) => {
                let kind = if effect == Effect::None { ErrorKind::Unavailable } else { ErrorKind::Ambiguous };
                Err(Error::new(kind, "the operation on files was cut off").with_source(cause))
            }
            Either::Right(_) => {
                let kind = if effect == Effect::None { ErrorKind::Timeout } else { ErrorKind::Ambiguous };
                Err(Error::new(kind, format!("the file system did not answer within {limit:?}")))
            }
        }
    }
}
