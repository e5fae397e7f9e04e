//! The flight table under Shuttle, which decides at every lock and atomic which task goes on:
//! `cargo xtask exam flights`.
//!
//! Needs the feature `faults` besides: with it the table's hashes are the same in each run, so that a schedule that Shuttle
//! prints can be repeated.

#![expect(clippy::print_stdout, reason = "how much was examined is for whoever runs the exam")]

mod world;

use std::sync::atomic::AtomicUsize as Plain;

use shuttle::{
    Config, MaxSteps, Runner,
    future::{block_on, spawn},
    scheduler::{PctScheduler, RandomScheduler, Scheduler},
};

use self::world::{What, World};
use super::Faults;
use crate::sync::{Arc, Ordering};

/// How many schedules each test tries, of each scheduler.
fn rounds() -> usize {
    std::env::var("LARDER_SHUTTLE_ROUNDS")
        .map_or(1_000, |rounds| rounds.parse().expect("LARDER_SHUTTLE_ROUNDS is a number"))
}

/// Readers, and a writer for each kind of invalidation named. Returns how many loads were overtaken.
fn scenario(faults: Faults, writers: &'static [What]) -> usize {
    let world = Arc::new(World::new(faults));
    block_on(async {
        let mut tasks = Vec::new();
        for reader in 0..3 {
            let world = Arc::clone(&world);
            tasks.push(spawn(async move { world.reader(reader % 2).await }));
        }
        for what in writers {
            let world = Arc::clone(&world);
            tasks.push(spawn(async move { world.writer(*what).await }));
        }
        for task in tasks {
            task.await.expect("nobody aborts it");
        }
        world.all_loads_ended().await;
    });
    world.examine()
}

/// Returns how many loads were overtaken in all.
fn run(scheduler: impl Scheduler + 'static, faults: Faults, writers: &'static [What]) -> usize {
    let mut config = Config::new();
    config.stack_size = 1 << 18;
    // A schedule takes some hundred steps: one that takes so many goes round in circles.
    config.max_steps = MaxSteps::FailAfter(100_000);
    // Every atomic here is taken for sequentially consistent, which it warns of.
    config.silence_warnings = true;
    let overtaken = Arc::new(Plain::new(0));
    let sum = Arc::clone(&overtaken);
    Runner::new(scheduler, config).run(move || {
        let found = scenario(faults, writers);
        sum.fetch_add(found, Ordering::Relaxed);
    });
    overtaken.load(Ordering::Relaxed)
}

fn check(writers: &'static [What]) {
    let random = run(RandomScheduler::new(rounds()), Faults::NONE, writers);
    let pct = run(PctScheduler::new(3, rounds()), Faults::NONE, writers);
    println!("overtaken loads in {} schedules each: {random} at random, {pct} by PCT", rounds());
    // Else nothing was examined: an invalidation that no load began before proves nothing.
    assert!(random >= rounds() / 20, "at random too few loads were overtaken: {random}");
    assert!(pct >= rounds() / 20, "by PCT too few loads were overtaken: {pct}");
}

/// With a rule switched off: the seed is always the same.
fn break_with(faults: Faults, writers: &'static [What]) {
    run(RandomScheduler::new_from_seed(1, 5_000), faults, writers);
}

#[test]
fn deletes() {
    check(&[What::Key(0), What::Key(0)]);
}

#[test]
fn clears() {
    check(&[What::Namespace, What::Key(1)]);
}

#[test]
fn stamps() {
    check(&[What::Stamp, What::Stamp]);
}

#[test]
fn all_at_once() {
    check(&[What::Key(0), What::Namespace, What::Stamp]);
}

#[test]
#[should_panic(expected = "older than an acknowledged invalidation")]
fn without_the_fence_it_fails() {
    break_with(Faults::NO_FENCE, &[What::Key(0), What::Key(0)]);
}

#[test]
#[should_panic(expected = "older than an acknowledged invalidation")]
fn where_detached_flights_are_joined_it_fails() {
    break_with(Faults::NAIVE_JOIN, &[What::Key(0), What::Key(0)]);
}

#[test]
#[should_panic(expected = "older than an acknowledged invalidation")]
fn where_results_are_written_by_a_plain_set_it_fails() {
    break_with(Faults::COMMIT_BY_SET, &[What::Key(0), What::Key(0)]);
}

#[test]
#[should_panic(expected = "older than an acknowledged invalidation")]
fn without_the_fence_clears_fail() {
    break_with(Faults::NO_FENCE, &[What::Namespace]);
}

#[test]
#[should_panic(expected = "older than an acknowledged invalidation")]
fn without_the_fence_stamps_fail() {
    break_with(Faults::NO_FENCE, &[What::Stamp]);
}
