//! Bodies: short and long, streaming, failing, cut short.

use std::{
    convert::Infallible,
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::{BodyExt, StreamBody, combinators::UnsyncBoxBody};
use larder_core::Cache;
use larder_simple::SimpleStore;
use larder_tower::{CacheBody, CacheLayer, CacheOutcome, Reason, StoredResponse};
use tower::{Layer, ServiceExt, service_fn, util::BoxCloneService};

use crate::site::{Body, request};

type Stream = UnsyncBoxBody<Bytes, io::Error>;
type Cached = BoxCloneService<Request<Body>, Response<CacheBody<Stream>>, Infallible>;

fn streaming(frames: Vec<Result<Frame<Bytes>, io::Error>>) -> Stream {
    // Each frame is ready only when asked a second time, as from a socket.
    let frames = stream::iter(frames).then(|frame| async {
        tokio::task::yield_now().await;
        frame
    });
    UnsyncBoxBody::new(StreamBody::new(frames))
}

#[expect(clippy::unnecessary_wraps, reason = "the item of a stream that can fail")]
fn data(text: &'static str) -> Result<Frame<Bytes>, io::Error> {
    Ok(Frame::data(text.into()))
}

/// What a site with such responses does: the first response, its body read to the end, and whether the second request
/// ran the handler again.
struct Twice {
    outcome: CacheOutcome,
    body: Result<Bytes, io::Error>,
    is_stored: bool,
    second: Option<Bytes>,
}

fn service(
    layer: &CacheLayer,
    make: impl Fn() -> Response<Stream> + Clone + Send + 'static,
) -> (Cached, Arc<AtomicUsize>) {
    let calls = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&calls);
    let inner = service_fn(move |_: Request<Body>| {
        counter.fetch_add(1, Ordering::SeqCst);
        std::future::ready(Ok::<_, Infallible>(make()))
    });
    (BoxCloneService::new(layer.layer(inner)), calls)
}

fn layer() -> CacheLayer {
    CacheLayer::builder(Cache::new(SimpleStore::new())).max_body(100).build().unwrap()
}

async fn twice(make: impl Fn() -> Response<Stream> + Clone + Send + 'static) -> Twice {
    let (service, calls) = service(&layer(), make);
    let first = service.clone().oneshot(request("GET", "/", &[])).await.unwrap();
    let outcome = *first.extensions().get().unwrap();
    let body = first.into_body().collect().await.map(http_body_util::Collected::to_bytes);
    let second = service.oneshot(request("GET", "/", &[])).await.unwrap();
    let is_stored = calls.load(Ordering::SeqCst) == 1;
    let second = second.into_body().collect().await.ok().map(http_body_util::Collected::to_bytes);
    Twice { outcome, body, is_stored, second }
}

#[tokio::test]
async fn a_stream_that_ends_well_is_stored() {
    let seen = twice(|| Response::new(streaming(vec![data("one "), data(""), data("two")]))).await;
    assert_eq!(seen.outcome, CacheOutcome::Miss);
    assert_eq!(seen.body.unwrap(), "one two");
    assert!(seen.is_stored);
    assert_eq!(seen.second.unwrap(), "one two");
}

#[tokio::test]
async fn a_body_that_fails_is_not_stored_and_its_error_is_its_own() {
    let seen = twice(|| Response::new(streaming(vec![data("one "), Err(io::Error::other("cut"))]))).await;
    assert_eq!(seen.body.unwrap_err().to_string(), "cut");
    assert!(!seen.is_stored);
}

#[tokio::test]
async fn a_body_that_fails_after_all_it_announced_is_not_stored_either() {
    let seen = twice(|| {
        let mut response = Response::new(streaming(vec![data("one"), Err(io::Error::other("cut"))]));
        response.headers_mut().insert("content-length", HeaderValue::from_static("3"));
        response
    })
    .await;
    assert!(seen.body.is_err());
    assert!(!seen.is_stored);
}

