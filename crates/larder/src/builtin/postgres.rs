//! `postgres://` and `postgresql://`.

use std::time::Duration;

use larder_core::{Result, StoreHandle, Timeout, async_trait};
use larder_postgres::{PostgresStore, PostgresStoreBuilder, SslMode};

use super::remote::{file, login, max_value_bytes, prefix, set, text};
use crate::{
    StoreFactory, StoreUrl,
    settings::{POSTGRES, names},
};

const SSL_MODES: [(&str, SslMode); 4] = [
    ("disable", SslMode::Disable),
    ("prefer", SslMode::Prefer),
    ("require", SslMode::Require),
    ("verify-full", SslMode::Require),
];

/// What the server counts in.
const MOST: u64 = i64::MAX.unsigned_abs();

#[derive(Debug)]
pub(super) struct Postgres;

#[async_trait]
impl StoreFactory for Postgres {
    fn settings(&self) -> &[&str] {
        const { &names(&POSTGRES) }
    }

    async fn open(&self, url: &StoreUrl) -> Result<StoreHandle> {
        let store = PostgresStore::builder(url.address());
        let store = set(store, login(url, "username")?, PostgresStoreBuilder::user);
        let store = set(store, login(url, "password")?, PostgresStoreBuilder::password);
        let store = set(store, url.choice("sslmode", &SSL_MODES)?, PostgresStoreBuilder::sslmode);
        let store = set(store, file(url, "ca")?, PostgresStoreBuilder::ca);
        let store = set(store, text(url, "schema")?, PostgresStoreBuilder::schema);
        let store = set(store, text(url, "table")?, PostgresStoreBuilder::table);
        let store = set(store, url.flag("create_table")?, PostgresStoreBuilder::create_table);
        let store = set(store, url.flag("logged")?, PostgresStoreBuilder::logged);
        let store = set(store, url.flag("synchronous_writes")?, PostgresStoreBuilder::synchronous_writes);
        let store = set(store, url.flag("pgbouncer")?, PostgresStoreBuilder::pgbouncer);
        let store = set(store, prefix(url)?, PostgresStoreBuilder::prefix);
        let store = set(store, url.count_within("connections", 1..=64)?, PostgresStoreBuilder::connections);
        let in_flight = url.count_within("max_in_flight", 1..=1_000_000)?;
        let store = set(store, in_flight, PostgresStoreBuilder::max_in_flight);
        let store = set(store, url.count_within("max_entries", 1..=MOST)?, PostgresStoreBuilder::max_entries);
        let store = set(store, url.bytes("max_bytes")?, PostgresStoreBuilder::max_bytes);
        let store = set(store, sweep_every(url)?, PostgresStoreBuilder::sweep_every);
        let connect = url.duration_within("connect_timeout", "1ms", "24h")?;
        let store = set(store, connect, PostgresStoreBuilder::connect_timeout);
        // The cache's own, which are the store's too: longer ones would be cut short by the store's defaults.
        let operation = url.duration_within("operation_timeout", "1ms", "24h")?;
        let store = set(store, operation, PostgresStoreBuilder::operation_timeout);
        let bulk = url.duration_within("bulk_timeout", "1ms", "24h")?;
        let store = set(store, bulk, PostgresStoreBuilder::walk_timeout);
        let store = set(store, max_value_bytes(url, 512 << 20)?, PostgresStoreBuilder::max_value_bytes);
        Ok(StoreHandle::new(store.build()?))
    }
}

/// Zero is never, to the store.
fn sweep_every(url: &StoreUrl) -> Result<Option<Duration>> {
    const ALLOWED: &str =
        "seconds (`30`) or a duration (`500ms`, `1m30s`), from `100ms` to `24h`, or `never`";
    let range = Duration::from_millis(100)..=Duration::from_hours(24);
    url.read("sweep_every", ALLOWED, |text| match text.parse() {
        Ok(Timeout::Never) => Some(Duration::ZERO),
        Ok(Timeout::After(rest)) if range.contains(&rest) => Some(rest),
        _ => None,
    })
}
