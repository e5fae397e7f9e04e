//! A cached 1 KB response of an axum router, over loopback with keep-alive, against a bare handler with the same bytes.

#![expect(clippy::unwrap_used, reason = "a benchmark that fails says so at once")]
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock and starts its own tasks")]

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use axum::{Router, response::IntoResponse, routing::get};
use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use http_body_util::{BodyExt as _, Empty};
use hyper::{Request, client::conn::http1::SendRequest, header};
use hyper_util::rt::TokioIo;
use larder_benches::{Lane, race};
use larder_core::Cache;
use larder_simple::SimpleStore;
use larder_tower::CacheLayer;
use tokio::net::{TcpListener, TcpStream};

/// How many connections ask at once.
const CONNECTIONS: u64 = 32;

static BODY: [u8; 1024] = [b'x'; 1024];

/// It makes nothing: the cache is not to win what a handler spends on its bytes.
async fn page() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain"), (header::ETAG, "\"1\"")], Bytes::from_static(&BODY))
}

fn bare() -> Router {
    Router::new().route("/page", get(page))
}

fn cached() -> Router {
    let cache = Cache::new(SimpleStore::new());
    bare().layer(CacheLayer::builder(cache).timeout(Duration::from_mins(10)).build().expect("valid settings"))
}

/// A server on a core of its own, for one round, and clients on this one.
struct Round {
    clients: tokio::runtime::Runtime,
    senders: Vec<SendRequest<Empty<Bytes>>>,
    server: Option<std::thread::JoinHandle<()>>,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
}

impl Round {
    fn start(router: Router) -> Self {
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let (bound, address) = std::sync::mpsc::channel();
        let server = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                bound.send(listener.local_addr().unwrap()).unwrap();
                let end = async { drop(stopped.await) };
                axum::serve(listener, router).with_graceful_shutdown(end).await.unwrap();
            });
        });
        let address = address.recv().unwrap();
        let clients = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let senders = clients.block_on(async {
            let mut senders = Vec::new();
            for _ in 0..CONNECTIONS {
                senders.push(connect(address).await);
            }
            senders
        });
        Self { clients, senders, server: Some(server), stop: Some(stop) }
    }

    /// The time for so many requests, spread over the connections.
    fn requests(&mut self, iterations: u64) -> Duration {
        let started = Instant::now();
        let senders = std::mem::take(&mut self.senders);
        self.senders = self.clients.block_on(async {
            let mut tasks = tokio::task::JoinSet::new();
            for (number, mut sender) in (0..).zip(senders) {
                let share = iterations / CONNECTIONS + u64::from(number < iterations % CONNECTIONS);
                tasks.spawn(async move {
                    for _ in 0..share {
                        ask(&mut sender).await;
                    }
                    sender
                });
            }
            tasks.join_all().await
        });
        started.elapsed()
    }
}

impl Drop for Round {
    fn drop(&mut self) {
        self.senders.clear();
        drop(self.stop.take());
        // The connections end with their senders; polled once more, they are closed and the server can end.
        self.clients.block_on(async { tokio::time::sleep(Duration::from_millis(10)).await });
        self.server.take().expect("joined once").join().expect("the server does not panic");
    }
}

async fn connect(address: SocketAddr) -> SendRequest<Empty<Bytes>> {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

async fn ask(sender: &mut SendRequest<Empty<Bytes>>) {
    let request = Request::get("/page").header(header::HOST, "localhost").body(Empty::new()).unwrap();
    let response = sender.send_request(request).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes().len(), 1024);
}

fn hit(criterion: &mut Criterion) {
    let lane = |name, router: fn() -> Router| {
        // A server per round: what differs from start to start is part of what is compared.
        Lane::new(name, move |bencher| {
            let mut round = Round::start(router());
            bencher.iter_custom(|iterations| round.requests(iterations));
        })
    };
    race(criterion, "axum response, 1 KB", vec![lane("bare handler", bare), lane("cached", cached)]);
}

criterion_group! { name = benches; config = larder_benches::criterion().measurement_time(Duration::from_secs(2)); targets = hit }
criterion_main!(benches);
