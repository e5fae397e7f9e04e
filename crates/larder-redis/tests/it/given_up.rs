//! A client that gives up by itself.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use larder_core::CacheStore;
use larder_redis::RedisStore;

use super::{
    FAR, bytes,
    fake::{self, Fake},
    key,
};

/// It goes on counting the commands that were queued then, and, waiting for them, sends nothing at once any more: a command that is alone
/// is never answered.
#[tokio::test]
async fn what_was_queued_when_a_client_gave_up_holds_nothing_up() {
    let (port, is_broken) = (Arc::new(OnceLock::new()), Arc::new(AtomicBool::new(false)));
    let (own_port, broken) = (Arc::clone(&port), Arc::clone(&is_broken));
    let fake = Fake::new(move |words| {
        let is_broken = broken.load(Ordering::Relaxed);
        match (words[0].as_str(), words[1].as_str()) {
            ("CLUSTER", "INFO") => Some(fake::IS_WELL),
            // For good, so the client thinks.
            ("CLUSTER", _) if is_broken => Some("-ERR This instance has cluster support disabled\r\n"),
            // The answers live as long as the test's process.
            ("CLUSTER", _) => Some(fake::cluster_slots(&[(0, 16_383, *own_port.get()?)]).leak()),
            _ if is_broken => Some(""),
            ("SET", _) => Some("+OK\r\n"),
            _ => Some("$-1\r\n"),
        }
    })
    .await;
    port.set(fake.port()).unwrap();
    let url = format!("redis+cluster://127.0.0.1:{}", fake.port());
    let store = RedisStore::builder(&url).operation_timeout(Duration::from_millis(400)).build().unwrap();
    let key = key("queued");
    while store.get(&key).await.is_err() {}
    for _ in 0..3 {
        is_broken.store(true, Ordering::Relaxed);
        let began = Instant::now();
        while began.elapsed() < Duration::from_millis(200) {
            // Sent once, and so again at once.
            futures_util::future::join_all((0..16).map(|_| store.set(&key, bytes("value"), FAR))).await;
        }
        is_broken.store(false, Ordering::Relaxed);
        let began = Instant::now();
        while store.get(&key).await.is_err() {
            assert!(began.elapsed() < Duration::from_secs(5), "it does not come back");
        }
        for _ in 0..5 {
            assert!(store.get(&key).await.unwrap().is_none());
        }
    }
}
