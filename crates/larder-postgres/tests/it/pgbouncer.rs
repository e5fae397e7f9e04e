//! Behind a PgBouncer in transaction mode.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use larder_core::{CacheStore, ErrorKind, Expiry, Value};
use larder_postgres::deadpool_postgres::tokio_postgres::{self, NoTls};
use tokio::sync::{Mutex, MutexGuard};

use crate::{admin, bytes, eventually, fresh, key, put, support, text};

const PROXY: &str = "LARDER_TEST_PGBOUNCER";

/// One test at a time: what the first one does to sessions that all share is what the setting is there to avoid.
async fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::const_new(());
    ALONE.lock().await
}

#[tokio::test]
async fn without_the_setting_the_error_names_it() {
    let _alone = alone().await;
    drop(fresh("it_bounced").await);
    let (address, _) = support::server(PROXY);
    let builder = larder_postgres::PostgresStore::builder(&address).table("it_bounced").create_table(true);
    // What this store sets in sessions that are not its own stays in them: nothing that disturbs later tests.
    let builder = builder.operation_timeout(Duration::from_secs(30));
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
    let _alone = alone().await;
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

/// Where a statement is sent before the last one is answered, and the proxy's buffer cuts it, its second half goes to a
/// session that serves another client by then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements_larger_than_the_proxys_buffer_stay_in_their_own_session() {
    let _alone = alone().await;
    drop(fresh("it_cut").await);
    let builder = support::builder(PROXY, "it_cut").connections(2);
    let stores: Vec<_> = (0..3).map(|_| Arc::new(builder.clone().build().unwrap())).collect();
    stores[0].set(&key("full"), Value::Int(i64::MAX), Expiry::Never).await.unwrap();
    let value =
        |number: usize, round: usize| vec![u8::try_from(number + 1).unwrap(); 3_000 + 613 * (number + round)];
    let tasks: Vec<_> = (0..18)
        .map(|number: usize| {
            let store = Arc::clone(&stores[number % stores.len()]);
            tokio::spawn(async move {
                let mine = key(&number.to_string());
                for round in 0..30 {
                    let bytes = value(number, round);
                    // Some go away in the middle, which changes nothing for the next one.
                    let patience = Duration::from_micros(((number * 17 + round * 29) % 3_000) as u64);
                    let given_up = key("given up");
                    let put = store.set(&given_up, Value::Bytes(bytes.clone().into()), Expiry::Never);
                    if let Ok(done) = tokio::time::timeout(patience, put).await {
                        done.unwrap();
                    }
                    // An error is not the end of an answer.
                    let full = store.increment(&key("full"), 1, Expiry::Never).await.unwrap_err();
                    assert_eq!(full.kind(), ErrorKind::Overflow, "{full:?}");
                    store.set(&mine, Value::Bytes(bytes.clone().into()), Expiry::Never).await.unwrap();
                    let seen = store.get(&mine).await.unwrap();
                    assert!(matches!(&seen, Some(Value::Bytes(seen)) if *seen == bytes), "{number}, {round}");
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

#[tokio::test]
async fn a_statement_that_waits_for_its_turn_is_never_sent_once_its_time_is_over() {
    let _alone = alone().await;
    drop(fresh("it_turns").await);
    let builder = support::builder(PROXY, "it_turns").connections(1).sweep_every(Duration::ZERO);
    let store = Arc::new(builder.operation_timeout(Duration::from_millis(600)).build().unwrap());
    eventually("it is connected", || async { store.get(&key("a")).await.is_ok() }).await;
    put(&store, "held", "old").await;
    put(&store, "other", "old").await;
    let admin = admin().await;
    admin.batch_execute("BEGIN; SELECT 1 FROM it_turns WHERE k = '1/:held' FOR UPDATE").await.unwrap();
    // It waits on the server, also after its caller went away.
    let held = key("held");
    let first = store.set(&held, bytes("new"), Expiry::Never);
    assert!(tokio::time::timeout(Duration::from_millis(100), first).await.is_err());
    let second = store.set(&key("other"), bytes("new"), Expiry::Never).await.unwrap_err();
    assert_eq!(second.kind(), ErrorKind::Unavailable, "it did not happen, and that is known: {second:?}");
    admin.batch_execute("COMMIT").await.unwrap();
    eventually("it is free again", || async { store.get(&key("a")).await.is_ok() }).await;
    assert_eq!(text(&store, "held").await.as_deref(), Some("new"));
    assert_eq!(text(&store, "other").await.as_deref(), Some("old"));
}

/// What waits on the server keeps neither its connection nor its task once the store is gone.
#[tokio::test]
async fn a_store_dropped_with_a_statement_under_way_leaves_no_task() {
    let _alone = alone().await;
    drop(fresh("it_left").await);
    let admin = admin().await;
    let before = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let store = support::builder(PROXY, "it_left").build().unwrap();
    put(&store, "held", "old").await;
    admin.batch_execute("BEGIN; SELECT 1 FROM it_left WHERE k = '1/:held' FOR UPDATE").await.unwrap();
    let held = key("held");
    let set = store.set(&held, bytes("new"), Expiry::Never);
    assert!(tokio::time::timeout(Duration::from_millis(200), set).await.is_err());
    drop(store);
    let alive = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    eventually("no task is left", || async { alive() <= before }).await;
    admin.batch_execute("ROLLBACK").await.unwrap();
}

/// The runtime of a caller ends with its statement under way: nobody reads the answer, so nothing more is sent there.
#[tokio::test]
async fn a_statement_left_with_its_runtime_takes_the_connection_with_it() {
    let _alone = alone().await;
    drop(fresh("it_runtime").await);
    let store = Arc::new(support::builder(PROXY, "it_runtime").connections(1).build().unwrap());
    put(&store, "held", "old").await;
    let admin = admin().await;
    admin.batch_execute("BEGIN; SELECT 1 FROM it_runtime WHERE k = '1/:held' FOR UPDATE").await.unwrap();
    let other = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    drop(other.spawn({
        let store = Arc::clone(&store);
        async move { store.set(&key("held"), bytes("new"), Expiry::Never).await }
    }));
    tokio::time::sleep(Duration::from_millis(200)).await;
    // This one waits for its turn behind it.
    let waiting = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.set(&key("other"), bytes("new"), Expiry::Never).await }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    other.shutdown_background();
    waiting.await.unwrap().unwrap();
    assert_eq!(text(&store, "other").await.as_deref(), Some("new"));
    admin.batch_execute("ROLLBACK").await.unwrap();
}

#[tokio::test]
async fn a_connection_that_gives_no_answers_is_replaced() {
    let _alone = alone().await;
    drop(fresh("it_silent").await);
    let builder = support::builder(PROXY, "it_silent").connections(1).sweep_every(Duration::ZERO);
    let store = builder.operation_timeout(Duration::from_millis(300)).build().unwrap();
    eventually("it is connected", || async { store.get(&key("a")).await.is_ok() }).await;
    eventually("it is there", || async { store.set(&key("held"), bytes("x"), Expiry::Never).await.is_ok() })
        .await;
    let admin = admin().await;
    admin.batch_execute("BEGIN; SELECT 1 FROM it_silent WHERE k = '1/:held' FOR UPDATE").await.unwrap();
    // Nothing stops it on the server, at least not soon.
    let started = Instant::now();
    let error = store.set(&key("held"), bytes("y"), Expiry::Never).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Ambiguous);
    assert!(store.get(&key("a")).await.is_err());
    eventually("another takes its place", || async { store.get(&key("a")).await.is_ok() }).await;
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    admin.batch_execute("ROLLBACK").await.unwrap();
}
