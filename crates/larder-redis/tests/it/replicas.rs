//! Reads from a replica, which may lag.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use larder_core::{CacheStore, Hazard, Key, Value};
use larder_redis::{ReadFrom, RedisStore};

use super::{FAR, Operator, bytes, fake::Fake, patient, support, text};

const SENTINEL: &str = "LARDER_TEST_REDIS_SENTINEL";

/// Operators of the primary's replicas.
async fn replicas() -> Vec<Operator> {
    let url = support::url(SENTINEL);
    let (hosts, service) = url.trim_start_matches("redis+sentinel://").split_once('/').unwrap();
    let first = hosts.split(',').next().unwrap();
    let primary = Operator::at(&format!("redis-sentinel://{first}?sentinelServiceName={service}")).await;
    let role = primary.says_text(["ROLE"]).await.into_array();
    let mut found = Vec::new();
    for replica in role[2].clone().into_array() {
        let parts: Vec<String> =
            replica.into_array().into_iter().map(|part| part.into_string().unwrap()).collect();
        found.push(Operator::at(&format!("redis://{}:{}", parts[0], parts[1])).await);
    }
    assert_eq!(found.len(), 2);
    found
}

fn store(read_from: ReadFrom) -> RedisStore {
    patient(support::builder(SENTINEL)).read_from(read_from).wait_replicas(2).build().unwrap()
}

async fn wait_for(store: &RedisStore, key: &Key, value: Option<&str>) {
    let start = Instant::now();
    while text(store, key).await.as_deref() != value {
        assert!(start.elapsed() < Duration::from_secs(20), "{:?}", text(store, key).await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The client itself would read from the primary: it knows the replicas of a cluster alone.
#[tokio::test]
async fn behind_sentinel_a_replica_answers_and_may_be_stale() {
    let (primary, near) = (store(ReadFrom::Primary), store(ReadFrom::Replica));
    assert!(near.guarantees().is_weakened_by(Hazard::ReplicaReads));
    assert!(!primary.guarantees().is_weakened_by(Hazard::ReplicaReads));
    let namespace = super::namespace("stale");
    let (key, other) = (Key::new(&namespace, "key").unwrap(), Key::new(&namespace, "other").unwrap());
    primary.set(&key, bytes("old"), FAR).await.unwrap();
    let old = replicas_raw(&key).await;
    primary.set(&key, bytes("new"), FAR).await.unwrap();
    // What a replica that lags still has.
    for replica in replicas().await {
        replica.says_text(["CONFIG", "SET", "replica-read-only", "no"]).await;
        replica.says([b"SET", key.as_str().as_bytes(), &old]).await;
        replica.says_text(["CONFIG", "SET", "replica-read-only", "yes"]).await;
    }
    wait_for(&near, &key, Some("old")).await;
    assert_eq!(text(&primary, &key).await.as_deref(), Some("new"));
    let many = near.get_many(&[key.clone(), other.clone()]).await;
    assert!(matches!(many[0].as_ref().unwrap(), Some(Value::Bytes(bytes)) if bytes == "old"), "{many:?}");
    assert!(many[1].as_ref().unwrap().is_none());
    // A version that a replica tells of loses against what the primary has.
    let (_, version) = near.get_versioned(&key).await.unwrap().unwrap();
    assert!(near.replace(&key, &version, bytes("late"), FAR).await.unwrap().is_none());
    // Writes go to the primary, and come to the replicas from there.
    near.set(&other, bytes("value"), FAR).await.unwrap();
    wait_for(&near, &other, Some("value")).await;
    assert!(near.delete(&key).await.unwrap());
    wait_for(&near, &key, None).await;
}

/// An entry as it lies in the replicas.
async fn replicas_raw(key: &Key) -> Vec<u8> {
    let replica = replicas().await.remove(0);
    replica.raw(key.as_str()).await.expect("`wait_replicas` has waited for it")
}

/// A lone server has none.
#[tokio::test]
async fn without_a_replica_the_primary_answers() {
    let store = patient(support::builder(super::ALONE)).read_from(ReadFrom::Replica).build().unwrap();
    let key = super::key("lone");
    store.set(&key, bytes("value"), FAR).await.unwrap();
    assert_eq!(text(&store, &key).await.as_deref(), Some("value"));
}

async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !is_so().await {
        assert!(start.elapsed() < Duration::from_secs(20), "{what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_replica_that_cannot_answer_is_replaced_and_the_primary_helps_out() {
    let miss = |_: &[String]| Some("$-1\r\n");
    let primary = Fake::new(miss).await;
    let good = Fake::new(miss).await;
    let is_loading = Arc::new(AtomicBool::new(false));
    let loading = Arc::clone(&is_loading);
    let bad = Fake::new(move |_| {
        Some(if loading.load(Ordering::Relaxed) { "-LOADING Redis is loading\r\nand bye" } else { "$-1\r\n" })
    })
    .await;
    primary.seen.lock().unwrap().replicas = vec![bad.port()];
    let store = patient(RedisStore::builder(&primary.url)).read_from(ReadFrom::Replica).build().unwrap();
    let key = super::key("replaced");
    let read = async || assert!(store.get(&key).await.unwrap().is_none());

    until("the replica is read from", async || {
        read().await;
        bad.count("GET") > 0
    })
    .await;
    let before = primary.count("GET");
    for _ in 0..20 {
        read().await;
    }
    assert_eq!(primary.count("GET"), before, "the primary is not asked");

    is_loading.store(true, Ordering::Relaxed);
    read().await;
    assert_eq!(primary.count("GET"), before + 1, "the primary answers instead");

    // It listens no more, and hangs up.
    primary.seen.lock().unwrap().replicas.push(good.port());
    drop(bad);
    until("the other replica is read from", async || {
        read().await;
        good.count("GET") > 0
    })
    .await;
}
