//! The suite every store must pass, under a clock moved by hand and under the machine's.

use std::{
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use larder_conformance::Suite;
use larder_core::ManualClock;
use larder_filesystem::{Durability, FileSystemStore};

fn main() -> ExitCode {
    let home = tempfile::tempdir().expect("a test has a place for temporary files");
    let manual = home.path().join("manual");
    let count = Arc::new(AtomicU64::new(0));
    let real = home.path().join("real");
    let durable = home.path().join("durable");
    let ended = larder_conformance::run([
        // Sweeps follow the clock, which each case moves on its own: a directory for each.
        Suite::with_manual_clock(move |clock: ManualClock| {
            let path = manual.join(count.fetch_add(1, Ordering::Relaxed).to_string());
            async move {
                let builder = FileSystemStore::builder(path).max_bytes(60 << 20);
                Ok(builder.clock(Arc::new(clock)).open().await?)
            }
        })
        .named("manual clock"),
        Suite::new(move || {
            let path = real.clone();
            async move { Ok(FileSystemStore::builder(path).open().await?) }
        })
        .named("real clock, one directory"),
        Suite::new(move || {
            let path = durable.clone();
            async move { Ok(FileSystemStore::builder(path).durability(Durability::Data).open().await?) }
        })
        .named("durable"),
    ]);
    drop(home);
    ended
}
