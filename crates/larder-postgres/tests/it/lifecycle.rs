//! Connections and tasks: shared, bounded, gone with the store.

use std::{sync::Arc, time::Duration};

use larder_core::{CacheStore, ErrorKind, Expiry, Namespace, Value};
use larder_postgres::{
    PostgresStore,
    deadpool_postgres::{Config, Runtime, tokio_postgres::NoTls},
};

use crate::{SERVER, admin, bytes, eventually, fresh, key, number, open, put, sessions, support, text};

#[tokio::test]
async fn a_dropped_store_leaves_no_connection_and_no_task() {
    let admin = admin().await;
    let before = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let store = open("it_gone").await;
    put(&store, "a", "x").await;
    store.len().await.unwrap();
    assert!(sessions("it_gone").await > 0);
    drop(store);
    eventually("no session is left", || async { sessions("it_gone").await == 0 }).await;
    // Each look at the sessions above was a connection, whose task ends a little later.
    let alive = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    eventually("no task is left", || async { alive() <= before }).await;
    drop(admin);
}

#[tokio::test]
async fn a_store_dropped_while_it_connects_leaves_no_task() {
    let before = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    for address in ["postgres://u@127.0.0.1:1/d", &support::server(SERVER).0] {
        for _ in 0..5 {
            drop(PostgresStore::connect(address).unwrap());
            let store = PostgresStore::connect(address).unwrap();
            tokio::task::yield_now().await;
            drop(store);
        }
    }
    let alive = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    eventually("no task is left", || async { alive() <= before }).await;
}

/// Callers that go away at random, under load: every answer is of the key asked for, and nothing is left behind.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_cancellations_mixes_up_nothing_and_leaks_nothing() {
    let store = Arc::new(fresh("it_storm").await.connections(2).build().unwrap());
    let own = |number: usize| format!("value of {number}").repeat(1 + number % 400);
    for number in 0..100 {
        put(&store, &number.to_string(), &own(number)).await;
    }
    let tasks: Vec<_> = (0..64)
        .map(|task: usize| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let mut answers = 0;
                for round in 0..200 {
                    let number = (task * 31 + round * 7) % 100;
                    let patience = Duration::from_micros(((task * 17 + round * 29) % 1_500) as u64);
                    let name = key(&number.to_string());
                    if round % 5 == 0 {
                        let set = store.set(&name, bytes(&own(number)), Expiry::Never);
                        if let Ok(done) = tokio::time::timeout(patience, set).await {
                            done.unwrap();
                        }
                    } else if let Ok(seen) = tokio::time::timeout(patience, store.get(&name)).await {
                        let Some(Value::Bytes(bytes)) = seen.unwrap() else { panic!("{number} is gone") };
                        assert_eq!(bytes, own(number));
                        answers += 1;
                    }
                }
                answers
            })
        })
        .collect();
    let mut answers = 0;
    for task in tasks {
        answers += task.await.unwrap();
    }
    assert!(answers > 100, "only {answers} of 10240 had the patience");
    for number in 0..100 {
        assert_eq!(text(&store, &number.to_string()).await, Some(own(number)));
    }
    assert!(sessions("it_storm").await <= 3);
}

#[tokio::test]
async fn more_than_max_in_flight_are_refused_and_their_places_come_back() {
    let store =
        Arc::new(fresh("it_crowd").await.max_in_flight(1).sweep_every(Duration::ZERO).build().unwrap());
    put(&store, "held", "x").await;
    let admin = admin().await;
    admin.batch_execute("BEGIN; SELECT 1 FROM it_crowd WHERE k = '1/:held' FOR UPDATE").await.unwrap();
    let held = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.set(&key("held"), bytes("y"), Expiry::Never).await }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    let error = store.get(&key("other")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Overloaded);
    assert!(error.is_retryable() && error.to_string().contains("`max_in_flight = 1`"), "{error}");
    admin.batch_execute("COMMIT").await.unwrap();
    held.await.unwrap().unwrap();
    assert_eq!(text(&store, "held").await.as_deref(), Some("y"));
    // A walk is one of them too.
    admin.batch_execute("BEGIN; SELECT 1 FROM it_crowd WHERE k = '1/:held' FOR UPDATE").await.unwrap();
    let clear = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.clear(&Namespace::root()).await }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(store.get(&key("other")).await.unwrap_err().kind(), ErrorKind::Overloaded);
    admin.batch_execute("ROLLBACK").await.unwrap();
    clear.await.unwrap().unwrap();
    put(&store, "held", "y").await;
    // One that is dropped gives its place back too.
    drop(tokio::time::timeout(Duration::ZERO, store.get(&key("held"))).await);
    assert_eq!(text(&store, "held").await.as_deref(), Some("y"));
}

