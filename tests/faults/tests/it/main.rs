//! Every store under load, while its servers are killed, stopped, cut off and failed over. Every answer is checked.
#![expect(clippy::disallowed_methods, reason = "a test waits, measures and spawns at the outermost edge")]
#![expect(clippy::print_stdout, reason = "the histograms are for who runs the tests")]
#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod breaker;
mod cluster;
mod exam;
mod memcached;
mod patient;
mod postgres;
mod proxy;
mod redis;
mod redis_tls;
mod resharding;
mod sentinel;

use std::sync::Arc;
use std::time::{Duration, Instant};

use larder_core::{CacheStore, Expiry, Key, Namespace, Value};

const FAR: Expiry = Expiry::After(Duration::from_hours(1));
const OPERATION: Duration = Duration::from_millis(500);
const RECOVERY: Duration = Duration::from_secs(2);

const fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

fn key(text: &str) -> Key {
    Key::new(&Namespace::root().child("faults").unwrap(), text).unwrap()
}

fn bytes(text: &str) -> Value {
    Value::Bytes(text.to_owned().into())
}

fn shown(value: Option<Value>) -> Option<String> {
    value.map(|value| match value {
        Value::Bytes(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
        other => format!("{other:?}"),
    })
}

/// Waits until something is so, at most `within`; how long it took.
async fn until(what: &str, within: Duration, mut is_so: impl AsyncFnMut() -> bool) -> Duration {
    let began = Instant::now();
    while !is_so().await {
        assert!(began.elapsed() < within, "{what}: not within {within:?}");
        tokio::time::sleep(millis(5)).await;
    }
    began.elapsed()
}

/// A store connects in the background: waits until all of its servers answer.
async fn connected(store: &Arc<dyn CacheStore>) {
    until("the first connection", Duration::from_secs(10), async || {
        for server in 0..store.servers().len() {
            if store.ping(server).await.is_err() {
                return false;
            }
        }
        true
    })
    .await;
}
