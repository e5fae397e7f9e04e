//! How the cache calls its store: bounded in time, and carried to the end where the outcome matters.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::Poll,
    time::Duration,
};

use super::inner::Inner;
use crate::{BoxFuture, Error, ErrorKind, Result, Timestamp, spawn};

/// An operation on the store, as far as a timeout is concerned.
#[derive(Clone, Copy)]
pub(super) struct Operation {
    pub(super) name: &'static str,
    /// What a timeout means: repeating it is harmless, or it may have run and may still appear.
    on_timeout: ErrorKind,
}

impl Operation {
    pub(super) const fn idempotent(name: &'static str) -> Self {
        Self { name, on_timeout: ErrorKind::Timeout }
    }

    pub(super) const fn once(name: &'static str) -> Self {
        Self { name, on_timeout: ErrorKind::Ambiguous }
    }
}

impl Inner {
    /// A point operation or batch, within the operation timeout. Its error is counted.
    pub(super) fn point<T>(
        &self,
        operation: Operation,
        call: impl Future<Output = Result<T>>,
    ) -> impl Future<Output = Result<T>> {
        self.bounded(operation, self.operation_timeout, call)
    }

    /// `clear` and `keys`, within their own timeout.
    pub(super) fn bulk<T>(
        &self,
        operation: Operation,
        call: impl Future<Output = Result<T>>,
    ) -> impl Future<Output = Result<T>> {
        self.bounded(operation, self.bulk_timeout, call)
    }

    async fn bounded<T>(
        &self,
        operation: Operation,
        limit: Duration,
        call: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let result = match self.within(limit, call).await {
            Ok(Some(result)) => result,
            Ok(None) => Err(Error::new(
                operation.on_timeout,
                format!("`{}` on the store did not end within {limit:?}", operation.name),
            )),
            Err(no_timer) => Err(no_timer),
        };
        if let Err(error) = &result
            && is_trouble(error)
        {
            self.store_error(operation.name, error);
        }
        result
    }

    /// Waits for `future` for at most `limit`; `None` when that is over. What is ready at once costs no timer, and needs
    /// no runtime.
    pub(super) async fn within<T>(
        &self,
        limit: Duration,
        future: impl Future<Output = T>,
    ) -> Result<Option<T>> {
        let mut future = pin!(future);
        if let Poll::Ready(output) = poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await {
            return Ok(Some(output));
        }
        self.timed(limit, future).await
    }

    /// Waits for a future that has been polled.
    async fn timed<T>(
        &self,
        limit: Duration,
        mut future: impl Future<Output = T> + Unpin,
    ) -> Result<Option<T>> {
        if self.clock.is_real() {
            spawn::current()?;
        }
        let mut timer = self.clock.sleep(limit);
        Ok(poll_fn(|context| {
            // The future first: one that is ready as its time ends is in time.
            if let Poll::Ready(output) = Pin::new(&mut future).poll(context) {
                return Poll::Ready(Some(output));
            }
            timer.as_mut().poll(context).map(|()| None)
        })
        .await)
    }

    /// As [`within`](Self::within), until `deadline`.
    pub(super) async fn by<T>(
        &self,
        deadline: Timestamp,
        future: impl Future<Output = T>,
    ) -> Result<Option<T>> {
        let mut future = pin!(future);
        if let Poll::Ready(output) = poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await {
            return Ok(Some(output));
        }
        let left = deadline.saturating_since(self.clock.now());
        Box::pin(self.timed(left, future)).await
    }

    /// Carries `work` to its end even if the caller goes away: in the caller while it does not wait for anything, else in
    /// a task. Without a runtime it stays in the caller.
    pub(super) async fn to_the_end<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let mut work: BoxFuture<'static, Result<T>> = Box::pin(work);
        if let Poll::Ready(output) = poll_fn(|context| Poll::Ready(Pin::new(&mut work).poll(context))).await {
            return output;
        }
        if spawn::current().is_err() {
            return work.await;
        }
        let (send, receive) = tokio::sync::oneshot::channel();
        let started = self.start(async move {
            // Nobody listens any more if the caller went away: the work is done all the same.
            let _ = send.send(work.await);
        });
        // Whatever is said of the task, the operation has begun.
        let ambiguous = |message| Error::new(ErrorKind::Ambiguous, message);
        if let Err(refused) = started {
            return Err(
                ambiguous("no task could be started to carry the operation to its end").with_source(refused)
            );
        }
        receive.await.unwrap_or_else(|gone| {
            Err(ambiguous("the runtime shut down during the operation").with_source(gone))
        })
    }
}

/// Whether an error says something about the store, not about what it was asked.
pub(super) fn is_trouble(error: &Error) -> bool {
    !matches!(
        error.kind(),
        ErrorKind::WrongType
            | ErrorKind::Overflow
            | ErrorKind::Unsupported
            | ErrorKind::InvalidKey
            | ErrorKind::TooLarge
    )
}

/// Whether an operation that ended so may have taken effect, or still may. (`Config` is how one ends that found no runtime
/// to wait in.)
pub(super) fn may_have_run(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Timeout | ErrorKind::Ambiguous | ErrorKind::Corrupt | ErrorKind::Config)
}
