//! Looking at every key, where the server changes meanwhile.

use std::sync::atomic::{AtomicBool, Ordering};

use larder_core::CacheStore;
use larder_redis::RedisStore;

use super::{fake::Fake, patient};

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
