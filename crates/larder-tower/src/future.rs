//! The future of a response.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::Response;
use http_body::Body;
use pin_project_lite::pin_project;

use crate::{CacheBody, CacheOutcome, hit, layer::Shared};

type Boxed<B, E> = Pin<Box<dyn Future<Output = Result<Response<CacheBody<B>>, E>> + Send>>;

pin_project! {
    /// The future of a [`CacheService`](crate::CacheService): a hit is there at once, and a request that goes past the cache
    /// waits for the inner service's own future; only a miss is boxed.
    ///
    /// ```
    /// fn names<F, B: http_body::Body, E>(future: &larder_tower::ResponseFuture<F, B, E>) -> String {
    ///     format!("{future:?}")
    /// }
    /// ```
    pub struct ResponseFuture<F, B: Body, E> {
        #[pin]
        state: State<F, B, E>,
    }
}

pin_project! {
    #[project = Projected]
    enum State<F, B: Body, E> {
        Ready { response: Option<Response<CacheBody<B>>> },
        Pass { #[pin] answer: F, shared: Arc<Shared>, outcome: CacheOutcome },
        Fill { fill: Boxed<B, E> },
    }
}

impl<F, B: Body, E> ResponseFuture<F, B, E> {
    pub(crate) fn ready(response: Response<CacheBody<B>>) -> Self {
        Self { state: State::Ready { response: Some(response) } }
    }

    pub(crate) fn pass(answer: F, shared: Arc<Shared>, outcome: CacheOutcome) -> Self {
        Self { state: State::Pass { answer, shared, outcome } }
    }

    pub(crate) fn fill(fill: Boxed<B, E>) -> Self {
        Self { state: State::Fill { fill } }
    }
}

impl<F, B, E> Future for ResponseFuture<F, B, E>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body<Data = Bytes>,
{
    type Output = Result<Response<CacheBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            Projected::Ready { response } => {
                Poll::Ready(Ok(response.take().expect("not polled after it was ready")))
            }
            Projected::Fill { fill } => fill.as_mut().poll(context),
            Projected::Pass { answer, shared, outcome } => {
                let mut response = ready!(answer.poll(context))?.map(CacheBody::pass);
                hit::mark(&shared.rules, &mut response, *outcome);
                Poll::Ready(Ok(response))
            }
        }
    }
}

impl<F, B: Body, E> fmt::Debug for ResponseFuture<F, B, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.state {
            State::Ready { .. } => "ResponseFuture::Ready",
            State::Pass { .. } => "ResponseFuture::Pass",
            State::Fill { .. } => "ResponseFuture::Fill",
        })
    }
}
