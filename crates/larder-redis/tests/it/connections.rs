//! Connections that are lost, that are too few, and that are not needed any more.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use larder_core::{CacheStore, ErrorKind, Key, Result, Value, Version};
use larder_redis::{
    RedisStore,
    fred::{
        clients::Pool,
        interfaces::ClientLike as _,
        types::config::{Config, ReconnectPolicy},
        util::redis_keyslot,
    },
};

use super::{ALONE, FAR, Operator, bytes, fake::Fake, key, patient, support, text};

/// A store in a database of its own, by which the server's list tells its connections.
fn in_database(number: u32) -> RedisStore {
    patient(support::builder(ALONE)).database(number).connections(2).build().unwrap()
}

async fn kill(operator: &Operator, database: u32) {
    let list = operator.says_text(["CLIENT", "LIST"]).await.into_string().unwrap();
    for line in list.lines().filter(|line| line.contains(&format!(" db={database} "))) {
        let id = line.split(' ').find_map(|field| field.strip_prefix("id=")).unwrap();
        // It may be gone by itself.
        operator.says_text(["CLIENT", "KILL", "ID", id]).await;
    }
}

#[tokio::test]
async fn the_last_clone_closes_the_connections() {
    let operator = Operator::new().await;
    let one = in_database(9);
    let two = one.clone();
    one.set(&key("clones"), bytes("value"), FAR).await.unwrap();
    // Reads take turns, so that both connections are there when two have been answered.
    for _ in 0..2 {
        one.get(&key("clones")).await.unwrap();
    }
    assert_eq!(operator.connections_of(" db=9 ").await, 2);
    drop(one);
    tokio::time::sleep(Duration::from_millis(100)).await;
    two.get(&key("clones")).await.unwrap();
    assert_eq!(operator.connections_of(" db=9 ").await, 2);
    let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    drop(two);
    for _ in 0..200 {
        if operator.connections_of(" db=9 ").await == 0 {
            assert!(tokio::runtime::Handle::current().metrics().num_alive_tasks() < tasks);
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{} connections stay", operator.connections_of(" db=9 ").await);
}

#[tokio::test]
async fn a_store_that_never_connected_leaves_no_task() {
    let before = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let store = RedisStore::connect("redis://127.0.0.1:1").unwrap();
    let start = Instant::now();
    let error = store.get(&key("down")).await.unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Unavailable, true), "{error}");
    let error = store.set(&key("down"), bytes("value"), FAR).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "nothing was sent: {error}");
    assert!(start.elapsed() < Duration::from_millis(1_500), "{:?}", start.elapsed());
    drop(store);
    for _ in 0..200 {
        if tokio::runtime::Handle::current().metrics().num_alive_tasks() <= before {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("tasks stay");
}

/// By its defaults the client hangs for ever after its connection was lost once.
#[tokio::test]
async fn it_comes_back_after_every_lost_connection() {
    let (store, operator, key) = (in_database(10), Operator::new().await, key("back"));
    store.set(&key, bytes("value"), FAR).await.unwrap();
    for _ in 0..5 {
        kill(&operator, 10).await;
        let start = Instant::now();
        while text_or_none(&store, &key).await.is_none() {
            assert!(start.elapsed() < Duration::from_secs(2), "not back");
        }
    }
}

async fn text_or_none(store: &RedisStore, key: &Key) -> Option<String> {
    match store.get(key).await {
        Ok(Some(Value::Bytes(bytes))) => Some(String::from_utf8(bytes.to_vec()).unwrap()),
        Ok(other) => panic!("{other:?}"),
        Err(error) => {
            assert!(error.is_retryable(), "{error}");
            None
        }
    }
}

/// By its defaults the client counts again what was in flight.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counters_never_count_twice_when_connections_are_lost() {
    let (store, operator, key) = (in_database(12), Operator::new().await, key("count"));
    store.increment(&key, 0, FAR).await.unwrap();
    let counts: Vec<_> = (0..16)
        .map(|_| {
            let (store, key) = (store.clone(), key.clone());
            tokio::spawn(async move {
                let (mut acknowledged, mut unknown) = (0_i64, 0_i64);
                for _ in 0..200 {
                    match store.increment(&key, 1, FAR).await {
                        Ok(_) => acknowledged += 1,
                        Err(error) if error.kind() == ErrorKind::Ambiguous => unknown += 1,
                        Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}"),
                    }
                }
                (acknowledged, unknown)
            })
        })
        .collect();
    let mut killed = 0;
    while counts.iter().any(|task| !task.is_finished()) {
        kill(&operator, 12).await;
        killed += 1;
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    let (mut acknowledged, mut unknown) = (0, 0);
    for task in counts {
        let (some, others) = task.await.unwrap();
        acknowledged += some;
        unknown += others;
    }
    let sum = store.increment(&key, 0, FAR).await.unwrap();
    assert!(
        (acknowledged..=acknowledged + unknown).contains(&sum),
        "{acknowledged} acknowledged, {unknown} unknown, {killed} kills, and the counter is {sum}"
    );
}

