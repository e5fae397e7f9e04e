//! Redis: the store against fred, one client each, and the price of a hit. It starts a server of its own.

#![expect(clippy::unwrap_used, reason = "a benchmark that fails says so at once")]

use std::sync::Arc;

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use larder_benches::{Bare, KEPT, PATIENCE, Stores, compare, prices, runtime};
use larder_core::CacheStore;
use larder_redis::{
    RedisStore,
    fred::{
        clients::Client,
        interfaces::{ClientLike as _, KeysInterface as _},
        types::{Builder, Expiration, config::Config},
    },
};
use larder_testbed::{Redis, Run};

/// fred with its defaults, and without Nagle's algorithm.
#[derive(Clone)]
struct Fred(Client);

impl Bare for Fred {
    async fn get(&self, key: &'static str) -> Bytes {
        self.0.get::<Option<Bytes>, _>(key).await.unwrap().unwrap()
    }

    async fn set(&self, key: &'static str, value: Bytes) {
        let kept = Expiration::PX(i64::try_from(KEPT.as_millis()).unwrap());
        self.0.set::<(), _, _>(key, value, Some(kept), None, false).await.unwrap();
    }

    async fn get_many(&self, keys: &'static [String]) -> usize {
        let keys: Vec<&'static str> = keys.iter().map(String::as_str).collect();
        let found = self.0.mget::<Vec<Option<Bytes>>, _>(keys).await.unwrap();
        found.into_iter().map(|value| value.unwrap().len()).sum()
    }
}

fn redis(criterion: &mut Criterion) {
    let run = Run::new().unwrap();
    let server = Redis::start(&run).unwrap();
    let runtime = runtime();
    let (fred, store) = runtime.block_on(async {
        let mut builder = Builder::from_config(Config::from_url(&server.url()).unwrap());
        builder.with_connection_config(|config| config.tcp.nodelay = Some(true));
        let client = builder.build().unwrap();
        client.init().await.unwrap();
        let store: Arc<dyn CacheStore> =
            Arc::new(RedisStore::builder(&server.url()).operation_timeout(PATIENCE).build().unwrap());
        (Fred(client), store)
    });
    let bare = |_| fred.clone();
    let stores = Stores { name: "redis", runtime: &runtime, store: Arc::clone(&store), bare: &bare };
    compare(criterion, &stores);
    prices(criterion, "redis", &runtime, &store);
}

criterion_group! { name = benches; config = larder_benches::criterion(); targets = redis }
criterion_main!(benches);
