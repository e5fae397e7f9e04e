//! What only the Redis store promises.
#![expect(clippy::disallowed_methods, reason = "a test waits and spawns at the outermost edge")]
#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod bytes;
mod cluster;
mod config;
mod connections;
mod distrust;
mod errors;
mod fake;
mod given_up;
mod hostile;
mod monitor;
mod moved;
mod replicas;
mod scripts;
#[path = "../support/mod.rs"]
mod support;
mod walk;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use larder_core::{CacheStore, Expiry, Key, Namespace, Value};
use larder_redis::{
    RedisStore,
    fred::{
        clients::Client,
        interfaces::ClientLike as _,
        types::{ClusterHash, CustomCommand, Value as Answer, config::Config},
    },
};

const ALONE: &str = "LARDER_TEST_REDIS";
const FAR: Expiry = Expiry::After(Duration::from_mins(10));

/// A namespace that no other test and no other run uses.
fn namespace(test: &str) -> Namespace {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
    Namespace::root().child(&format!("{test} {now:x}")).unwrap()
}

/// A key that no other test and no other run uses.
fn key(test: &str) -> Key {
    Key::new(&namespace(test), "key").unwrap()
}

fn bytes(text: &str) -> Value {
    Value::Bytes(text.to_owned().into())
}

fn store() -> RedisStore {
    patient(support::builder(ALONE)).build().unwrap()
}

/// With time enough for a busy machine.
fn patient(builder: larder_redis::RedisStoreBuilder) -> larder_redis::RedisStoreBuilder {
    builder.operation_timeout(Duration::from_secs(5))
}

/// The text under a key.
async fn text(store: &RedisStore, key: &Key) -> Option<String> {
    match store.get(key).await.unwrap()? {
        Value::Bytes(bytes) => Some(String::from_utf8(bytes.to_vec()).unwrap()),
        other => panic!("{other:?}"),
    }
}

/// The server itself, as an operator sees it.
struct Operator(Client);

impl Operator {
    async fn new() -> Self {
        Self::at(&support::url(ALONE)).await
    }

    async fn at(url: &str) -> Self {
        let client = Client::new(Config::from_url(url).unwrap(), None, None, None);
        client.init().await.unwrap();
        Self(client)
    }

    async fn says<const N: usize>(&self, words: [&[u8]; N]) -> Answer {
        let name = String::from_utf8(words[0].to_vec()).unwrap();
        let command = CustomCommand::new(name, ClusterHash::FirstKey, false);
        let arguments = words[1..].iter().map(|word| Answer::from(*word)).collect();
        self.0.custom(command, arguments).await.unwrap()
    }

    async fn says_text<const N: usize>(&self, words: [&str; N]) -> Answer {
        self.says(words.map(str::as_bytes)).await
    }

    /// The bytes under a key, as they lie in the server.
    async fn raw(&self, key: &str) -> Option<Vec<u8>> {
        self.says_text(["GET", key]).await.into_bytes().map(|bytes| bytes.to_vec())
    }

    /// How many connections have this name.
    async fn connections_of(&self, user: &str) -> usize {
        let list = self.says_text(["CLIENT", "LIST"]).await.into_string().unwrap();
        list.lines().filter(|line| line.contains(user)).count()
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        let client = self.0.clone();
        tokio::spawn(async move { client.quit().await });
    }
}
