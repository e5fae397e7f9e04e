//! Known traps of the server and its client, each with a test.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use larder_core::{CacheStore, Error, ErrorKind, Expiry, Key, Namespace, Value};
use larder_postgres::{
    PostgresStore, PostgresStoreBuilder,
    deadpool_postgres::{
        Config, Runtime,
        tokio_postgres::{Client, NoTls},
    },
};

use crate::{SERVER, admin, bytes, eventually, fresh, key, number, open, put, support, text};

#[tokio::test]
async fn a_walk_that_waits_holds_up_no_point_operation() {
    let store = Arc::new(fresh("it_walk").await.connections(1).build().unwrap());
    put(&store, "held", "x").await;
    let admin = admin().await;
    admin.batch_execute("BEGIN; SELECT 1 FROM it_walk WHERE k = '1/:held' FOR UPDATE").await.unwrap();
    let clear = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.clear(&Namespace::root()).await }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    let started = Instant::now();
    for number in 0..20 {
        put(&store, &number.to_string(), "quick").await;
        assert_eq!(text(&store, &number.to_string()).await.as_deref(), Some("quick"));
    }
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    assert!(!clear.is_finished());
    admin.batch_execute("COMMIT").await.unwrap();
    clear.await.unwrap().unwrap();
    assert_eq!(text(&store, "held").await, None);
}