/// The client's own bound leaks its count, and hangs once it was reached.
#[tokio::test]
async fn over_the_bound_it_refuses_and_recovers() {
    let store = patient(support::builder(ALONE)).max_in_flight(4).build().unwrap();
    let key = key("bound");
    store.set(&key, bytes("value"), FAR).await.unwrap();
    for _ in 0..20 {
        let many = futures_util::future::join_all((0..50).map(|_| store.get(&key))).await;
        let refused: Vec<_> = many.into_iter().filter_map(Result::err).collect();
        assert_eq!(refused.len(), 46);
        assert!(refused.iter().all(|error| error.kind() == ErrorKind::Overloaded && error.is_retryable()));
        assert_eq!(text(&store, &key).await.as_deref(), Some("value"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_that_go_away_mix_nothing_up_and_leak_nothing() {
    let (store, operator) = (in_database(13), Operator::new().await);
    let namespace = super::namespace("storm");
    let keys: Vec<_> = (0..64).map(|number| Key::new(&namespace, &number.to_string()).unwrap()).collect();
    for key in &keys {
        store.set(key, bytes(key.as_str()), FAR).await.unwrap();
    }
    let storms: Vec<_> = (0..32_u64)
        .map(|task| {
            let (store, keys) = (store.clone(), keys.clone());
            tokio::spawn(async move {
                for round in 0..400_u64 {
                    let number = task.wrapping_mul(0x9e37_79b9).wrapping_add(round * 7);
                    let key = &keys[usize::try_from(number % 64).unwrap()];
                    let patience = Duration::from_micros(number % 300);
                    if let Ok(Ok(found)) = tokio::time::timeout(patience, store.get(key)).await {
                        let Some(Value::Bytes(bytes)) = found else { panic!("{found:?}") };
                        assert_eq!(bytes, key.as_str().as_bytes());
                    }
                    let some = [key.clone(), keys[0].clone()];
                    if let Ok(found) = tokio::time::timeout(patience, store.get_many(&some)).await {
                        for (found, key) in found.into_iter().zip(&some) {
                            let Some(Value::Bytes(bytes)) = found.unwrap() else { panic!("no bytes") };
                            assert_eq!(bytes, key.as_str().as_bytes());
                        }
                    }
                }
            })
        })
        .collect();
    for storm in storms {
        storm.await.unwrap();
    }
    for key in &keys {
        assert_eq!(text(&store, key).await.as_deref(), Some(key.as_str()));
    }
    assert_eq!(operator.connections_of(" db=13 ").await, 2);
    store.clear(&namespace).await.unwrap();
}

#[tokio::test]
async fn an_applications_own_client_works_and_stays() {
    let config = Config::from_url(&support::url(ALONE)).unwrap();
    let policy = ReconnectPolicy::new_exponential(0, 50, 500, 2);
    let pool = Pool::new(config, None, None, Some(policy), 1).unwrap();
    pool.connect();
    let store = patient(RedisStore::from_client(pool.clone())).prefix("own:").build().unwrap();
    let key = key("own");
    store.set(&key, bytes("value"), FAR).await.unwrap();
    assert_eq!(text(&store, &key).await.as_deref(), Some("value"));
    drop(store);
    tokio::time::sleep(Duration::from_millis(50)).await;
    let pong: String = pool.ping(None).await.unwrap();
    assert_eq!(pong, "PONG");
    pool.quit().await.unwrap();
}

/// A connection that answers nothing is given up, so that a server that hangs does not keep everybody for ever.
#[tokio::test]
async fn a_silent_connection_is_given_up() {
    let fake = Fake::new(|_| None).await;
    let store = RedisStore::builder(&fake.url).operation_timeout(Duration::from_millis(200)).build().unwrap();
    let start = Instant::now();
    while fake.connections() < 2 {
        assert!(start.elapsed() < Duration::from_secs(10), "it stays with the silent connection");
        assert!(store.get(&key("silent")).await.is_err());
    }
    while store.ping(0).await.is_err() {
        assert!(start.elapsed() < Duration::from_secs(10), "it does not come back");
    }
}

/// Which of two connections a key's writes go over.
fn way(key: &Key) -> usize {
    usize::from(redis_keyslot(key.as_str().as_bytes())) % 2
}

/// What is written and removed over two connections may come in another order.
#[tokio::test]
async fn all_writes_to_a_key_go_over_one_connection() {
    let fake = Fake::new(|words| match words[0].as_str() {
        "SET" => Some("+OK\r\n"),
        _ => Some(":1\r\n"),
    })
    .await;
    let store = patient(RedisStore::builder(&fake.url)).connections(4).build().unwrap();
    let namespace = super::namespace("ways");
    let keys: Vec<Key> = (0..16).map(|number| Key::new(&namespace, &number.to_string()).unwrap()).collect();
    let version = Version::new(b"\x01twelve bytes").unwrap();
    for _ in 0..2 {
        let entries = keys.iter().map(|key| (key.clone(), bytes("value"), FAR)).collect();
        assert!(store.set_many(entries).await.iter().all(Result::is_ok));
        for key in &keys {
            store.set(key, bytes("value"), FAR).await.unwrap();
            store.add(key, bytes("value"), FAR).await.unwrap();
            store.replace(key, &version, bytes("value"), FAR).await.unwrap();
            store.increment(key, 1, FAR).await.unwrap();
            store.touch(key, FAR).await.unwrap();
            store.delete(key).await.unwrap();
        }
        assert!(store.delete_many(&keys).await.iter().all(Result::is_ok));
    }
    let seen = fake.seen.lock().unwrap();
    let mut ways = HashSet::new();
    for key in &keys {
        let of_key = |words: &Vec<String>| words.iter().any(|word| word == key.as_str());
        let over: Vec<usize> = seen
            .commands
            .iter()
            .zip(&seen.over)
            .filter(|(words, _)| of_key(words))
            .map(|(_, over)| *over)
            .collect();
        assert!(over.len() >= 16 && over.iter().all(|way| *way == over[0]), "{over:?}");
        ways.insert(over[0]);
    }
    assert!(ways.len() > 1, "all of them go over {ways:?}");
}

/// One that was never answered may still be on its way, over another connection than the one that looks for keys.
#[tokio::test]
async fn a_clear_comes_after_what_was_written_over_other_connections() {
    let rest = |words: &[String]| Duration::from_millis(if words[0] == "SET" { 600 } else { 0 });
    let fake = Fake::slow(rest, |words| match words[0].as_str() {
        "SET" => Some("+OK\r\n"),
        "SCAN" => Some("*2\r\n$1\r\n0\r\n*0\r\n"),
        _ => Some("$-1\r\n"),
    })
    .await;
    let builder = RedisStore::builder(&fake.url).connections(2);
    let store = builder.operation_timeout(Duration::from_millis(200)).build().unwrap();
    let namespace = super::namespace("behind");
    let mut keys = (0..).map(|number| Key::new(&namespace, &number.to_string()).unwrap());
    let keys = [keys.find(|key| way(key) == 0).unwrap(), keys.find(|key| way(key) == 1).unwrap()];
    for key in &keys {
        while store.get(key).await.is_err() {}
    }
    for key in &keys {
        let error = store.set(key, bytes("value"), FAR).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Ambiguous, "{error}");
    }
    store.clear(&namespace).await.unwrap();
    let seen = fake.seen.lock().unwrap();
    let order: Vec<&str> =
        seen.commands.iter().map(|words| words[0].as_str()).filter(|name| *name != "GET").collect();
    assert_eq!(order, ["SET", "SET", "SCAN"]);
}
