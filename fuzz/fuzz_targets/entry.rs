//! An entry of any bytes is a value or a miss, whatever type is asked for, and a load gets over it.
#![no_main]

use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{LazyLock, Mutex},
};

use larder_core::{
    Cache, CacheStore, Capabilities, Error, ErrorKind, Expiry, Key, Result, Timeout, Value, Version,
    async_trait,
};
use serde::{Deserialize, Serialize};

/// Holds one entry, under every key.
#[derive(Debug, Default)]
struct One(Mutex<Option<Value>>);

#[async_trait]
impl CacheStore for One {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new().with_operations(larder_core::Operations::VERSIONS)
    }
    async fn get(&self, _key: &Key) -> Result<Option<Value>> {
        Ok(self.0.lock().expect("nothing panics with it").clone())
    }
    async fn set(&self, _key: &Key, value: Value, _expiry: Expiry) -> Result<()> {
        *self.0.lock().expect("nothing panics with it") = Some(Value::from_wire(value.to_wire()?)?);
        Ok(())
    }
    async fn delete(&self, _key: &Key) -> Result<bool> {
        Ok(self.0.lock().expect("nothing panics with it").take().is_some())
    }
    async fn get_versioned(&self, key: &Key) -> Result<Option<(Value, Version)>> {
        Ok(self.get(key).await?.map(|value| (value, 1.into())))
    }
    async fn replace(&self, key: &Key, _: &Version, value: Value, expiry: Expiry) -> Result<Option<Version>> {
        self.set(key, value, expiry).await?;
        Ok(Some(1.into()))
    }
    async fn add(&self, _: &Key, _: Value, _: Expiry) -> Result<Option<Version>> {
        Err(Error::new(ErrorKind::Unavailable, "not here"))
    }
}

#[derive(Serialize, Deserialize, Debug, Default)]
struct Tree {
    #[serde(default)]
    name: String,
    #[serde(default)]
    children: Vec<Tree>,
    #[serde(default)]
    more: HashMap<String, Option<f64>>,
}

static RUNTIME: LazyLock<tokio::runtime::Runtime> =
    LazyLock::new(|| tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime"));

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let value = Value::Bytes(bytes.to_vec().into());
    let _ = value.expires_at();
    assert_eq!(value.weight().expect("bytes weigh what they are"), bytes.len());
    let cache = Cache::new(One(Mutex::new(Some(value))));
    RUNTIME.block_on(async {
        cache.get::<Tree>("a").await.expect("a value or a miss");
        cache.get::<u64>("a").await.expect("a value or a miss");
        cache.get::<String>("a").await.expect("a value or a miss");
        cache
            .get_many::<(u8, Option<bool>)>(["a"])
            .await
            .pop()
            .expect("one result")
            .expect("a value or a miss");
        cache.expiry("a").await.expect("a time or none");
        cache.has("a").await.expect("there or not");
        cache.touch("a", Timeout::Never).await.expect("touched or not there");
        cache.take::<Tree>("a").await.expect("a value or a miss");
        let loaded = cache.get_or_load("a", || async { Ok::<_, Infallible>(Tree::default()) }).await;
        loaded.expect("found or loaded");
        assert_eq!(cache.store().busy_keys(), 0);
    });
});
