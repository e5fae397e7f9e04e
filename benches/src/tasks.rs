//! Lanes of many tasks at once.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use criterion::{Bencher, Criterion, SamplingMode};
use tokio::{runtime::Runtime, task::JoinSet};

use crate::{Lane, ratios};

/// More and shorter rounds than in process: servers and many tasks are at the scheduler's mercy.
const ROUNDS: usize = 11;
/// One task waits for its server most of the time, and a virtual processor that was idle may go on at another speed: lanes take
/// turns so quickly that this is the same for all of a round.
const QUICK_ROUNDS: usize = 4 * ROUNDS;

/// A runtime as an application has it.
pub fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime starts")
}

/// Measures `operation`, called with ever other numbers by so many tasks at once, each waiting for its answer before it asks
/// again. One iteration is one operation of every task.
pub(crate) fn spread<F>(
    bencher: &mut Bencher<'_>,
    runtime: &Runtime,
    tasks: u32,
    operation: impl Fn(usize) -> F + Clone + Send + 'static,
) where
    F: Future<Output = ()> + Send,
{
    bencher.iter_custom(|iterations| {
        runtime.block_on(during(tasks, usize::try_from(iterations).expect("64 bits"), operation.clone()))
    });
}

#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock and starts its own tasks")]
async fn during<F>(
    tasks: u32,
    iterations: usize,
    operation: impl Fn(usize) -> F + Clone + Send + 'static,
) -> Duration
where
    F: Future<Output = ()> + Send,
{
    let started = Instant::now();
    let mut running = JoinSet::new();
    for task in 0..tasks {
        let operation = operation.clone();
        // Apart from each other, and no two on the same way for long.
        let first = usize::try_from(task).expect("64 bits") * 7;
        running.spawn(async move {
            for at in 0..iterations {
                operation(first + at).await;
            }
        });
    }
    while let Some(ended) = running.join_next().await {
        ended.expect("no lane panics");
    }
    started.elapsed()
}

/// As [`race`](crate::race), for lanes of `spread`: longer samples, so that starting the tasks is no part of them, and rates.
pub fn race_tasks(criterion: &mut Criterion, group: &str, tasks: u32, mut lanes: Vec<Lane<'_>>) {
    let mut ran = 0;
    let (rounds, warm_up, measurement) = if tasks == 1 { (QUICK_ROUNDS, 10, 100) } else { (ROUNDS, 40, 400) };
    for round in 0..rounds {
        let mut benches = criterion.benchmark_group(group);
        benches
            .sampling_mode(SamplingMode::Flat)
            .sample_size(10)
            .nresamples(2_000)
            .warm_up_time(Duration::from_millis(warm_up))
            .measurement_time(Duration::from_millis(measurement));
        for lane in &mut lanes {
            benches.bench_function(format!("{}/{round}", lane.name), |bencher| {
                ran += 1;
                (lane.run)(bencher);
            });
        }
        benches.finish();
    }
    // With a filter on the command line only some ran, and what is on disk is of an earlier run.
    if ran >= rounds * lanes.len() {
        let names: Vec<_> = lanes.iter().map(|lane| lane.name).collect();
        ratios::print_rates(group, rounds, tasks, &names);
    }
}
