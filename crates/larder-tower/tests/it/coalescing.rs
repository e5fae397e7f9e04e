//! Requests that miss at the same time.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use http::{Request, Response};
use http_body_util::BodyExt;
use larder_core::{Cache, ManualClock};
use larder_simple::SimpleStore;
use larder_tower::{CacheBody, CacheLayer, CacheLayerBuilder, CacheOutcome, Reason};
use tokio::{sync::Barrier, time::timeout};
use tower::{Layer, ServiceExt, service_fn, util::BoxCloneSyncService};

use crate::site::{Body, request, respond, respond_with};

type Cached<B> = BoxCloneSyncService<Request<Body>, Response<CacheBody<B>>, Infallible>;

const SOON: Duration = Duration::from_secs(5);

fn layer() -> CacheLayer {
    CacheLayer::builder(Cache::new(SimpleStore::new())).build().unwrap()
}

async fn body_of<B: http_body::Body<Data = bytes::Bytes, Error: std::fmt::Debug>>(
    response: Response<B>,
) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

/// Sends so many requests at once and returns the answers.
async fn storm<B>(service: &Cached<B>, count: usize) -> Vec<(CacheOutcome, Option<String>, String)>
where
    B: http_body::Body<Data = bytes::Bytes, Error: std::fmt::Debug>,
{
    join_all((0..count).map(|_| async {
        let response = service.clone().oneshot(request("GET", "/", &[])).await.unwrap();
        let outcome = *response.extensions().get::<CacheOutcome>().unwrap();
        let cookie = response.headers().get("set-cookie").map(|value| value.to_str().unwrap().to_owned());
        (outcome, cookie, body_of(response).await)
    }))
    .await
}

/// A service whose handler is given how often it has run.
fn service<F, B>(
    layer: &CacheLayer,
    handler: impl Fn(usize) -> F + Clone + Send + Sync + 'static,
) -> (Cached<B>, Arc<AtomicUsize>)
where
    F: Future<Output = Response<B>> + Send + 'static,
    B: http_body::Body<Data = bytes::Bytes, Error: Send> + Send + 'static,
{
    let calls = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&calls);
    let inner = service_fn(move |_: Request<Body>| {
        let answer = handler(counter.fetch_add(1, Ordering::SeqCst) + 1);
        async move { Ok(answer.await) }
    });
    (BoxCloneSyncService::new(layer.layer(inner)), calls)
}

#[tokio::test]
async fn fifty_requests_run_the_handler_once() {
    let (service, calls) = service(&layer(), |call| async move {
        tokio::time::sleep(Duration::from_millis(20)).await;
        respond(call.to_string())
    });
    let answers = storm(&service, 50).await;
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    assert!(answers.iter().all(|(_, _, body)| body == "1"));
    assert_eq!(answers.iter().filter(|(outcome, ..)| *outcome == CacheOutcome::Miss).count(), 1);
}

#[tokio::test]
async fn fifty_set_cookies_stay_with_fifty_requests_which_run_together() {
    // All but the leader meet here: if any waited for another, nobody would get past.
    let together = Arc::new(Barrier::new(49));
    let (service, calls) = service(&layer(), move |call| {
        let together = Arc::clone(&together);
        async move {
            if call == 1 {
                tokio::task::yield_now().await;
            } else {
                together.wait().await;
            }
            respond_with(&[("set-cookie", &format!("session={call}"))], call.to_string())
        }
    });
    let answers = timeout(SOON, storm(&service, 50)).await.expect("they run one after another");
    assert_eq!(calls.load(Ordering::SeqCst), 50);
    let mut cookies: Vec<_> = answers.iter().map(|(_, cookie, _)| cookie.clone().unwrap()).collect();
    cookies.sort();
    cookies.dedup();
    assert_eq!(cookies.len(), 50, "nobody got another's cookie");
    for (outcome, cookie, body) in answers {
        assert_eq!(cookie.unwrap(), format!("session={body}"), "cookie and body are of one response");
        assert!(matches!(outcome, CacheOutcome::NotStored(Reason::SetCookie | Reason::LeaderGaveUp)));
    }
}

#[tokio::test]
async fn a_key_lately_found_personal_does_not_make_anyone_wait_again() {
    let together = Arc::new(Barrier::new(10));
    let (service, _) = service(&layer(), move |call| {
        let together = Arc::clone(&together);
        async move {
            if call > 1 {
                together.wait().await;
            }
            respond_with(&[("set-cookie", "session=1")], "x")
        }
    });
    storm(&service, 1).await;
    let answers = timeout(SOON, storm(&service, 10)).await.expect("they wait for a leader");
    let reasons: Vec<_> = answers.iter().filter_map(|(outcome, ..)| outcome.reason()).collect();
    assert_eq!(reasons.iter().filter(|reason| **reason == Reason::NotWaiting).count(), 9);
    assert_eq!(reasons.iter().filter(|reason| **reason == Reason::SetCookie).count(), 1);
}

