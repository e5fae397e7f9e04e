//! Memcached: the store against memcache-async, and the price of a hit. It starts a server of its own.
//!
//! The yardstick is one bare connection at 1 task, and a pool of 32 where there are more: a connection takes one command at
//! a time. The client crate's `set` does not learn whether it was done; so that both lanes acknowledge writes, the bare one asks
//! for the server's version behind it.

#![expect(clippy::unwrap_used, reason = "a benchmark that fails says so at once")]

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use larder_benches::{Bare, KEPT, PATIENCE, Stores, compare, prices, runtime};
use larder_core::CacheStore;
use larder_memcached::MemcachedStore;
use larder_testbed::{Memcached, Run};
use memcache_async::ascii::Protocol;
use tokio::{
    net::TcpStream,
    sync::{Semaphore, SemaphorePermit},
};

const POOL: usize = 32;

/// Connections that one caller at a time checks out.
#[derive(Clone)]
struct Pool(Arc<Connections>);

struct Connections {
    places: Semaphore,
    idle: Mutex<Vec<Protocol<TcpStream>>>,
}

impl Pool {
    async fn connect(address: SocketAddr, size: usize) -> Self {
        let mut idle = Vec::new();
        for _ in 0..size {
            let stream = TcpStream::connect(address).await.unwrap();
            stream.set_nodelay(true).unwrap();
            idle.push(Protocol::new(stream));
        }
        Self(Arc::new(Connections { places: Semaphore::new(size), idle: Mutex::new(idle) }))
    }

    async fn take(&self) -> Lent<'_> {
        let place = self.0.places.acquire().await.unwrap();
        let connection = self.0.idle.lock().unwrap().pop();
        Lent { pool: &self.0, connection, _place: place }
    }
}

/// A connection that goes back, and then its place.
struct Lent<'a> {
    pool: &'a Connections,
    connection: Option<Protocol<TcpStream>>,
    _place: SemaphorePermit<'a>,
}

impl Lent<'_> {
    fn connection(&mut self) -> &mut Protocol<TcpStream> {
        self.connection.as_mut().unwrap()
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        self.pool.idle.lock().unwrap().extend(self.connection.take());
    }
}

impl Bare for Pool {
    async fn get(&self, key: &'static str) -> Bytes {
        self.take().await.connection().get(key).await.unwrap().into()
    }

    async fn set(&self, key: &'static str, value: Bytes) {
        let mut lent = self.take().await;
        let seconds = u32::try_from(KEPT.as_secs()).unwrap();
        lent.connection().set(key, &value, seconds).await.unwrap();
        lent.connection().version().await.unwrap();
    }

    async fn get_many(&self, keys: &'static [String]) -> usize {
        let found = self.take().await.connection().get_multi(keys).await.unwrap();
        found.values().map(Vec::len).sum()
    }
}

fn memcached(criterion: &mut Criterion) {
    let run = Run::new().unwrap();
    let server = Memcached::start(&run).unwrap();
    let runtime = runtime();
    let store: Arc<dyn CacheStore> = runtime.block_on(async {
        let builder = MemcachedStore::builder(server.url()).operation_timeout(PATIENCE);
        // 256 tasks ask for 64 keys each.
        Arc::new(builder.max_in_flight(100_000).build().unwrap())
    });
    let bare = |tasks| {
        let size = if tasks == 1 { 1 } else { POOL };
        runtime.block_on(Pool::connect(server.address(), size))
    };
    let stores = Stores { name: "memcached", runtime: &runtime, store: Arc::clone(&store), bare: &bare };
    compare(criterion, &stores);
    prices(criterion, "memcached", &runtime, &store);
}

criterion_group! { name = benches; config = larder_benches::criterion(); targets = memcached }
criterion_main!(benches);
