//! `memcached://`, `memcacheds://` and `memcached+unix://`.

use larder_core::{Error, ErrorKind, Result, StoreHandle, async_trait};
use larder_memcached::{MemcachedStore, MemcachedStoreBuilder};

use super::remote::{file, login, max_value_bytes, prefix, set};
use crate::{
    StoreFactory, StoreUrl,
    settings::{MEMCACHED, names, shown},
};

#[derive(Debug)]
pub(super) struct Memcached;

#[async_trait]
impl StoreFactory for Memcached {
    fn settings(&self) -> &[&str] {
        const { &names(&MEMCACHED) }
    }

    async fn open(&self, url: &StoreUrl) -> Result<StoreHandle> {
        let mut store = MemcachedStore::builder(url.address());
        store = match (login(url, "username")?, login(url, "password")?) {
            (Some(user), Some(password)) => store.credentials(user, password),
            (Some(user), None) => return Err(needs(url, "username", user, "a `password`")),
            (None, Some(_)) => return Err(needs(url, "password", "***", "a `username`")),
            (None, None) => store,
        };
        let store = set(store, file(url, "ca")?, MemcachedStoreBuilder::ca);
        let store = set(store, prefix(url)?, MemcachedStoreBuilder::prefix);
        let store = set(store, url.count_within("lanes", 1..=8)?, MemcachedStoreBuilder::lanes);
        let store = set(store, url.flag("rehash")?, MemcachedStoreBuilder::rehash);
        let in_flight = url.count_within("max_in_flight", 1..=1_000_000)?;
        let store = set(store, in_flight, MemcachedStoreBuilder::max_in_flight);
        let connect = url.duration_within("connect_timeout", "1ms", "10m")?;
        let store = set(store, connect, MemcachedStoreBuilder::connect_timeout);
        // The cache's own, which are the store's too: longer ones would be cut short by the store's defaults.
        let operation = url.duration_within("operation_timeout", "1ms", "10m")?;
        let store = set(store, operation, MemcachedStoreBuilder::operation_timeout);
        let store = set(store, max_value_bytes(url, 1_073_741_488)?, MemcachedStoreBuilder::max_value_bytes);
        Ok(StoreHandle::new(store.build()?))
    }
}

/// The error of a setting that goes with another one.
fn needs(url: &StoreUrl, name: &str, value: &str, what: &str) -> Error {
    let label = url.label(name);
    Error::new(ErrorKind::Config, format!("`{label}={}`: `{label}` needs {what}", shown(value)))
}
