//! The model can fail: with a rule switched off, or on a store that does not do what it says, its invariants are violated.

use std::time::Duration;

use larder_core::Faults;

use super::{
    scenario,
    setup::{Broken, Setup},
};

/// Whether an invariant is violated in one of the first two hundred runs.
fn is_violated(invariant: &'static str, setup: Setup) -> bool {
    let setup = Setup { only: Some(invariant), ..setup };
    (0..200).any(|seed| scenario::run(setup, seed).violation.is_some())
}

const OLDER: &str = "nothing older than an acknowledged invalidation";

#[test]
fn without_the_fence_one_node_sees_older_rows() {
    // Among several processes a lease fences what the process does not.
    let setup = Setup { faults: Faults::NO_FENCE.and(Faults::COMMIT_BY_SET), ..Setup::calm(1) };
    assert!(is_violated(OLDER, setup));
}

#[test]
fn results_that_no_lease_guards_are_seen_by_other_nodes() {
    let setup = Setup { faults: Faults::COMMIT_BY_SET, ..Setup::calm(3) };
    assert!(is_violated(OLDER, setup));
}

#[test]
fn callers_who_join_without_seeing_the_lease_see_older_rows() {
    let setup = Setup { faults: Faults::NAIVE_JOIN, ..Setup::calm(3) };
    assert!(is_violated(OLDER, setup));
}

#[test]
fn callers_who_join_detached_loads_see_older_rows() {
    let setup = Setup { faults: Faults::NAIVE_JOIN, shared: false, ..Setup::calm(1) };
    assert!(is_violated(OLDER, setup));
}

#[test]
fn deletes_that_lie_are_seen() {
    let setup = Setup { broken: Broken::DeletesLie, ..Setup::calm(1) };
    assert!(is_violated(OLDER, setup));
}

#[test]
fn a_replace_that_compares_no_versions_is_seen() {
    let setup = Setup { broken: Broken::ReplacesAnything, ..Setup::calm(3) };
    assert!(is_violated(OLDER, setup));
}

#[test]
fn a_clock_past_the_bound_is_seen() {
    let expired = "nothing past its expiry by more than the skew bound";
    let setup = Setup { broken: Broken::NeverExpires, ..Setup::calm(3) };
    let sane =
        (0..20).all(|seed| scenario::run(Setup { only: Some(expired), ..setup }, seed).violation.is_none());
    assert!(sane, "entries know by themselves when they expire");
    assert!(is_violated(expired, Setup { skew: Duration::from_secs(20), ..setup }));
}

#[test]
fn a_store_on_which_no_delete_succeeds_never_converges() {
    let setup = Setup { broken: Broken::NeverDeletes, ..Setup::calm(1) };
    assert!(is_violated("convergence after healing", setup));
}
