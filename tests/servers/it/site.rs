//! The quickstart's own application, on stores that are servers.

use std::{path::Path, time::Duration};

use axum::{
    Router,
    body::Body,
    http::{Method, Request, StatusCode},
};
use http_body_util::BodyExt as _;
use larder::Timeout;
use larder_examples::Site;
use tower::ServiceExt as _;

use crate::topology::{OF_THE_SITE, unused};

#[expect(dead_code, reason = "the program's own `main` is not called here")]
#[path = "../../../examples/quickstart.rs"]
mod example;

/// Status, what the `x-cache` header said, and the page.
async fn ask(app: &Router, method: Method, path: &str) -> (StatusCode, String, String) {
    let request = Request::builder().method(method).uri(path).header("host", "localhost").body(Body::empty());
    let response = app.clone().oneshot(request.unwrap()).await.unwrap();
    let cache = response.headers().get("x-cache").map_or("-", |value| value.to_str().unwrap()).to_owned();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, cache, String::from_utf8(body.into()).unwrap())
}

#[tokio::test]
async fn what_one_process_made_another_serves_until_it_is_reset() {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    for topology in OF_THE_SITE {
        let prefix = unused();
        let mut apps = Vec::new();
        for _ in 0..2 {
            let cache = topology.cache_with(&prefix, topology.to_clear).await;
            let site = Site::open(root, Duration::ZERO).unwrap();
            apps.push(example::app(cache, site, Timeout::After(Duration::from_mins(5))).unwrap());
        }
        let [one, other] = &apps[..] else { panic!("two") };
        for path in ["/user/ada", "/", "/docs/examples/README.md", "/search?q=cache"] {
            let (status, cache, made) = ask(one, Method::GET, path).await;
            assert_eq!((status, &*cache), (StatusCode::OK, "miss"), "{topology:?} {path}");
            let (status, cache, kept) = ask(other, Method::GET, path).await;
            assert_eq!((status, &*cache), (StatusCode::OK, "hit"), "{topology:?} {path}");
            assert_eq!(kept, made, "{topology:?} {path}");
        }
        let (status, ..) = ask(other, Method::POST, "/reset").await;
        assert_eq!(status, StatusCode::OK, "{topology:?}");
        for path in ["/user/ada", "/"] {
            assert_eq!(ask(one, Method::GET, path).await.1, "miss", "{topology:?} {path}");
        }
    }
}
