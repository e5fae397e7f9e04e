//! The service that a layer makes of another.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use crate::{
    CacheBody, CacheOutcome, Reason, RequestHead, ResponseFuture, StoredResponse,
    fill::Fill,
    hit,
    layer::Shared,
    nested::Filling,
    request::{self, Lookup},
};

/// A service whose responses are cached: what a [`CacheLayer`](crate::CacheLayer) makes of `S`.
///
/// Its error is `S`'s: a failing store never is one. `S` is called only when the cache has no answer.
///
/// ```
/// use http_body_util::Full;
/// use larder_core::Cache;
/// use larder_simple::SimpleStore;
/// use larder_tower::{CacheLayer, CacheService};
/// use tower::{Layer, service_fn};
///
/// let layer = CacheLayer::builder(Cache::new(SimpleStore::new())).build()?;
/// let service: CacheService<_> = layer.layer(service_fn(async |_request: http::Request<String>| {
///     Ok::<_, std::io::Error>(http::Response::new(Full::<bytes::Bytes>::from("hello")))
/// }));
/// # Ok::<(), larder_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct CacheService<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S> CacheService<S> {
    pub(crate) fn new(inner: S, shared: Arc<Shared>) -> Self {
        Self { inner, shared }
    }

    /// Judges a request; `Err` is why it goes past the cache.
    fn judge<ReqB: Body>(&self, head: &RequestHead, body: &ReqB) -> Result<Lookup, Reason> {
        let lookup = request::judge(&self.shared.rules, head, !body.is_end_stream())?;
        if Filling::is_of(head, &self.shared, &lookup) {
            return Err(Reason::Nested);
        }
        Ok(lookup)
    }
}

impl<S, ReqB, ResB> Service<Request<ReqB>> for CacheService<S>
where
    S: Service<Request<ReqB>, Response = Response<ResB>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send + 'static,
    ReqB: Body + Send + 'static,
    ResB: Body<Data = Bytes> + Send + 'static,
    ResB::Error: Send,
{
    type Response = Response<CacheBody<ResB>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, ResB, S::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<ReqB>) -> Self::Future {
        // The service that was polled ready is the one to call. On a hit it is dropped, which gives back whatever being ready
        // reserved: kept, an idle connection would hold it.
        let next = self.inner.clone();
        let mut ready = std::mem::replace(&mut self.inner, next);
        let (head, body) = request.into_parts();
        let lookup = match self.judge(&head, &body) {
            Ok(lookup) => lookup,
            Err(reason) => {
                let answer = ready.call(Request::from_parts(head, body));
                return ResponseFuture::pass(answer, Arc::clone(&self.shared), CacheOutcome::Bypass(reason));
            }
        };
        if !lookup.is_forced
            && let Ok(Some(stored)) = self.shared.cache.peek::<StoredResponse>(lookup.key.as_str())
        {
            let now = self.shared.now();
            let rules = &self.shared.rules;
            return ResponseFuture::ready(hit::respond(rules, &stored, &head.headers, lookup.is_head, now));
        }
        let fill =
            Fill { shared: Arc::clone(&self.shared), lookup, head, body, service: ready, is_ready: true };
        ResponseFuture::fill(Box::pin(fill.run()))
    }
}
