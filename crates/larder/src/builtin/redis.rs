//! `redis://`, `rediss://`, `unix://`, and both with `+sentinel` and `+cluster`.

use larder_core::{Error, ErrorKind, Result, StoreHandle, async_trait};
use larder_redis::{OnRollback, ReadFrom, RedisStore, RedisStoreBuilder};

use super::remote::{file, login, max_value_bytes, prefix, set, text};
use crate::{
    StoreFactory, StoreUrl,
    settings::{REDIS, names},
};

const READ_FROM: [(&str, ReadFrom); 2] = [("primary", ReadFrom::Primary), ("replica", ReadFrom::Replica)];
const ON_ROLLBACK: [(&str, OnRollback); 2] =
    [("accept", OnRollback::Accept), ("distrust", OnRollback::Distrust)];

#[derive(Debug)]
pub(super) struct Redis;

#[async_trait]
impl StoreFactory for Redis {
    fn settings(&self) -> &[&str] {
        const { &names(&REDIS) }
    }

    async fn open(&self, url: &StoreUrl) -> Result<StoreHandle> {
        let store = RedisStore::builder(url.address());
        let store = set(store, login(url, "username")?, RedisStoreBuilder::username);
        let store = set(store, login(url, "password")?, RedisStoreBuilder::password);
        let store = set(store, text(url, "sentinel_username")?, RedisStoreBuilder::sentinel_username);
        let store = set(store, text(url, "sentinel_password")?, RedisStoreBuilder::sentinel_password);
        let store = set(store, database(url)?, RedisStoreBuilder::database);
        let store = set(store, file(url, "ca")?, RedisStoreBuilder::ca);
        let store = set(store, file(url, "client_cert")?, RedisStoreBuilder::client_cert);
        let store = set(store, file(url, "client_key")?, RedisStoreBuilder::client_key);
        let store = set(store, prefix(url)?, RedisStoreBuilder::prefix);
        let store = set(store, url.choice("read_from", &READ_FROM)?, RedisStoreBuilder::read_from);
        let store = set(store, url.choice("on_rollback", &ON_ROLLBACK)?, RedisStoreBuilder::on_rollback);
        let store = set(store, url.count_within("wait_replicas", 0..=16)?, RedisStoreBuilder::wait_replicas);
        let store = set(store, url.count_within("connections", 1..=64)?, RedisStoreBuilder::connections);
        let store =
            set(store, url.count_within("max_in_flight", 1..=1_000_000)?, RedisStoreBuilder::max_in_flight);
        let connect = url.duration_within("connect_timeout", "1ms", "1m")?;
        let store = set(store, connect, RedisStoreBuilder::connect_timeout);
        // The cache's own, which are the store's too: longer ones would be cut short by the store's defaults.
        let operation = url.duration_within("operation_timeout", "1ms", "1m")?;
        let store = set(store, operation, RedisStoreBuilder::operation_timeout);
        let bulk = url.duration_within("bulk_timeout", "1ms", "1h")?;
        let store = set(store, bulk, RedisStoreBuilder::scan_timeout);
        let largest = max_value_bytes(url, (512 << 20) - 64)?;
        let store = set(store, largest, RedisStoreBuilder::max_value_bytes);
        Ok(StoreHandle::new(store.build()?))
    }
}

/// The number of the database, where it is not in the URL.
fn database(url: &StoreUrl) -> Result<Option<u32>> {
    let number = url.count_within("database", 0..=255)?;
    let parts = url.path().split('/').filter(|part| !part.is_empty()).count();
    let in_url = match url.scheme() {
        "unix" => false,
        scheme if scheme.ends_with("+sentinel") => parts > 1,
        _ => parts > 0,
    };
    if number.is_some() && in_url {
        let label = url.label("database");
        return Err(Error::new(
            ErrorKind::Config,
            format!("`{label}` is given more than once: as the path of the URL as well; leave one"),
        ));
    }
    Ok(number)
}
