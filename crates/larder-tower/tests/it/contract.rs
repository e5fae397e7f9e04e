//! The contract of tower: which service is called, when, and with what.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use futures_util::future::join_all;
use http::{Request, Response};
use larder_core::Cache;
use larder_simple::SimpleStore;
use larder_tower::{CacheLayer, CacheOutcome, Reason};
use tokio::time::timeout;
use tower::{
    Layer, Service, ServiceBuilder, ServiceExt, buffer::BufferLayer, limit::ConcurrencyLimitLayer, service_fn,
};

use crate::site::{Body, request, respond, respond_with};

const SOON: Duration = Duration::from_secs(5);

fn layer() -> CacheLayer {
    CacheLayer::builder(Cache::new(SimpleStore::new())).build().unwrap()
}

/// Panics if it is called without having been polled ready, as the contract allows it to.
struct Strict {
    is_ready: bool,
    calls: Arc<AtomicUsize>,
    headers: &'static [(&'static str, &'static str)],
}

/// A clone is not ready, whatever the original is.
impl Clone for Strict {
    fn clone(&self) -> Self {
        Self { is_ready: false, calls: Arc::clone(&self.calls), headers: self.headers }
    }
}

impl Service<Request<Body>> for Strict {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.is_ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        assert!(std::mem::take(&mut self.is_ready), "called without being ready");
        self.calls.fetch_add(1, Ordering::SeqCst);
        std::future::ready(Ok(respond_with(self.headers, "x")))
    }
}

#[tokio::test]
async fn only_a_ready_service_is_called_and_only_on_a_miss() {
    let calls = Arc::new(AtomicUsize::new(0));
    let mut service = layer().layer(Strict { is_ready: false, calls: Arc::clone(&calls), headers: &[] });
    for (method, path) in
        [("GET", "/"), ("GET", "/"), ("POST", "/"), ("HEAD", "/"), ("HEAD", "/b"), ("GET", "/b")]
    {
        service.ready().await.unwrap().call(request(method, path, &[])).await.unwrap();
    }
    assert_eq!(calls.load(Ordering::SeqCst), 4, "GET /, POST /, HEAD /b, GET /b");
}

#[tokio::test]
async fn whoever_waited_makes_its_service_ready_again() {
    let calls = Arc::new(AtomicUsize::new(0));
    let strict = Strict { is_ready: false, calls: Arc::clone(&calls), headers: &[("set-cookie", "a=1")] };
    let slow = service_fn({
        let strict = strict.clone();
        move |request| {
            let strict = strict.clone();
            async move {
                tokio::task::yield_now().await;
                strict.oneshot(request).await
            }
        }
    });
    let service = layer().layer(slow);
    join_all((0..10).map(|_| service.clone().oneshot(request("GET", "/", &[])))).await;
    assert_eq!(calls.load(Ordering::SeqCst), 10);
}

#[tokio::test]
async fn a_concurrency_limit_of_one_neither_panics_nor_hangs() {
    let inner = ServiceBuilder::new().layer(ConcurrencyLimitLayer::new(1)).service(service_fn(
        |request: Request<Body>| async move {
            tokio::time::sleep(Duration::from_millis(1)).await;
            let personal = request.uri().path() == "/personal";
            Ok::<_, Infallible>(if personal {
                respond_with(&[("set-cookie", "a=1")], "x")
            } else {
                respond("x")
            })
        },
    ));
    let service = layer().layer(inner);
    for path in ["/", "/", "/personal", "/personal"] {
        let storm = join_all((0..10).map(|_| service.clone().oneshot(request("GET", path, &[]))));
        let answers = timeout(SOON, storm).await.expect("it hangs");
        assert!(answers.iter().all(Result::is_ok), "{path}");
    }
}

#[tokio::test]
async fn a_hit_gives_back_what_being_ready_reserved() {
    let inner = ServiceBuilder::new()
        .layer(ConcurrencyLimitLayer::new(1))
        .service(service_fn(|_: Request<Body>| async { Ok::<_, Infallible>(respond("x")) }));
    let mut idle = layer().layer(inner);
    let other = idle.clone();
    for _ in 0..2 {
        idle.ready().await.unwrap().call(request("GET", "/", &[])).await.unwrap();
    }
    // `idle` is kept, as by a connection between requests; its last answer was a hit.
    let answer = timeout(SOON, other.oneshot(request("GET", "/other", &[]))).await;
    assert!(answer.expect("an idle connection holds the permit").is_ok());
}

