//! Within axum, as its users write it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::{MatchedPath, OriginalUri, Path, Query as Extract, State},
    http::{Request, StatusCode},
    response::{IntoResponse, Redirect},
    routing::get,
};
use http_body_util::BodyExt;
use larder_core::Cache;
use larder_simple::SimpleStore;
use larder_tower::{CacheLayer, CacheOutcome, Query, Reason};
use tower::ServiceExt;

fn layer() -> CacheLayer {
    CacheLayer::builder(Cache::new(SimpleStore::new())).timeout(Duration::from_mins(1)).build().unwrap()
}

async fn get_page(app: &Router, path: &str) -> (StatusCode, CacheOutcome, String) {
    let request = Request::get(path).header("host", "localhost").body(Body::empty()).unwrap();
    let response = app.clone().oneshot(request).await.unwrap();
    let status = response.status();
    let outcome = *response.extensions().get().unwrap();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, outcome, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn extractors_state_and_fallbacks_work_behind_the_layer() {
    async fn user(
        State(calls): State<Arc<AtomicUsize>>,
        Path(name): Path<String>,
        Extract(query): Extract<Vec<(String, String)>>,
    ) -> impl IntoResponse {
        format!("{name} {query:?} {}", calls.fetch_add(1, Ordering::SeqCst))
    }

    let app = Router::new()
        .route("/user/{name}", get(user))
        .route("/away", get(|| async { Redirect::to("/") }))
        .fallback(|| async { (StatusCode::NOT_FOUND, "nothing here") })
        .with_state(Arc::default())
        .layer(layer());
    for _ in 0..2 {
        let (status, _, body) = get_page(&app, "/user/ada?a=1").await;
        assert_eq!((status.as_u16(), body.as_str()), (200, r#"ada [("a", "1")] 0"#));
    }
    assert_eq!(get_page(&app, "/user/bob").await.2, "bob [] 1");
    assert_eq!(get_page(&app, "/away").await.1, CacheOutcome::NotStored(Reason::Status));
    assert_eq!(get_page(&app, "/other").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_route_layer_caches_its_routes_only() {
    let calls = Arc::new(AtomicUsize::new(0));
    let count = move || std::future::ready(calls.fetch_add(1, Ordering::SeqCst).to_string());
    let app = Router::new().route("/cached", get(count.clone()).layer(layer())).route("/fresh", get(count));
    let plain = async |path: &str| {
        let request = Request::get(path).header("host", "localhost").body(Body::empty()).unwrap();
        app.clone().oneshot(request).await.unwrap().into_body().collect().await.unwrap().to_bytes()
    };
    assert_eq!([plain("/cached").await, plain("/cached").await], ["0", "0"]);
    assert_eq!([plain("/fresh").await, plain("/fresh").await], ["1", "2"]);
}

#[tokio::test]
async fn head_is_answered_from_a_get() {
    let app = Router::new().route("/", get(|| async { "hello" })).layer(layer());
    get_page(&app, "/").await;
    let request = Request::head("/").header("host", "localhost").body(Body::empty()).unwrap();
    let response = app.oneshot(request).await.unwrap();
    assert_eq!(response.headers()["content-length"], "5");
    assert!(matches!(response.extensions().get(), Some(CacheOutcome::Hit { .. })));
    assert!(response.into_body().collect().await.unwrap().to_bytes().is_empty());
}

/// Says which path and route a request took.
async fn whereabouts(matched: MatchedPath, OriginalUri(original): OriginalUri, uri: http::Uri) -> String {
    format!("{} {original} {uri}", matched.as_str())
}

#[cfg(feature = "axum")]
#[tokio::test]
async fn nested_routers_do_not_meet() {
    let layer = layer();
    let part = || Router::new().route("/x", get(whereabouts)).layer(layer.clone());
    let app = Router::new().nest("/a", part()).nest("/b", part());
    for _ in 0..2 {
        assert_eq!(get_page(&app, "/a/x").await.2, "/a/x /a/x /x");
        assert_eq!(get_page(&app, "/b/x").await.2, "/b/x /b/x /x");
    }
    // And the key is the one of the whole path, as someone outside knows it.
    let head = Request::get("http://localhost/a/x").body(()).unwrap().into_parts().0;
    assert!(layer.invalidate(&head).await.unwrap());
    assert_eq!(get_page(&app, "/a/x").await.1, CacheOutcome::Miss);
    assert!(matches!(get_page(&app, "/b/x").await.1, CacheOutcome::Hit { .. }));
}

#[cfg(feature = "axum")]
#[tokio::test]
async fn a_path_rewritten_within_the_router_is_another() {
    fn rewrite(mut request: Request<Body>) -> Request<Body> {
        let variant = request.headers()["x-variant"].to_str().unwrap();
        *request.uri_mut() = format!("/{variant}").parse().unwrap();
        request
    }
    let stack = tower::ServiceBuilder::new().map_request(rewrite).layer(layer());
    let app = Router::new().route("/x", get(async |uri: http::Uri| uri.to_string())).layer(stack);
    for variant in ["a", "b", "a"] {
        let request = Request::get("/x").header("host", "localhost").header("x-variant", variant);
        let response = app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, format!("/{variant}"));
    }
}

#[cfg(feature = "axum")]
#[tokio::test]
async fn what_the_query_rule_hides_is_hidden_from_every_extractor() {
    let layer = CacheLayer::builder(Cache::new(SimpleStore::new()))
        .query(Query::Only(["page"].into()))
        .build()
        .unwrap();
    let app = Router::new().route("/x", get(whereabouts)).layer(layer);
    assert_eq!(get_page(&app, "/x?page=1&evil=2").await.2, "/x /x?page=1 /x?page=1");
}

#[cfg(feature = "axum")]
#[tokio::test]
async fn handlers_return_directives_in_a_tuple() {
    use larder_tower::{CacheTimeout, NoStore};

    let app = Router::new()
        .route("/never", get(|| async { (NoStore, "x") }))
        .route("/zero", get(|| async { (CacheTimeout(Duration::ZERO), "x") }))
        .layer(layer());
    assert_eq!(get_page(&app, "/never").await.1, CacheOutcome::NotStored(Reason::NoStore));
    assert_eq!(get_page(&app, "/zero").await.1, CacheOutcome::NotStored(Reason::ZeroTimeout));
}

#[cfg(not(feature = "axum"))]
#[tokio::test]
async fn a_whole_router_is_keyed_by_whole_paths() {
    let part = || Router::new().route("/x", get(whereabouts));
    let app = Router::new().nest("/a", part()).nest("/b", part()).layer(layer());
    let _: Query = Query::Exact;
    for _ in 0..2 {
        assert_eq!(get_page(&app, "/a/x").await.2, "/a/x /a/x /x");
        assert_eq!(get_page(&app, "/b/x").await.2, "/b/x /b/x /x");
    }
}
