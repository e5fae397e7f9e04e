//! PostgreSQL: the store against tokio-postgres, and the price of a hit. It starts a server of its own, with the settings that
//! PostgreSQL has by itself.
//!
//! The yardstick is one client at 1 task, and four shared, pipelined ones where there are more, with prepared statements on an
//! unlogged table of a key, a value and an expiry.

#![expect(clippy::unwrap_used, reason = "a benchmark that fails says so at once")]
#![expect(clippy::disallowed_methods, reason = "somebody must drive the bare connections")]

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use larder_benches::{Bare, KEPT, PATIENCE, Stores, compare, prices, runtime};
use larder_core::CacheStore;
use larder_postgres::{
    PostgresStore,
    deadpool_postgres::tokio_postgres::{self, Client, NoTls, Statement},
};
use larder_testbed::{Postgres, Run};

const SHARED: usize = 4;
const TABLE: &str = "CREATE UNLOGGED TABLE IF NOT EXISTS bare \
                     (k bytea PRIMARY KEY, v bytea, exp timestamptz NOT NULL) WITH (fillfactor = 80); \
                     ALTER TABLE bare ALTER COLUMN v SET STORAGE EXTERNAL";
const GET: &str = "SELECT v FROM bare WHERE k = $1 AND exp > now()";
const SET: &str = "INSERT INTO bare (k, v, exp) VALUES ($1, $2, now() + $3 * interval '1 second') \
                   ON CONFLICT (k) DO UPDATE SET v = excluded.v, exp = excluded.exp";
const GET_MANY: &str = "SELECT k, v FROM bare WHERE k = ANY ($1) AND exp > now()";

/// Clients that everybody shares, used in turn.
#[derive(Clone)]
struct Shared(Arc<(Vec<One>, AtomicUsize)>);

struct One {
    client: Client,
    get: Statement,
    set: Statement,
    get_many: Statement,
}

impl Shared {
    async fn connect(url: &str, count: usize) -> Self {
        let mut clients = Vec::new();
        for _ in 0..count {
            let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
            tokio::spawn(connection);
            client.batch_execute(TABLE).await.unwrap();
            // As the store has them: no plan of a small table for a large one, none compiled.
            client.batch_execute("SET enable_seqscan = off; SET jit = off").await.unwrap();
            let get = client.prepare(GET).await.unwrap();
            let set = client.prepare(SET).await.unwrap();
            let get_many = client.prepare(GET_MANY).await.unwrap();
            clients.push(One { client, get, set, get_many });
        }
        Self(Arc::new((clients, AtomicUsize::new(0))))
    }

    fn one(&self) -> &One {
        let (clients, next) = &*self.0;
        match clients.as_slice() {
            [only] => only,
            several => &several[next.fetch_add(1, Relaxed) % several.len()],
        }
    }
}

impl Bare for Shared {
    async fn get(&self, key: &'static str) -> Bytes {
        let One { client, get, .. } = self.one();
        let row = client.query_one(get, &[&key.as_bytes()]).await.unwrap();
        Bytes::copy_from_slice(row.get(0))
    }

    async fn set(&self, key: &'static str, value: Bytes) {
        let One { client, set, .. } = self.one();
        client.execute(set, &[&key.as_bytes(), &&*value, &KEPT.as_secs_f64()]).await.unwrap();
    }

    async fn get_many(&self, keys: &'static [String]) -> usize {
        let One { client, get_many, .. } = self.one();
        let keys: Vec<&[u8]> = keys.iter().map(String::as_bytes).collect();
        let rows = client.query(get_many, &[&keys]).await.unwrap();
        rows.iter().map(|row| row.get::<_, &[u8]>(1).len()).sum()
    }
}

fn postgres(criterion: &mut Criterion) {
    let run = Run::new().unwrap();
    let server = Postgres::start(&run).unwrap();
    let runtime = runtime();
    let store: Arc<dyn CacheStore> = runtime.block_on(async {
        let builder = PostgresStore::builder(&server.url()).operation_timeout(PATIENCE);
        Arc::new(builder.create_table(true).build().unwrap())
    });
    let bare = |tasks| {
        let count = if tasks == 1 { 1 } else { SHARED };
        runtime.block_on(Shared::connect(&server.url(), count))
    };
    let stores = Stores { name: "postgres", runtime: &runtime, store: Arc::clone(&store), bare: &bare };
    compare(criterion, &stores);
    prices(criterion, "postgres", &runtime, &store);
}

criterion_group! { name = benches; config = larder_benches::criterion(); targets = postgres }
criterion_main!(benches);
