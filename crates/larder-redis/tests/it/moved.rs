//! Keys that have gone to another server of a cluster.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicUsize, Ordering},
};

use larder_core::CacheStore;
use larder_redis::{RedisStore, fred::util::redis_keyslot};

use super::{
    FAR, bytes,
    fake::{self, Fake},
    key, patient,
};

/// One of two servers, of which one has all slots at a time. They speak of each other as servers with IPv6 addresses do.
async fn server(number: usize, ports: &Arc<OnceLock<[u16; 2]>>, owner: &Arc<AtomicUsize>) -> Fake {
    let (ports, owner) = (Arc::clone(ports), Arc::clone(owner));
    Fake::new(move |words| {
        let owner = owner.load(Ordering::Relaxed);
        let port = ports.get()?[owner];
        let answer = match (words[0].as_str(), words[1].as_str()) {
            ("CLUSTER", "INFO") => fake::IS_WELL.to_owned(),
            ("CLUSTER", _) => fake::cluster_slots(&[(0, 16_383, port)]),
            (_, key) if owner != number => {
                format!("-MOVED {} ::1:{port}\r\n", redis_keyslot(key.as_bytes()))
            }
            ("SET", _) => "+OK\r\n".to_owned(),
            _ => "$-1\r\n".to_owned(),
        };
        // The answers live as long as the test's process.
        Some(answer.leak())
    })
    .await
}

/// The client cannot read such an address, and learns nothing from it.
#[tokio::test]
async fn a_key_is_followed_to_a_server_with_an_ipv6_address() {
    let (ports, owner) = (Arc::default(), Arc::default());
    let servers = [server(0, &ports, &owner).await, server(1, &ports, &owner).await];
    ports.set([servers[0].port(), servers[1].port()]).unwrap();
    let url = format!("redis+cluster://127.0.0.1:{}", servers[0].port());
    let (store, key) = (patient(RedisStore::builder(&url)).build().unwrap(), key("moved"));
    for owner_now in [0, 1, 0, 1, 0] {
        owner.store(owner_now, Ordering::Relaxed);
        store.set(&key, bytes("value"), FAR).await.unwrap();
        assert!(store.get(&key).await.unwrap().is_none());
    }
    // But for the first one, each was refused once before it was done.
    assert_eq!(servers[0].count("SET") + servers[1].count("SET"), 9);
}
