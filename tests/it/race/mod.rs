//! The race exam: an invalidation against the loads it overtakes.
//!
//! A writer changes a row and then invalidates it in the cache; readers load the row through the cache. After an
//! acknowledged invalidation, no reader that starts later may see an older row.

mod delays;
mod exam;
mod interleavings;
mod random;
mod row;

use larder_core::{CacheStore, StoreHandle};
use larder_simple::SimpleStore;

use self::{delays::Delayed, exam::Exam};

/// Rounds in `cargo xtask test`; `cargo xtask exam race` asks for more.
fn rounds() -> u64 {
    match std::env::var("LARDER_RACE_ROUNDS") {
        Ok(text) => text.parse().expect("LARDER_RACE_ROUNDS is a number"),
        Err(_) => 2_000,
    }
}

fn seed() -> u64 {
    match std::env::var("LARDER_RACE_SEED") {
        Ok(text) => text.parse().expect("LARDER_RACE_SEED is a number"),
        Err(_) => 0x1a4d_e400,
    }
}

fn run(name: &str, store: impl CacheStore) {
    let exam = Exam { keys: 64, rounds: rounds(), seed: seed() };
    let report = exam.run(&StoreHandle::new(store));
    println!("race exam on {name}: {report}");
    assert_eq!(report.violations, Vec::new(), "seed {}", exam.seed);
    assert_eq!(report.rounds, rounds().next_multiple_of(64), "every round was run");
    assert!(report.loads > 0 && report.hits > 0, "the readers met both loads and hits");
    assert!(report.overtaken > 0, "some invalidations overtook a load, or nothing was examined");
}

#[test]
fn nothing_older_than_an_acknowledged_invalidation_on_the_simple_store() {
    run("SimpleStore", SimpleStore::new());
}

#[test]
fn nothing_older_than_an_acknowledged_invalidation_on_a_store_that_takes_time() {
    run("a store that takes time", Delayed::new(SimpleStore::new(), seed()));
}

#[test]
fn nothing_older_than_an_acknowledged_invalidation_on_a_store_without_versions() {
    run("a store without versions", Delayed::new(SimpleStore::new(), seed()).without_versions());
}

#[test]
fn nothing_older_than_an_acknowledged_invalidation_where_loads_are_fenced_by_leases() {
    run("a store that is shared", Delayed::new(SimpleStore::new(), seed()).shared());
}
