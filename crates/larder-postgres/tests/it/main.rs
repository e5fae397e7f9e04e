//! What only the PostgreSQL store promises.
#![expect(clippy::disallowed_methods, reason = "a test waits at the outermost edge")]
#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod bounds;
mod config;
mod hostile;
mod lifecycle;
mod order;
mod pgbouncer;
mod reconnect;
mod schema;
#[path = "../support/mod.rs"]
mod support;
mod traps;

use std::{future::Future, time::Duration};

use larder_core::{CacheStore, Expiry, Key, Namespace, Value};
use larder_postgres::{
    PostgresStore, PostgresStoreBuilder,
    deadpool_postgres::tokio_postgres::{self, NoTls},
};

const SERVER: &str = "LARDER_TEST_POSTGRES";

fn key(text: &str) -> Key {
    Key::new(&Namespace::root(), text).unwrap()
}

fn bytes(text: &str) -> Value {
    Value::Bytes(text.to_owned().into())
}

/// A builder for a table that no other test uses, and that does not exist yet.
async fn fresh(table: &str) -> PostgresStoreBuilder {
    admin()
        .await
        .batch_execute(&format!(
            "DROP TABLE IF EXISTS \"{table}\"; DROP SEQUENCE IF EXISTS \"{table}_version\""
        ))
        .await
        .unwrap();
    support::builder(SERVER, table)
}

async fn open(table: &str) -> PostgresStore {
    fresh(table).await.build().unwrap()
}

/// A connection of our own.
async fn admin() -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(&support::server(SERVER).0, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// The number that a query answers.
async fn number(client: &tokio_postgres::Client, query: &str) -> i64 {
    client.query_one(query, &[]).await.unwrap().get(0)
}

/// How many sessions spoke of a table last.
async fn sessions(table: &str) -> i64 {
    let query = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%{table}%' AND application_name = 'larder'"
    );
    number(&admin().await, &query).await
}

async fn put(store: &PostgresStore, name: &str, text: &str) {
    store.set(&key(name), bytes(text), Expiry::Never).await.unwrap();
}

/// The text under a key.
async fn text(store: &PostgresStore, name: &str) -> Option<String> {
    match store.get(&key(name)).await.unwrap()? {
        Value::Bytes(bytes) => Some(String::from_utf8(bytes.to_vec()).unwrap()),
        other => panic!("{other:?}"),
    }
}

/// Waits for the background, some seconds at most.
async fn eventually<R: Future<Output = bool>>(what: &str, mut is_true: impl FnMut() -> R) {
    for _ in 0..400 {
        if is_true().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("never: {what}");
}