#[tokio::test]
async fn a_body_of_unknown_length_is_not_read_before_it_is_asked_for() {
    let reads = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&reads);
    let (service, _) = service(&layer(), move || {
        let counter = Arc::clone(&counter);
        let frames = stream::iter([data("one "), data("two")]).inspect(move |_| {
            counter.fetch_add(1, Ordering::SeqCst);
        });
        Response::new(UnsyncBoxBody::new(StreamBody::new(frames)))
    });
    let mut response = service.oneshot(request("GET", "/", &[])).await.unwrap();
    assert_eq!(reads.load(Ordering::SeqCst), 0);
    response.body_mut().frame().await.unwrap().unwrap();
    assert_eq!(reads.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_body_of_another_length_than_announced_is_not_stored() {
    for announced in ["6", "8"] {
        let seen = twice(move || {
            let mut response = Response::new(streaming(vec![data("one "), data("two")]));
            response.headers_mut().insert("content-length", HeaderValue::from_static(announced));
            response
        })
        .await;
        assert_eq!(seen.body.unwrap(), "one two", "it passes as it is");
        assert!(!seen.is_stored, "{announced}");
    }
}

#[tokio::test]
async fn a_ready_body_that_lies_about_its_length_passes_and_is_not_stored() {
    for announced in ["2", "9"] {
        let (service, calls) = service(&layer(), move || {
            // It must not be asked again after its end.
            let frames = stream::unfold(0, |at| {
                std::future::ready((at < 2).then(|| (data(["abc", "def"][at]), at + 1)))
            });
            let body = StreamBody::new(frames);
            let mut response = Response::new(UnsyncBoxBody::new(body));
            response.headers_mut().insert("content-length", HeaderValue::from_static(announced));
            response
        });
        for call in 1..=2 {
            let response = service.clone().oneshot(request("GET", "/", &[])).await.unwrap();
            assert_eq!(response.extensions().get(), Some(&CacheOutcome::NotStored(Reason::Length)));
            assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "abcdef");
            assert_eq!(calls.load(Ordering::SeqCst), call);
        }
    }
}

#[tokio::test]
async fn a_body_over_the_limit_passes_untouched() {
    let seen = twice(|| {
        let frames = (0..11).map(|_| data("0123456789")).collect();
        Response::new(streaming(frames))
    })
    .await;
    assert_eq!(seen.body.unwrap().len(), 110);
    assert!(!seen.is_stored);
    let known = twice(|| {
        Response::new(http_body_util::Full::from(vec![0; 101]).map_err(|e| match e {}).boxed_unsync())
    })
    .await;
    assert_eq!(known.outcome, CacheOutcome::NotStored(Reason::TooLarge));
    let exact = twice(|| {
        Response::new(http_body_util::Full::from(vec![0; 100]).map_err(|e| match e {}).boxed_unsync())
    })
    .await;
    assert!(exact.is_stored);
}

#[tokio::test]
async fn trailers_pass_and_keep_a_response_from_the_store() {
    let make = || {
        let trailers = HeaderMap::from_iter([("x-sum".parse().unwrap(), HeaderValue::from_static("1"))]);
        Response::new(streaming(vec![data("one"), Ok(Frame::trailers(trailers))]))
    };
    let (service, calls) = service(&layer(), make);
    for call in 1..=2 {
        let response = service.clone().oneshot(request("GET", "/", &[])).await.unwrap();
        let body = response.into_body().collect().await.unwrap();
        assert_eq!(body.trailers().unwrap()["x-sum"], "1");
        assert_eq!(calls.load(Ordering::SeqCst), call);
    }
}

#[tokio::test]
async fn an_empty_body_is_stored() {
    let seen = twice(|| Response::new(streaming(vec![]))).await;
    assert!(seen.is_stored);
    assert_eq!(seen.second.unwrap(), "");
}

