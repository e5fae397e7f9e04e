//! Looking at every key, where the server changes meanwhile.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use larder_core::CacheStore;
use larder_redis::RedisStore;

use super::{
    fake::{self, Fake},
    patient,
};

/// A cursor means nothing to the server of the next connection: what the walk had not seen yet would be left out.
#[tokio::test]
async fn a_walk_whose_connection_is_lost_begins_again() {
    let namespace = super::namespace("walk");
    let key = larder_core::Key::new(&namespace, "key").unwrap();
    // The answers live as long as the test's process.
    let found: &'static str =
        format!("*2\r\n$1\r\n0\r\n*1\r\n${}\r\n{}\r\n", key.as_str().len(), key.as_str()).leak();
    let first = AtomicBool::new(true);
    let fake = Fake::new(move |words| match (words[0].as_str(), words.get(1).map(String::as_str)) {
        ("SCAN", Some("0")) if first.swap(false, Ordering::Relaxed) => Some("*2\r\n$1\r\n7\r\n*0\r\nand bye"),
        ("SCAN", Some("0")) => Some(found),
        ("SCAN", _) => Some("*2\r\n$1\r\n0\r\n*0\r\n"),
        ("UNLINK", _) => Some(":1\r\n"),
        _ => None,
    })
    .await;
    let store = patient(RedisStore::builder(&fake.url)).build().unwrap();
    assert_eq!(store.keys(&namespace).await.unwrap(), std::slice::from_ref(&key));
    assert!(fake.connections() > 1);
    store.clear(&namespace).await.unwrap();
    assert_eq!(fake.count("UNLINK"), 1);
}

/// One of two servers of a cluster between which slot 7 is open. The one that is looked at last hangs up after the second look.
async fn half(number: usize, ports: &Arc<OnceLock<[u16; 2]>>) -> Fake {
    let (ports, scans) = (Arc::clone(ports), AtomicUsize::new(0));
    Fake::new(move |words| {
        let [first, second] = *ports.get()?;
        let is_last = [first, second][number] == first.max(second);
        let answer = match (words[0].as_str(), words[1].as_str()) {
            ("CLUSTER", "INFO") => fake::IS_WELL.to_owned(),
            ("CLUSTER", "SLOTS") => fake::cluster_slots(&[(0, 8191, first), (8192, 16_383, second)]),
            ("CLUSTER", _) => {
                let (ids, slots) = (["a".repeat(40), "b".repeat(40)], ["0-8191", "8192-16383"]);
                let mark = [format!("[7->-{}]", ids[1]), format!("[7-<-{}]", ids[0])];
                let line = |at: usize, flags, mark: &str| {
                    format!("{} :1@2 {flags}master - 0 0 {at} connected {} {mark}\n", ids[at], slots[at])
                };
                let text = line(number, "myself,", &mark[number]) + &line(1 - number, "", "");
                format!("${}\r\n{text}\r\n", text.len())
            }
            _ if scans.fetch_add(1, Ordering::Relaxed) == 1 && is_last => {
                format!("*2\r\n$1\r\n0\r\n*0\r\n{}", fake::BYE)
            }
            _ => "*2\r\n$1\r\n0\r\n*0\r\n".to_owned(),
        };
        // The answers live as long as the test's process.
        Some(answer.leak())
    })
    .await
}

/// What was between the second look and the third one, nobody knows.
#[tokio::test]
async fn an_open_slot_needs_two_looks_over_the_same_connections() {
    let ports = Arc::default();
    let halves = [half(0, &ports).await, half(1, &ports).await];
    ports.set([halves[0].port(), halves[1].port()]).unwrap();
    let url = format!("redis+cluster://127.0.0.1:{}", halves[0].port());
    let store = patient(RedisStore::builder(&url)).build().unwrap();
    store.clear(&super::namespace("open")).await.unwrap();
    let looks = halves.each_ref().map(|half| half.count("SCAN"));
    assert!(looks.iter().all(|looks| *looks >= 4), "{looks:?}");
}