#[tokio::test]
async fn an_applications_own_pool_makes_the_connections() {
    drop(fresh("it_pool").await);
    let mut config = Config::new();
    config.url = Some(support::server(SERVER).0);
    config.application_name = Some("larder".into());
    let pool = config.create_pool(Some(Runtime::Tokio1), NoTls).unwrap();
    let builder = PostgresStore::from_pool(pool.clone()).table("it_pool").connections(2);
    let store = builder.create_table(true).build().unwrap();
    assert_eq!(store.servers(), ["pool"]);
    put(&store, "a", "x").await;
    assert_eq!(text(&store, "a").await.as_deref(), Some("x"));
    assert_eq!(store.len().await.unwrap(), 1);
    // Taken for good: the pool's own users are not in the way.
    assert_eq!(pool.status().size, 0);
    let admin = admin().await;
    let terminate = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                     WHERE query LIKE '%it_pool%' AND application_name = 'larder'";
    assert!(number(&admin, terminate).await >= 2);
    eventually("it is served again", || async { store.get(&key("a")).await.is_ok() }).await;
    drop(store);
    eventually("no session is left", || async { sessions("it_pool").await == 0 }).await;

    let error = PostgresStore::from_pool(pool).password("x").build().unwrap_err();
    assert!(error.to_string().contains("`password` is given beside a pool"), "{error}");
}

/// A pool with its usual settings hands on a transaction that was left open; what is written in it is never committed.
#[tokio::test]
async fn a_transaction_left_open_in_a_pool_swallows_no_write() {
    let admin = admin().await;
    put(&open("it_left_open").await, "made", "x").await;
    let mut config = Config::new();
    config.url = Some(support::server(SERVER).0);
    let pool = config.create_pool(Some(Runtime::Tokio1), NoTls).unwrap();
    let mut taken = Vec::new();
    for _ in 0..3 {
        let connection = pool.get().await.unwrap();
        connection.batch_execute("BEGIN").await.unwrap();
        taken.push(connection);
    }
    drop(taken);
    let store = PostgresStore::from_pool(pool).table("it_left_open").connections(2).build().unwrap();
    for name in 0..20 {
        put(&store, &name.to_string(), "acknowledged").await;
    }
    assert_eq!(number(&admin, "SELECT count(*) FROM it_left_open WHERE v = 'acknowledged'").await, 20);
    store.clear(&Namespace::root()).await.unwrap();
    assert_eq!(number(&admin, "SELECT count(*) FROM it_left_open WHERE v = 'acknowledged'").await, 0);
}

#[tokio::test]
async fn a_host_that_does_not_answer_leaves_the_next_one_its_share_of_the_time() {
    drop(fresh("it_hosts").await);
    // It takes connections, and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, _) = support::server(SERVER);
    let several = address.replace('@', &format!("@{},", silent.local_addr().unwrap()));
    let builder = PostgresStore::builder(&several).table("it_hosts").create_table(true);
    let store = builder.operation_timeout(Duration::from_secs(10)).build().unwrap();
    put(&store, "a", "x").await;
    assert_eq!(text(&store, "a").await.as_deref(), Some("x"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_walk_has_a_place_from_its_first_step_to_its_last() {
    let store = fresh("it_place").await.max_in_flight(1).sweep_every(Duration::ZERO).build().unwrap();
    let store = Arc::new(store);
    let entries = (0..3_500).map(|number| (key(&number.to_string()), bytes("x"), Expiry::Never));
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    for done in store.set_many(entries.collect()).await {
        done.unwrap();
    }
    let crowd: Vec<_> = (0..4)
        .map(|_| {
            let (store, stop) = (Arc::clone(&store), Arc::clone(&stop));
            tokio::spawn(async move {
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    if let Err(error) = store.get(&key("none")).await {
                        assert_eq!(error.kind(), ErrorKind::Overloaded);
                        tokio::task::yield_now().await;
                    }
                }
            })
        })
        .collect();
    let admin = admin().await;
    for attempt in 0.. {
        match store.clear(&Namespace::root()).await {
            Ok(()) => break,
            Err(error) => {
                assert!(attempt < 100_000 && error.kind() == ErrorKind::Overloaded, "{error:?}");
                let left = number(&admin, "SELECT count(*) FROM it_place WHERE k > '\\x00'").await;
                assert_eq!(left, 3_500, "refused, and nothing was done");
            }
        }
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    for task in crowd {
        task.await.unwrap();
    }
    assert_eq!(store.len().await.unwrap(), 0);
}

#[tokio::test]
async fn a_write_that_waits_holds_up_only_its_own_connection() {
    let store = Arc::new(fresh("it_lanes").await.connections(4).sweep_every(Duration::ZERO).build().unwrap());
    put(&store, "held", "x").await;
    eventually("all are connected", || async { sessions("it_lanes").await >= 4 }).await;
    let admin = admin().await;
    admin.batch_execute("BEGIN; SELECT 1 FROM it_lanes WHERE k = '1/:held' FOR UPDATE").await.unwrap();
    let held = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.set(&key("held"), bytes("y"), Expiry::Never).await }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    let others = (0..40).map(|number| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            let set = store.set(&key(&number.to_string()), bytes("x"), Expiry::Never).await;
            set.is_ok()
        })
    });
    let others: Vec<_> = others.collect();
    eventually("most others are served", || async {
        others.iter().filter(|other| other.is_finished()).count() >= 20
    })
    .await;
    assert!(!held.is_finished(), "served meanwhile, not afterwards");
    admin.batch_execute("COMMIT").await.unwrap();
    held.await.unwrap().unwrap();
    for other in others {
        assert!(other.await.unwrap());
    }
}