#[tokio::test]
async fn a_key_once_personal_is_stored_when_it_no_longer_is() {
    let (service, calls) = service(&layer(), |call| async move {
        if call == 1 { respond_with(&[("set-cookie", "session=1")], "mine") } else { respond("everyone's") }
    });
    for _ in 0..3 {
        storm(&service, 1).await;
    }
    assert_eq!(calls.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn without_coalescing_each_runs_and_one_fills() {
    let together = Arc::new(Barrier::new(10));
    let layer = CacheLayer::builder(Cache::new(SimpleStore::new())).coalesce(false).build().unwrap();
    let (service, calls) = service(&layer, move |call| {
        let together = Arc::clone(&together);
        async move {
            together.wait().await;
            respond(call.to_string())
        }
    });
    let answers = timeout(SOON, storm(&service, 10)).await.expect("they wait for each other");
    assert_eq!(answers.iter().filter(|(outcome, ..)| *outcome == CacheOutcome::Miss).count(), 1);
    storm(&service, 1).await;
    assert_eq!(calls.load(Ordering::SeqCst), 10);
    layer.cache().clear().await.unwrap();
    let answers = timeout(SOON, storm(&service, 10)).await.expect("they wait for each other");
    assert_eq!(answers.iter().filter(|(outcome, ..)| *outcome == CacheOutcome::Miss).count(), 1);
}

#[tokio::test]
async fn a_failed_leader_releases_everyone_at_once() {
    let together = Arc::new(Barrier::new(9));
    let (service, calls) = service(&layer(), move |call| {
        let together = Arc::clone(&together);
        async move {
            if call == 1 {
                tokio::task::yield_now().await;
            } else {
                together.wait().await;
            }
            Response::builder().status(503).body(Body::default()).unwrap()
        }
    });
    timeout(SOON, storm(&service, 10)).await.expect("they run one after another");
    assert_eq!(calls.load(Ordering::SeqCst), 10);
}

#[tokio::test]
async fn when_the_leader_goes_away_one_other_leads() {
    let (service, calls) = service(&layer(), |call| async move {
        if call == 1 {
            std::future::pending::<()>().await;
        }
        respond(call.to_string())
    });
    let leader = tokio::spawn(service.clone().oneshot(request("GET", "/", &[])));
    while calls.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    let others = tokio::spawn({
        let service = service.clone();
        async move { storm(&service, 5).await.len() }
    });
    tokio::task::yield_now().await;
    leader.abort();
    assert_eq!(timeout(SOON, others).await.expect("they hang").unwrap(), 5);
    assert_eq!(calls.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn when_the_handler_panics_one_other_leads() {
    let (service, calls) = service(&layer(), |call| async move {
        tokio::time::sleep(Duration::from_millis(10)).await;
        assert!(call > 1, "a bug in the handler");
        respond(call.to_string())
    });
    let leader = tokio::spawn(service.clone().oneshot(request("GET", "/", &[])));
    while calls.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    let answers = timeout(SOON, storm(&service, 5)).await.expect("they hang");
    assert!(leader.await.is_err());
    assert_eq!(answers[0].2, "2");
    assert_eq!(calls.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn followers_wait_for_a_body_that_will_be_stored() {
    let (service, calls) = service(&layer(), |call| async move {
        let chunks = futures_util::stream::unfold(0, move |at| async move {
            tokio::time::sleep(Duration::from_millis(5)).await;
            let frame = http_body::Frame::data(bytes::Bytes::from(format!("{call}.{at} ")));
            (at < 3).then_some((Ok::<_, Infallible>(frame), at + 1))
        });
        Response::new(http_body_util::StreamBody::new(Box::pin(chunks)))
    });
    let answers = timeout(SOON, storm(&service, 10)).await.expect("they hang");
    assert!(answers.iter().all(|(.., body)| body == "1.0 1.1 1.2 "), "{answers:?}");
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_leader_past_its_time_is_not_waited_for() {
    let clock = ManualClock::default();
    let store = SimpleStore::builder().clock(Arc::new(clock.clone())).build().unwrap();
    let cache = Cache::builder(store).load_timeout(Duration::from_secs(30)).build().unwrap();
    let layer = CacheLayer::builder(cache).build().unwrap();
    let (service, calls) = service(&layer, |call| async move {
        if call == 1 {
            std::future::pending::<()>().await;
        }
        respond("in time")
    });
    let stuck = tokio::spawn(service.clone().oneshot(request("GET", "/", &[])));
    let waiting = tokio::spawn(service.clone().oneshot(request("GET", "/", &[])));
    while calls.load(Ordering::SeqCst) < 1 {
        tokio::task::yield_now().await;
    }
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
    assert_eq!(calls.load(Ordering::SeqCst), 1, "the second waits for the first");
    clock.advance(Duration::from_secs(30));
    let answer = timeout(SOON, waiting).await.unwrap().unwrap().unwrap();
    let outcome = *answer.extensions().get::<CacheOutcome>().unwrap();
    assert_eq!(outcome, CacheOutcome::NotStored(Reason::LeaderTimedOut));
    assert_eq!(body_of(answer).await, "in time");
    stuck.abort();
}

/// A layer over a store whose time stands still.
fn timed(options: impl FnOnce(CacheLayerBuilder) -> CacheLayerBuilder) -> (CacheLayer, ManualClock) {
    let clock = ManualClock::default();
    let store = SimpleStore::builder().clock(Arc::new(clock.clone())).build().unwrap();
    (options(CacheLayer::builder(Cache::new(store))).build().unwrap(), clock)
}

/// A body of unknown length, of which nothing is made before it is asked for.
fn stream(
    chunks: &'static [&'static str],
) -> Response<impl http_body::Body<Data = bytes::Bytes, Error = Infallible>> {
    let frames =
        chunks.iter().map(|chunk| Ok(http_body::Frame::data(bytes::Bytes::from_static(chunk.as_bytes()))));
    Response::new(http_body_util::StreamBody::new(futures_util::stream::iter(frames)))
}

#[tokio::test]
async fn a_stream_found_too_long_at_its_end_does_not_make_anyone_wait() {
    let (layer, clock) = timed(|layer| layer.max_body(4));
    let together = Arc::new(Barrier::new(3));
    let (service, _) = service(&layer, move |call| {
        let together = Arc::clone(&together);
        async move {
            if call > 1 {
                together.wait().await;
            }
            stream(&["one ", "two"])
        }
    });
    let first = service.clone().oneshot(request("GET", "/", &[])).await.unwrap();
    clock.advance(Duration::from_secs(11));
    assert_eq!(body_of(first).await, "one two");
    let answers = timeout(SOON, storm(&service, 3)).await.expect("they wait for a leader");
    assert_eq!(
        answers.iter().filter(|(outcome, ..)| outcome.reason() == Some(Reason::NotWaiting)).count(),
        2
    );
}

#[tokio::test]
async fn a_slow_reader_keeps_others_from_filling_no_longer_than_a_load_may_take() {
    let (layer, clock) = timed(|layer| layer.coalesce(false));
    let (service, calls) = service(&layer, |_| async { stream(&["one ", "two"]) });
    let slow = service.clone().oneshot(request("GET", "/", &[])).await.unwrap();
    assert_eq!(storm(&service, 1).await[0].0, CacheOutcome::NotStored(Reason::NotWaiting));
    clock.advance(Duration::from_secs(30));
    assert_eq!(storm(&service, 1).await[0].0, CacheOutcome::Miss);
    assert!(matches!(storm(&service, 1).await[0].0, CacheOutcome::Hit { .. }));
    assert_eq!(calls.load(Ordering::SeqCst), 3);
    assert_eq!(body_of(slow).await, "one two");
}

#[tokio::test]
async fn requests_without_a_key_do_not_wait_for_each_other() {
    let together = Arc::new(Barrier::new(5));
    let (service, _) = service(&layer(), move |_| {
        let together = Arc::clone(&together);
        async move {
            together.wait().await;
            respond("x")
        }
    });
    let requests = (0..5).map(|_| service.clone().oneshot(request("GET", "/", &[("host", "a@b")])));
    timeout(SOON, join_all(requests)).await.expect("requests without a key share one");
}

#[tokio::test]
async fn an_invalidation_during_a_fill_is_not_undone() {
    let layer = layer();
    let invalidator = layer.clone();
    let (service, calls) = service(&layer, move |call| {
        let layer = invalidator.clone();
        async move {
            if call == 1 {
                let head = request("GET", "/", &[]).into_parts().0;
                layer.invalidate(&head).await.unwrap();
            }
            respond(call.to_string())
        }
    });
    let answers = storm(&service, 1).await;
    assert_eq!(answers[0].0, CacheOutcome::NotStored(Reason::Invalidated));
    assert_eq!(storm(&service, 1).await[0].2, "2");
    assert_eq!(storm(&service, 1).await[0].2, "2");
    assert_eq!(calls.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_layer_within_a_layer_does_not_wait_for_itself() {
    let layer = layer();
    let inner = layer.layer(service_fn(|_: Request<Body>| async { Ok::<_, Infallible>(respond("x")) }));
    let both = layer.layer(inner);
    let answer =
        timeout(SOON, both.clone().oneshot(request("GET", "/", &[]))).await.expect("it waits for itself");
    assert_eq!(body_of(answer.unwrap()).await, "x");
    let hit = both.oneshot(request("GET", "/", &[])).await.unwrap();
    assert!(matches!(hit.extensions().get(), Some(CacheOutcome::Hit { .. })));
}

#[tokio::test]
async fn a_layer_in_between_does_not_hide_the_one_further_out() {
    let cache = Cache::new(SimpleStore::new());
    let layer = |name| CacheLayer::builder(cache.namespace(name).unwrap()).build().unwrap();
    let (outer, between) = (layer("outer"), layer("between"));
    let handler = service_fn(|_: Request<Body>| async { Ok::<_, Infallible>(respond("x")) });
    let all = outer.layer(between.layer(outer.layer(handler)));
    let answer = timeout(SOON, all.oneshot(request("GET", "/", &[]))).await.expect("it waits for itself");
    assert_eq!(body_of(answer.unwrap()).await, "x");
}
