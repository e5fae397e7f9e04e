//! What only the in-process store promises.
#![expect(clippy::disallowed_methods, reason = "a test starts its tasks at the outermost edge")]
#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod bounds;
mod concurrency;
mod config;
mod events;
mod eviction;
mod expiry;
mod objects;
mod upkeep;

use larder_core::{Key, Namespace, Value};

fn key(text: &str) -> Key {
    Key::new(&Namespace::root(), text).unwrap()
}

fn bytes(len: usize) -> Value {
    Value::Bytes(vec![0; len].into())
}

/// Everything that can run without time passing has run.
async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}
