//! What the benchmarks of Larder share: lanes that take turns, and their ratios.

mod bytes_store;
mod ratios;
mod remote;
mod support;
mod tasks;
mod user;

use std::time::Duration;

use criterion::{Bencher, Criterion};

pub use self::{
    bytes_store::BytesStore,
    remote::{Bare, KEPT, PATIENCE, Stores, compare, prices},
    support::{KEYS, alike, keys, poll, together, without_expiry},
    tasks::{race_tasks, runtime},
    user::User,
};

/// How often the lanes of a group take turns. A machine that gets slower or faster meanwhile does so for all of them.
pub const ROUNDS: usize = 5;

/// One thing to measure: its name, and the code that measures it.
pub struct Lane<'a> {
    name: &'static str,
    run: Box<dyn FnMut(&mut Bencher<'_>) + 'a>,
}

impl std::fmt::Debug for Lane<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lane").field("name", &self.name).finish_non_exhaustive()
    }
}

impl<'a> Lane<'a> {
    /// A lane.
    pub fn new(name: &'static str, run: impl FnMut(&mut Bencher<'_>) + 'a) -> Self {
        Self { name, run: Box::new(run) }
    }
}

/// The settings of every benchmark here: short, as each is repeated.
pub fn criterion() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(600))
        .sample_size(20)
        .without_plots()
        .configure_from_args()
}

/// Measures the lanes in turn, [`ROUNDS`] times, and prints the ratio of each to the first.
pub fn race(criterion: &mut Criterion, group: &str, mut lanes: Vec<Lane<'_>>) {
    let mut ran = 0;
    for round in 0..ROUNDS {
        let mut benches = criterion.benchmark_group(group);
        for lane in &mut lanes {
            benches.bench_function(format!("{}/{round}", lane.name), |bencher| {
                ran += 1;
                (lane.run)(bencher);
            });
        }
        benches.finish();
    }
    // With a filter on the command line only some ran, and what is on disk is of an earlier run.
    if ran >= ROUNDS * lanes.len() {
        let names: Vec<_> = lanes.iter().map(|lane| lane.name).collect();
        ratios::print(group, &names);
    }
}
