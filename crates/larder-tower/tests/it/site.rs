//! A handler behind the layer, and what a client sees of it.

use std::{
    convert::Infallible,
    future::Ready,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use larder_core::{Cache, ManualClock};
use larder_simple::SimpleStore;
use larder_tower::{CacheLayer, CacheLayerBuilder, CacheOutcome, CacheService, RequestHead};
use tower::{Layer, Service, ServiceExt};

pub(crate) type Body = Full<Bytes>;

/// A cache in this process whose time stands still until told otherwise.
pub(crate) fn cache() -> (Cache, ManualClock) {
    let clock = ManualClock::default();
    let store = SimpleStore::builder().clock(Arc::new(clock.clone())).build().unwrap();
    (Cache::new(store), clock)
}

type Handler = dyn Fn(&RequestHead, usize) -> Response<Body> + Send + Sync;

/// The handler: gets the head of the request, and how often it has run, this time included.
#[derive(Clone)]
pub(crate) struct App {
    handler: Arc<Handler>,
    calls: Arc<AtomicUsize>,
}

impl Service<Request<Body>> for App {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Infallible>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let call = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        std::future::ready(Ok((self.handler)(&request.into_parts().0, call)))
    }
}

pub(crate) struct Site {
    pub(crate) layer: CacheLayer,
    pub(crate) clock: ManualClock,
    service: CacheService<App>,
    app: App,
}

/// What a client got.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
    pub(crate) outcome: CacheOutcome,
}

impl Site {
    /// A site with the layer's defaults.
    pub(crate) fn new(
        handler: impl Fn(&RequestHead, usize) -> Response<Body> + Send + Sync + 'static,
    ) -> Self {
        Self::with(|layer| layer, handler)
    }

    pub(crate) fn with(
        options: impl FnOnce(CacheLayerBuilder) -> CacheLayerBuilder,
        handler: impl Fn(&RequestHead, usize) -> Response<Body> + Send + Sync + 'static,
    ) -> Self {
        let (cache, clock) = cache();
        let layer = options(CacheLayer::builder(cache)).build().unwrap();
        let app = App { handler: Arc::new(handler), calls: Arc::default() };
        Self { service: layer.layer(app.clone()), layer, clock, app }
    }

    pub(crate) fn calls(&self) -> usize {
        self.app.calls.load(Ordering::SeqCst)
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.service.clone().oneshot(request).await.unwrap();
        let outcome = *response.extensions().get::<CacheOutcome>().expect("every response has one");
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer {
            status: head.status,
            headers: head.headers,
            body: String::from_utf8_lossy(&body).into_owned(),
            outcome,
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(request("GET", path, &[])).await
    }

    pub(crate) async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send(request("GET", path, headers)).await
    }

    /// Whether the second of two such requests is served without the handler.
    pub(crate) async fn caches(&self, path: &str, headers: &[(&str, &str)]) -> bool {
        self.get_with(path, headers).await;
        let before = self.calls();
        let second = self.get_with(path, headers).await;
        let hit = matches!(second.outcome, CacheOutcome::Hit { .. });
        assert_eq!(hit, self.calls() == before, "a hit is what did not run the handler");
        hit
    }
}

pub(crate) fn request(method: &str, path: &str, headers: &[(&str, &str)]) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    if !headers.iter().any(|(name, _)| *name == "host") && path.starts_with('/') {
        request = request.header("host", "localhost");
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Body::default()).unwrap()
}

pub(crate) fn respond(body: impl Into<String>) -> Response<Body> {
    Response::new(Body::from(body.into()))
}

pub(crate) fn respond_with(headers: &[(&str, &str)], body: impl Into<String>) -> Response<Body> {
    let mut response = Response::builder();
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(Body::from(body.into())).unwrap()
}
