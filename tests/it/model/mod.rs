//! The model test: nodes, each a process of its own as far as a cache can tell, over one shared store, doing random things while
//! messages get lost and late, nodes stand still and crash, and clocks disagree. Time is virtual, and a seed decides everything
//! that happens, in which order.
//!
//! What must hold:
//!
//! - nothing older than an acknowledged invalidation,
//! - at most one load holding a live lease per key: of loads that ran at the same time, one is kept,
//! - nothing past its expiry by more than the skew bound,
//! - delete beats every fallback,
//! - convergence after healing: every node reads the newest rows, nothing is in doubt, busy or running.
//!
//! Messages of one node arrive in the order they were sent in, as on one connection, also those that it sent before it
//! crashed; between nodes there is no order.

mod client;
mod connection;
mod dice;
mod executor;
mod faults;
mod scenario;
mod server;
mod setup;
mod time;
mod world;

use std::{
    collections::BTreeMap,
    hash::{BuildHasher as _, RandomState},
};

use self::setup::Setup;

/// The seeds to run, of which the ordinary test has `few` and one that is new each time.
fn seeds(few: u64) -> Vec<u64> {
    let number = |name: &str| {
        let text = std::env::var(name).ok()?;
        Some(text.parse::<u64>().unwrap_or_else(|error| panic!("{name} is {text:?}: {error}")))
    };
    if let Some(seed) = number("LARDER_CLUSTER_SEED") {
        return vec![seed];
    }
    let count = number("LARDER_CLUSTER_SEEDS").unwrap_or(few);
    let new = RandomState::new().hash_one(0) >> 16;
    (0..count).chain([new]).collect()
}

fn hold(name: &str, setup: Setup, few: u64) {
    let seeds = seeds(few);
    println!("cluster model, {name}: {} seeds, the last is {}", seeds.len(), seeds[seeds.len() - 1]);
    let (mut failed, mut steps) = (Vec::new(), 0);
    let mut tally = BTreeMap::<String, u64>::new();
    for &seed in &seeds {
        let report = scenario::run(setup, seed);
        steps += report.steps;
        if let Some(violation) = report.violation {
            failed.push((seed, violation));
        }
        for (what, times) in report.tally {
            *tally.entry(what).or_default() += times;
        }
    }
    println!("cluster model, {name}: {steps} steps, {tally:?}");
    let Some((seed, violation)) = failed.first() else {
        let expected: &[&str] = if setup.storms { &["a delete fails", "a load fails"] } else { &[] };
        for what in ["Hit", "Loaded(Yes)", "Joined(Yes)", "Loaded(No(Invalidated))"].iter().chain(expected) {
            assert!(tally.contains_key(*what) || seeds.len() < 10, "{name}: there was no {what}: {tally:?}");
        }
        return;
    };
    println!("{}", scenario::run(Setup { traced: true, ..setup }, *seed).trace);
    panic!(
        "{name}: {}: {}\n{} of {} seeds failed: {:?}\nthe trace above is of seed {seed}: again with LARDER_CLUSTER_SEED={seed}",
        violation.invariant,
        violation.detail,
        failed.len(),
        seeds.len(),
        failed.iter().map(|(seed, _)| seed).collect::<Vec<_>>(),
    );
}

#[test]
fn one_node_on_a_calm_day() {
    hold("one node, calm", Setup::calm(1), 20);
}

#[test]
fn one_node_in_a_storm() {
    hold("one node, stormy", Setup::stormy(1), 30);
}

#[test]
fn a_process_with_a_store_of_its_own() {
    hold("a store of its own, calm", Setup { shared: false, ..Setup::calm(1) }, 10);
    hold("a store of its own, stormy", Setup { shared: false, ..Setup::stormy(1) }, 10);
}

#[test]
fn three_nodes_on_a_calm_day() {
    hold("three nodes, calm", Setup::calm(3), 15);
}

#[test]
fn three_nodes_in_a_storm() {
    hold("three nodes, stormy", Setup::stormy(3), 20);
}

#[test]
fn three_nodes_that_crash_in_a_storm() {
    hold("three nodes, stormy, crashing", Setup { crashes: true, ..Setup::stormy(3) }, 20);
}

#[test]
fn namespaces_cleared_by_stamps() {
    hold("by stamps, calm", Setup { stamps: true, ..Setup::calm(3) }, 10);
    hold("by stamps, stormy, crashing", Setup { stamps: true, crashes: true, ..Setup::stormy(3) }, 10);
}

#[test]
fn keys_that_hold_another_type_now_and_then() {
    hold("mixed, calm", Setup { mixed: true, ..Setup::calm(2) }, 10);
    hold("mixed, stormy", Setup { mixed: true, ..Setup::stormy(2) }, 10);
}

#[test]
fn a_seed_decides_everything() {
    let setup = Setup { crashes: true, traced: true, ..Setup::stormy(2) };
    for seed in 0..10 {
        let (one, other) = (scenario::run(setup, seed), scenario::run(setup, seed));
        assert_eq!(one.trace, other.trace, "seed {seed}");
    }
}