#[tokio::test]
async fn whoever_waits_for_another_holds_no_permit() {
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let handler = Arc::clone(&gate);
    let inner = ServiceBuilder::new().layer(ConcurrencyLimitLayer::new(2)).service(service_fn(
        move |request: Request<Body>| {
            let gate = Arc::clone(&handler);
            async move {
                if request.uri().path() == "/slow" {
                    gate.acquire().await.unwrap().forget();
                }
                Ok::<_, Infallible>(respond("x"))
            }
        },
    ));
    let service = layer().layer(inner);
    let slow = join_all((0..5).map(|_| service.clone().oneshot(request("GET", "/slow", &[]))));
    let slow = tokio::spawn(slow);
    tokio::task::yield_now().await;
    let other = timeout(SOON, service.oneshot(request("GET", "/other", &[]))).await;
    assert!(other.expect("those who wait hold the permits").is_ok());
    gate.add_permits(1);
    assert_eq!(timeout(SOON, slow).await.expect("they hang").unwrap().len(), 5);
}

#[tokio::test]
async fn works_within_a_buffer_and_around_one() {
    let handler = service_fn(|_: Request<Body>| async { Ok::<_, Infallible>(respond("x")) });
    let within = ServiceBuilder::new().layer(BufferLayer::new(4)).layer(layer()).service(handler);
    let around = ServiceBuilder::new().layer(layer()).layer(BufferLayer::new(4)).service(handler);
    for _ in 0..2 {
        let answers = join_all((0..20).map(|_| within.clone().oneshot(request("GET", "/", &[])))).await;
        assert!(answers.iter().all(Result::is_ok));
        let answers = join_all((0..20).map(|_| around.clone().oneshot(request("GET", "/", &[])))).await;
        assert!(answers.iter().all(Result::is_ok));
    }
}

#[tokio::test]
async fn errors_are_the_inner_services_own() {
    #[derive(Debug, PartialEq)]
    struct Own(u8);

    let calls = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&calls);
    let service = layer().layer(service_fn(move |_: Request<Body>| {
        let call = counter.fetch_add(1, Ordering::SeqCst) + 1;
        async move { if call < 3 { Err(Own(7)) } else { Ok(respond("x")) } }
    }));
    let send = || timeout(SOON, service.clone().oneshot(request("GET", "/", &[])));
    for _ in 0..2 {
        assert_eq!(send().await.expect("it hangs").unwrap_err(), Own(7));
    }
    assert!(send().await.expect("it hangs").is_ok());
}

#[tokio::test]
async fn readiness_is_the_inner_services() {
    #[derive(Clone, Debug)]
    struct Broken;

    impl Service<Request<Body>> for Broken {
        type Response = Response<Body>;
        type Error = &'static str;
        type Future = std::future::Pending<Result<Response<Body>, &'static str>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), &'static str>> {
            Poll::Ready(Err("broken"))
        }

        fn call(&mut self, _: Request<Body>) -> Self::Future {
            std::future::pending()
        }
    }
    assert_eq!(layer().layer(Broken).ready().await.unwrap_err(), "broken");
}

#[tokio::test]
async fn extensions_reach_the_handler() {
    #[derive(Clone)]
    struct User(&'static str);

    let service = layer().layer(service_fn(|request: Request<Body>| async move {
        let user = request.extensions().get::<User>().map_or("lost", |user| user.0);
        Ok::<_, Infallible>(respond(user))
    }));
    for (method, reason) in [("GET", None), ("POST", Some(Reason::Method))] {
        let mut request = request(method, "/", &[]);
        request.extensions_mut().insert(User("ada"));
        let response = service.clone().oneshot(request).await.unwrap();
        assert_eq!(response.extensions().get::<CacheOutcome>().unwrap().reason(), reason);
        let body = http_body_util::BodyExt::collect(response.into_body()).await.unwrap().to_bytes();
        assert_eq!(body, "ada");
    }
}