#[tokio::test]
async fn a_statement_whose_time_is_over_is_stopped_on_the_server() {
    let builder = fresh("it_stopped").await.connections(1).operation_timeout(Duration::from_millis(300));
    let store = builder.build().unwrap();
    eventually("it is connected", || async { store.get(&key("a")).await.is_ok() }).await;
    put(&store, "held", "old").await;
    let admin = admin().await;
    admin.batch_execute("BEGIN; SELECT 1 FROM it_stopped WHERE k = '1/:held' FOR UPDATE").await.unwrap();
    let started = Instant::now();
    let error = store.set(&key("held"), bytes("new"), Expiry::Never).await.unwrap_err();
    assert!(started.elapsed() < Duration::from_millis(600), "{:?}", started.elapsed());
    assert!(matches!(error.kind(), ErrorKind::Ambiguous | ErrorKind::Timeout), "{error:?}");
    // The connection is free again though the lock is still held, and so are its callers.
    eventually("others are served", || async { store.get(&key("other")).await.is_ok() }).await;
    admin.batch_execute("COMMIT").await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(text(&store, "held").await.as_deref(), Some("old"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_in_any_order_never_wait_for_each_other_for_ever() {
    let store = Arc::new(open("it_deadlock").await);
    let keys: Vec<Key> = (0..60).map(|number| key(&number.to_string())).collect();
    let tasks: Vec<_> = (0..8)
        .map(|task: usize| {
            let (store, mut keys) = (Arc::clone(&store), keys.clone());
            tokio::spawn(async move {
                for round in 0..40 {
                    keys.rotate_left((7 * task + round) % 60);
                    if (task + round).is_multiple_of(2) {
                        keys.reverse();
                    }
                    let done: Vec<Result<(), Error>> = if (task + round).is_multiple_of(3) {
                        store.delete_many(&keys).await.into_iter().map(|done| done.map(drop)).collect()
                    } else if (task + round).is_multiple_of(7) {
                        vec![store.clear(&Namespace::root()).await]
                    } else {
                        let entries = keys.iter().map(|key| (key.clone(), bytes("x"), Expiry::Never));
                        store.set_many(entries.collect()).await
                    };
                    done.into_iter().for_each(Result::unwrap);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

#[tokio::test]
async fn no_version_comes_back_though_the_sequence_is_set_back() {
    let builder = fresh("it_rollback").await;
    let (far, admin) = (Expiry::Never, admin().await);
    let mut seen = Vec::new();
    for _ in 0..3 {
        // As a restored backup would; a new session asks the sequence anew.
        let store = builder.clone().build().unwrap();
        store.len().await.unwrap();
        admin.batch_execute("SELECT setval('it_rollback_version', 1, false)").await.unwrap();
        let version = store.add(&key("lease"), bytes("mine"), far).await.unwrap().unwrap();
        for old in &seen {
            assert_ne!(*old, version);
            assert!(store.replace(&key("lease"), old, bytes("wrong"), far).await.unwrap().is_none());
        }
        seen.push(version);
        assert!(store.delete(&key("lease")).await.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn backends_terminated_under_load_give_no_wrong_answer_and_are_back_soon() {
    let store = Arc::new(fresh("it_terminated").await.connections(3).build().unwrap());
    for number in 0..50 {
        put(&store, &number.to_string(), &number.to_string()).await;
    }
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let tasks: Vec<_> = (0..16)
        .map(|task: usize| {
            let (store, stop) = (Arc::clone(&store), Arc::clone(&stop));
            tokio::spawn(async move {
                let (mut ok, mut failed, mut counted) = (0_u64, 0_u64, 0_i64);
                for round in 0.. {
                    if stop.load(std::sync::atomic::Ordering::Relaxed) {
                        break;
                    }
                    let number = ((task + round) % 50).to_string();
                    match store.get(&key(&number)).await {
                        Ok(Some(Value::Bytes(seen))) => {
                            assert_eq!(seen, number.as_bytes());
                            ok += 1;
                        }
                        Ok(other) => panic!("{other:?}"),
                        Err(error) => {
                            assert!(
                                matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Timeout),
                                "{error:?}"
                            );
                            failed += 1;
                        }
                    }
                    match store.increment(&key("count"), 1, Expiry::Never).await {
                        Ok(_) => counted += 1,
                        Err(error) => {
                            let kinds = [ErrorKind::Unavailable, ErrorKind::Ambiguous];
                            assert!(kinds.contains(&error.kind()), "{error:?}");
                            failed += 1;
                        }
                    }
                }
                (ok, failed, counted)
            })
        })
        .collect();
    let admin = admin().await;
    let terminate = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                     WHERE query LIKE '%it_terminated%' AND application_name = 'larder'";
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(number(&admin, terminate).await >= 1);
        let started = Instant::now();
        eventually("it is served again", || async { store.get(&key("1")).await.is_ok() }).await;
        assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    let (mut ok, mut failed, mut counted) = (0, 0, 0);
    for task in tasks {
        let (more, lost, sum) = task.await.unwrap();
        (ok, failed, counted) = (ok + more, failed + lost, counted + sum);
    }
    assert!(ok > 0);
    let Some(Value::Int(sum)) = store.get(&key("count")).await.unwrap() else { panic!("no counter") };
    // Acknowledged once each; what was not may have happened, and is an error.
    let unknown = i64::try_from(failed).unwrap();
    assert!(
        (counted..=counted + unknown).contains(&sum),
        "{counted} acknowledged, {failed} failed, {sum} counted"
    );
}

#[tokio::test]
async fn a_plan_made_while_the_table_was_small_does_not_read_all_of_it_later() {
    let store = fresh("it_plan").await.connections(1).sweep_every(Duration::ZERO).build().unwrap();
    put(&store, "a", "x").await;
    let admin = admin().await;
    admin.batch_execute("ANALYZE it_plan").await.unwrap();
    for _ in 0..20 {
        assert_eq!(text(&store, "a").await.as_deref(), Some("x"));
    }
    let scans = "SELECT coalesce(idx_scan, 0) * 1000000 + coalesce(seq_scan, 0) FROM pg_stat_user_tables \
                 WHERE relname = 'it_plan'";
    // A session tells its counts a second after the last time, when it is spoken to.
    eventually("reads went by the index", || async {
        text(&store, "a").await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        number(&admin, scans).await / 1_000_000 >= 20
    })
    .await;
    // One of the whole table made its index.
    assert!(number(&admin, scans).await % 1_000_000 <= 1);
}

/// A builder for a store whose sessions have this setting by the pool's word, as a role may give it to them.
fn with_setting(table: &str, setting: &str) -> PostgresStoreBuilder {
    let mut config = Config::new();
    config.url = Some(support::server(SERVER).0);
    config.options = Some(format!("-c {setting}"));
    let pool = config.create_pool(Some(Runtime::Tokio1), NoTls).unwrap();
    PostgresStore::from_pool(pool).table(table).create_table(true).connections(1)
}

#[tokio::test]
async fn a_server_that_takes_no_writes_is_not_read_either() {
    put(&open("it_standby").await, "a", "old").await;
    let store = with_setting("it_standby", "default_transaction_read_only=on").build().unwrap();
    for error in [store.get(&key("a")).await.unwrap_err(), store.delete(&key("a")).await.unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
        assert!(error.is_retryable() && error.to_string().contains("takes no writes"), "{error}");
    }
}

#[tokio::test]
async fn a_lock_that_the_server_waits_for_no_longer_is_a_timeout() {
    let builder = fresh("it_lock_timeout").await;
    put(&builder.sweep_every(Duration::ZERO).build().unwrap(), "held", "old").await;
    let store = with_setting("it_lock_timeout", "lock_timeout=100").operation_timeout(Duration::from_secs(4));
    let (store, admin) = (store.build().unwrap(), admin().await);
    admin.batch_execute("BEGIN; SELECT 1 FROM it_lock_timeout WHERE k = '1/:held' FOR UPDATE").await.unwrap();
    let error = store.set(&key("held"), bytes("new"), Expiry::Never).await.unwrap_err();
    assert!(error.kind() == ErrorKind::Timeout && error.is_retryable(), "{error:?}");
    assert_eq!(text(&store, "held").await.as_deref(), Some("old"));
    admin.batch_execute("ROLLBACK").await.unwrap();
    put(&store, "held", "new").await;
}

/// A store on a logged table whose sessions acknowledge before the disk has it.
async fn hasty(table: &str, synchronous_writes: bool) -> PostgresStore {
    drop(fresh(table).await);
    let builder = with_setting(table, "synchronous_commit=off").logged(true);
    builder.synchronous_writes(synchronous_writes).build().unwrap()
}

/// What the server's log had come to, and whether the disk has what was written since.
struct Disk(Client, String);

impl Disk {
    async fn now() -> Self {
        let admin = admin().await;
        let now = admin.query_one("SELECT pg_current_wal_insert_lsn()::text", &[]).await.unwrap().get(0);
        Self(admin, now)
    }

    async fn has_more(&self) -> bool {
        let flushed = format!("SELECT pg_current_wal_flush_lsn() > '{}'::pg_lsn", self.1);
        self.0.query_one(&flushed, &[]).await.unwrap().get(0)
    }
}

#[tokio::test]
async fn removals_wait_for_the_disk_where_the_session_does_not() {
    let store = hasty("it_durable", false).await;
    let past = Expiry::After(Duration::ZERO);
    for round in 0..70 {
        let name = key(&round.to_string());
        let version = store.add(&name, bytes("x"), Expiry::Never).await.unwrap().unwrap();
        let disk = Disk::now().await;
        match round % 7 {
            0 => assert!(store.delete(&name).await.unwrap()),
            1 => assert!(store.delete_many(&[name]).await.into_iter().all(|gone| gone.unwrap())),
            2 => store.clear(&Namespace::root()).await.unwrap(),
            3 => store.set(&name, bytes("y"), past).await.unwrap(),
            4 => assert!(store.touch(&name, past).await.unwrap()),
            5 => assert!(store.replace(&name, &version, bytes("y"), past).await.unwrap().is_some()),
            _ => store.set_many(vec![(name, bytes("y"), past)]).await.remove(0).unwrap(),
        }
        assert!(disk.has_more().await, "round {round}");
    }
}

#[tokio::test]
async fn synchronous_writes_wait_for_the_disk_where_the_session_does_not() {
    let store = hasty("it_synchronous", true).await;
    let never = Expiry::Never;
    for round in 0..60 {
        let name = key(&round.to_string());
        let version = store.add(&name, bytes("x"), never).await.unwrap().unwrap();
        let disk = Disk::now().await;
        match round % 6 {
            0 => store.set(&name, bytes("y"), never).await.unwrap(),
            1 => {
                let another = key(&format!("another {round}"));
                assert!(store.add(&another, bytes("x"), never).await.unwrap().is_some());
            }
            2 => assert!(store.replace(&name, &version, bytes("y"), never).await.unwrap().is_some()),
            3 => assert!(store.touch(&name, never).await.unwrap()),
            4 => store.set_many(vec![(name, bytes("y"), never)]).await.remove(0).unwrap(),
            _ => assert!(store.increment(&key("count"), 1, never).await.unwrap() > 0),
        }
        assert!(disk.has_more().await, "round {round}");
    }
}

#[tokio::test]
async fn an_error_of_the_server_keeps_its_code() {
    use std::error::Error as _;
    let store = open("it_code").await;
    store.set(&key("n"), Value::Int(i64::MAX), Expiry::Never).await.unwrap();
    let error = store.increment(&key("n"), 1, Expiry::Never).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Overflow);
    assert!(error.source().unwrap().to_string().contains("SQLSTATE 22003"), "{error:?}");
}

#[tokio::test]
async fn a_wrong_database_is_an_error_of_the_settings() {
    let (address, _) = support::server(SERVER);
    let (server, _) = address.rsplit_once('/').unwrap();
    let store = PostgresStore::connect(&format!("{server}/no_such_database")).unwrap();
    let error = store.get(&key("a")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
    assert!(!error.is_retryable());
    assert!(error.to_string().contains("no_such_database"), "{error}");
}

#[tokio::test]
async fn large_values_come_back_whole_from_many_callers() {
    let store = Arc::new(open("it_large").await);
    let value = |number: u8| Value::Bytes(vec![number; 300_000 + usize::from(number)].into());
    for number in 0..4 {
        store.set(&key(&number.to_string()), value(number), Expiry::Never).await.unwrap();
    }
    let reads = (0..40_u8).map(|number| {
        let store = Arc::clone(&store);
        async move { (number % 4, store.get(&key(&(number % 4).to_string())).await.unwrap()) }
    });
    for (number, seen) in futures_util::future::join_all(reads).await {
        let Some(Value::Bytes(seen)) = seen else { panic!("{seen:?}") };
        assert!(seen.len() == 300_000 + usize::from(number) && seen.iter().all(|byte| *byte == number));
    }
}

#[tokio::test]
async fn a_clear_that_fails_half_way_does_not_say_that_nothing_happened() {
    let store = Arc::new(fresh("it_half").await.sweep_every(Duration::ZERO).build().unwrap());
    let entries = (0..1_500).map(|number| (key(&format!("{number:05}")), bytes("x"), Expiry::Never));
    for done in store.set_many(entries.collect()).await {
        done.unwrap();
    }
    let (holder, admin) = (admin().await, admin().await);
    holder.batch_execute("BEGIN; SELECT 1 FROM it_half WHERE k = '1/:01400' FOR UPDATE").await.unwrap();
    let clear = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.clear(&Namespace::root()).await }
    });
    // An administrator, or a time limit of the role.
    let cancel = "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity \
                  WHERE query LIKE '%it_half%' AND application_name = 'larder' AND wait_event_type = 'Lock'";
    eventually("it waits for the lock", || async { number(&admin, cancel).await == 1 }).await;
    let error = clear.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Ambiguous, "{error:?}");
    assert_eq!(number(&admin, "SELECT count(*) FROM it_half WHERE k > '\\x00'").await, 500);
    holder.batch_execute("ROLLBACK").await.unwrap();
    store.clear(&Namespace::root()).await.unwrap();
    assert_eq!(store.len().await.unwrap(), 0);
}

#[tokio::test]
async fn a_batch_of_writes_and_removals_ends_in_the_time_of_one_operation() {
    let builder = fresh("it_batch_time").await.sweep_every(Duration::ZERO);
    let store = builder.operation_timeout(Duration::from_secs(1)).build().unwrap();
    eventually("it is connected", || async { store.get(&key("a")).await.is_ok() }).await;
    put(&store, "removed", "x").await;
    put(&store, "written", "x").await;
    let admin = admin().await;
    admin.batch_execute("BEGIN; SELECT 1 FROM it_batch_time FOR UPDATE").await.unwrap();
    let past = Expiry::After(Duration::ZERO);
    let entries = vec![(key("removed"), bytes("y"), past), (key("written"), bytes("y"), Expiry::Never)];
    let started = Instant::now();
    for done in store.set_many(entries).await {
        assert!(matches!(done.unwrap_err().kind(), ErrorKind::Ambiguous | ErrorKind::Timeout));
    }
    assert!(started.elapsed() < Duration::from_millis(1_800), "{:?}", started.elapsed());
    admin.batch_execute("ROLLBACK").await.unwrap();
}
