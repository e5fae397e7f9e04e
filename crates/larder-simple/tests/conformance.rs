//! The suite every store must pass, on this one as it comes, bounded in bytes, and on the machine's clock.

use std::{process::ExitCode, sync::Arc};

use larder_conformance::Suite;
use larder_core::ManualClock;
use larder_simple::{SimpleStore, SimpleStoreBuilder};

fn main() -> ExitCode {
    larder_conformance::run([
        manual("lru", |store| store),
        manual("bytes", |store| store.max_bytes(32 << 20)),
        manual("both bounds", |store| store.max_bytes(32 << 20).max_entries(4_000)),
        Suite::new(|| async { Ok(SimpleStore::new()) }).named("real clock"),
    ])
}

fn manual(name: &str, configure: fn(SimpleStoreBuilder) -> SimpleStoreBuilder) -> Suite {
    let connect = move |clock: ManualClock| async move {
        Ok(configure(SimpleStore::builder()).clock(Arc::new(clock)).build()?)
    };
    Suite::with_manual_clock(connect).named(name)
}
