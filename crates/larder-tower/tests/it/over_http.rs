//! Over a real connection, as clients see it.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{Router, body::Body, routing::get};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper::{body::Incoming, client::conn::http1::SendRequest};
use hyper_util::rt::TokioIo;
use larder_core::Cache;
use larder_simple::SimpleStore;
use larder_tower::CacheLayer;
use tokio::net::{TcpListener, TcpStream};

/// Serves an app on a port of its own and connects to it.
async fn connect(app: Router) -> SendRequest<Empty<Bytes>> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    let stream = TcpStream::connect(address).await.unwrap();
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

async fn send(client: &mut SendRequest<Empty<Bytes>>, method: &str, path: &str) -> Response<Incoming> {
    let request =
        Request::builder().method(method).uri(path).header("host", "localhost").body(Empty::new()).unwrap();
    client.ready().await.unwrap();
    client.send_request(request).await.unwrap()
}

fn layer() -> CacheLayer {
    CacheLayer::builder(Cache::new(SimpleStore::new())).hit_header("x-cache").build().unwrap()
}

#[tokio::test]
async fn a_hit_is_a_well_formed_response() {
    let mut client = connect(Router::new().route("/", get(|| async { "hello" })).layer(layer())).await;
    for says in ["miss", "hit", "hit"] {
        let response = send(&mut client, "GET", "/").await;
        assert_eq!(response.headers()["x-cache"], says);
        assert_eq!(response.headers()["content-length"], "5");
        assert_eq!(response.headers().contains_key("age"), says == "hit");
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "hello");
    }
    let head = send(&mut client, "HEAD", "/").await;
    assert_eq!(
        (&head.headers()["content-length"], &head.headers()["x-cache"]),
        (&"5".parse().unwrap(), &"hit".parse().unwrap())
    );
    assert!(head.into_body().collect().await.unwrap().to_bytes().is_empty());
    assert_eq!(send(&mut client, "GET", "/").await.into_body().collect().await.unwrap().to_bytes(), "hello");
}

#[tokio::test]
async fn a_stream_arrives_as_it_is_made_and_is_then_a_hit() {
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let handler = Arc::clone(&gate);
    let page = move || async move {
        let late = stream::once(async move {
            handler.acquire().await.unwrap().forget();
            Ok::<_, Infallible>("late")
        });
        Body::from_stream(stream::iter([Ok("early ")]).chain(late))
    };
    let mut client = connect(Router::new().route("/", get(page)).layer(layer())).await;
    let mut response = send(&mut client, "GET", "/").await;
    let first = tokio::time::timeout(Duration::from_secs(5), response.body_mut().frame());
    let first = first.await.expect("the stream is held up").unwrap().unwrap();
    assert_eq!(first.into_data().unwrap(), "early ");
    gate.add_permits(1);
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "late");
    let hit = send(&mut client, "GET", "/").await;
    assert_eq!(hit.headers()["x-cache"], "hit");
    assert_eq!(hit.into_body().collect().await.unwrap().to_bytes(), "early late");
}

#[tokio::test]
async fn a_body_of_announced_length_is_stored_although_the_server_stops_at_it() {
    let page = || async {
        let body = stream::iter(["one ", "two"]).then(|chunk| async move {
            tokio::task::yield_now().await;
            Ok::<_, Infallible>(chunk)
        });
        Response::builder().header("content-length", 7).body(Body::from_stream(body)).unwrap()
    };
    let mut client = connect(Router::new().route("/", get(page)).layer(layer())).await;
    for says in ["miss", "hit"] {
        let response = send(&mut client, "GET", "/").await;
        assert_eq!(response.headers()["x-cache"], says);
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "one two");
    }
}