#[tokio::test]
async fn a_body_dropped_before_its_end_is_not_stored() {
    let (service, calls) = service(&layer(), || Response::new(streaming(vec![data("one "), data("two")])));
    let mut response = service.clone().oneshot(request("GET", "/", &[])).await.unwrap();
    let first = response.body_mut().frame().await.unwrap().unwrap();
    assert_eq!(first.into_data().unwrap(), "one ");
    drop(response);
    let whole = service.oneshot(request("GET", "/", &[])).await.unwrap();
    assert_eq!(whole.into_body().collect().await.unwrap().to_bytes(), "one two");
    assert_eq!(calls.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn whoever_waits_for_a_body_dropped_before_its_end_makes_it_anew() {
    let (service, calls) = service(&layer(), || Response::new(streaming(vec![data("one "), data("two")])));
    let mut leading = service.clone().oneshot(request("GET", "/", &[])).await.unwrap();
    leading.body_mut().frame().await.unwrap().unwrap();
    let mut waiting = Box::pin(service.clone().oneshot(request("GET", "/", &[])));
    for _ in 0..10 {
        tokio::select! { biased; _ = &mut waiting => panic!("it does not wait"), () = tokio::task::yield_now() => {} }
    }
    drop(leading);
    let whole = tokio::time::timeout(Duration::from_secs(5), waiting).await.expect("it hangs").unwrap();
    assert_eq!(whole.into_body().collect().await.unwrap().to_bytes(), "one two");
    assert_eq!(calls.load(Ordering::SeqCst), 2);
    let hit = service.oneshot(request("GET", "/", &[])).await.unwrap();
    assert!(matches!(hit.extensions().get(), Some(CacheOutcome::Hit { .. })));
}

#[tokio::test]
async fn an_entry_keeps_no_larger_buffer_alive_than_it_weighs() {
    let large = Bytes::from(vec![b'x'; 1 << 20]);
    let part = large.slice(10..20);
    let layer = layer();
    let (service, _) = service(&layer, move || {
        Response::new(http_body_util::Full::from(part.clone()).map_err(|e| match e {}).boxed_unsync())
    });
    service.oneshot(request("GET", "/", &[])).await.unwrap();
    let key = layer.key_for(&request("GET", "/", &[]).into_parts().0).unwrap();
    let stored = layer.cache().get::<StoredResponse>(&key).await.unwrap().unwrap();
    assert_eq!(stored.body(), "xxxxxxxxxx");
    assert!(!large.as_ptr_range().contains(&stored.body().as_ptr()));
}

#[tokio::test]
async fn a_server_that_stops_at_the_announced_length_has_read_it_all() {
    let (service, calls) = service(&layer(), || {
        let mut response = Response::new(streaming(vec![data("one "), data("two")]));
        response.headers_mut().insert("content-length", HeaderValue::from_static("7"));
        response
    });
    let mut response = service.clone().oneshot(request("GET", "/", &[])).await.unwrap();
    for _ in 0..2 {
        response.body_mut().frame().await.unwrap().unwrap();
    }
    drop(response);
    let hit = service.oneshot(request("GET", "/", &[])).await.unwrap();
    assert_eq!(hit.into_body().collect().await.unwrap().to_bytes(), "one two");
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn the_first_byte_of_a_stream_comes_before_its_end() {
    for kind in ["text/plain", "text/event-stream"] {
        // The rest is made only once the beginning has arrived.
        let gate = Arc::new(tokio::sync::Semaphore::new(0));
        let handler = Arc::clone(&gate);
        let (service, _) = service(&layer(), move || {
            let gate = Arc::clone(&handler);
            let late = stream::once(async move {
                gate.acquire().await.unwrap().forget();
                data("late")
            });
            let body = StreamBody::new(stream::iter([data("early")]).chain(late));
            let mut response = Response::new(UnsyncBoxBody::new(body));
            response.headers_mut().insert("content-type", HeaderValue::from_static(kind));
            response
        });
        let early = async {
            let mut response = service.oneshot(request("GET", "/", &[])).await.unwrap();
            let first = response.body_mut().frame().await.unwrap().unwrap().into_data().unwrap();
            (first, response)
        };
        let (first, response) =
            tokio::time::timeout(Duration::from_secs(5), early).await.expect("the stream is held up");
        assert_eq!(first, "early", "{kind}");
        gate.add_permits(1);
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "late");
    }
}

#[tokio::test]
async fn sizes_are_told_as_they_are() {
    let body = |text: &'static str| http_body_util::Full::from(text).map_err(|e| match e {}).boxed_unsync();
    let (service, _) = service(&layer(), move || Response::new(body("hello")));
    for _ in 0..2 {
        let response = service.clone().oneshot(request("GET", "/", &[])).await.unwrap();
        assert_eq!(response.body().size_hint().exact(), Some(5));
        assert!(!response.body().is_end_stream());
    }
    let head = service.clone().oneshot(request("HEAD", "/", &[])).await.unwrap();
    assert_eq!(head.body().size_hint().exact(), Some(0));
    assert!(head.body().is_end_stream());
}

/// A body that knows its length and needs a while, as a file does.
struct Slow {
    left: Vec<&'static str>,
    waited: bool,
}

impl http_body::Body for Slow {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.left.len() == 1 && !self.waited {
            self.waited = true;
            context.waker().wake_by_ref();
            return std::task::Poll::Pending;
        }
        std::task::Poll::Ready(self.left.pop().map(data))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left.iter().map(|chunk| chunk.len() as u64).sum())
    }
}

#[tokio::test]
async fn what_was_read_ahead_of_a_slow_body_is_not_lost() {
    let (service, calls) = service(&layer(), || {
        Response::new(UnsyncBoxBody::new(Slow { left: vec!["three", "two ", "one "], waited: false }))
    });
    let response = service.clone().oneshot(request("GET", "/", &[])).await.unwrap();
    assert_eq!(response.body().size_hint().exact(), Some(13));
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "one two three");
    let hit = service.oneshot(request("GET", "/", &[])).await.unwrap();
    assert_eq!(hit.into_body().collect().await.unwrap().to_bytes(), "one two three");
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}
