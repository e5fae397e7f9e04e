//! Behind a PgBouncer in transaction mode.

use std::sync::Arc;

use larder_core::{CacheStore, ErrorKind, Expiry, Value};
use larder_postgres::deadpool_postgres::tokio_postgres::{self, NoTls};

use crate::{bytes, fresh, key, support};

const PROXY: &str = "LARDER_TEST_PGBOUNCER";

#[tokio::test]
async fn without_the_setting_the_error_names_it() {
    drop(fresh("it_bounced").await);
    let (address, _) = support::server(PROXY);
    let builder = larder_postgres::PostgresStore::builder(&address).table("it_bounced").create_table(true);
    // What this store sets in sessions that are not its own stays in them: nothing that disturbs other tests.
    let builder = builder.operation_timeout(std::time::Duration::from_secs(30));
    let store = builder.build().unwrap();
    // What another client does to a session that both use.
    let (other, connection) = tokio_postgres::connect(&address, NoTls).await.unwrap();
    tokio::spawn(connection);
    let mut said = None;
    for number in 0..1_000 {
        other.batch_execute("DEALLOCATE ALL").await.unwrap();
        let set = store.set(&key(&number.to_string()), bytes("x"), Expiry::Never).await;
        said = set.err().filter(|error| error.kind() == ErrorKind::Config);
        if said.is_some() {
            break;
        }
    }
    let said = said.expect("a PgBouncer before 1.21 forgets prepared statements").to_string();
    assert!(said.contains("`pgbouncer = true`"), "{said}");
}

/// Every operation by a session of its own choice, many at once: nothing depends on what a session remembers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_at_once_get_their_own_answers() {
    drop(fresh("it_proxy").await);
    let store = Arc::new(support::builder(PROXY, "it_proxy").build().unwrap());
    let tasks: Vec<_> = (0..32)
        .map(|number: i64| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let mine = key(&number.to_string());
                for round in 0..20 {
                    store.set(&mine, Value::Int(number * 1_000 + round), Expiry::Never).await.unwrap();
                    let seen = store.get(&mine).await.unwrap();
                    assert!(
                        matches!(seen, Some(Value::Int(int)) if int == number * 1_000 + round),
                        "{seen:?}"
                    );
                    store.increment(&key("sum"), 1, Expiry::Never).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert!(matches!(store.get(&key("sum")).await.unwrap(), Some(Value::Int(640))));
}
