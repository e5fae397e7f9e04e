//! What only the Memcached store promises.
#![expect(clippy::disallowed_methods, reason = "a test waits and spawns at the outermost edge")]
#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

#[path = "../support/mod.rs"]
mod support;

mod config;
mod counters;
mod fake;
mod faults;
mod hostile;
mod limits;
mod sharing;
mod shelf;
mod storms;

use std::time::Duration;

use larder_core::{CacheStore, Expiry, Key, Namespace, Value};
use larder_memcached::MemcachedStore;

/// A namespace of a test's own: the servers are shared, and never emptied.
fn namespace(name: &str) -> Namespace {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Namespace::root().child(&format!("{name}-{}-{:x}", std::process::id(), now.as_nanos())).unwrap()
}

fn key(namespace: &Namespace, text: &str) -> Key {
    Key::new(namespace, text).unwrap()
}

fn bytes(text: &str) -> Value {
    Value::Bytes(text.to_owned().into())
}

/// A store with time enough for an unoptimised build on a busy machine.
fn store(variable: &str) -> MemcachedStore {
    support::builder(variable).unwrap().operation_timeout(Duration::from_secs(4)).build().unwrap()
}

async fn text(store: &MemcachedStore, key: &Key) -> Option<String> {
    match store.get(key).await.unwrap()? {
        Value::Bytes(bytes) => Some(String::from_utf8(bytes.to_vec()).unwrap()),
        other => panic!("{other:?}"),
    }
}

const FAR: Expiry = Expiry::After(Duration::from_hours(1));
