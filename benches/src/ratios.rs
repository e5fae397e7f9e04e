//! From criterion's estimates to ratios.

use std::path::{Path, PathBuf};

/// Prints the median of each lane over its rounds, and its ratio to the first lane: of each round, then the median.
#[expect(clippy::print_stdout, reason = "the result of a benchmark is what it prints")]
pub(crate) fn print(group: &str, lanes: &[&str]) {
    let measured: Vec<Vec<f64>> = lanes.iter().map(|lane| estimates(group, lane, crate::ROUNDS)).collect();
    let Some(first) = measured.first().filter(|rounds| !rounds.is_empty()) else {
        println!("\n{group}: no estimates under {}", directory().display());
        return;
    };
    println!("\n{group}: median of {} rounds, ratio to {}", first.len(), lanes[0]);
    for (lane, times) in lanes.iter().zip(&measured).filter(|(_, times)| times.len() == first.len()) {
        let ratios: Vec<f64> = times.iter().zip(first).map(|(time, first)| time / first).collect();
        println!(
            "  {lane:<32} {:>12.1} ns   x {:.3}   (rounds: {})",
            median(times.clone()),
            median(ratios.clone()),
            ratios.iter().map(|ratio| format!("{ratio:.2}")).collect::<Vec<_>>().join(" ")
        );
    }
    println!();
}

/// As [`print`], for lanes whose iteration is one operation of each of so many tasks: the rate of each lane, and what it is of
/// the first one's. More is better. The last column compares the quickest samples: what is left of the ratio on a machine that
/// is busy with something else.
#[expect(clippy::print_stdout, reason = "the result of a benchmark is what it prints")]
pub(crate) fn print_rates(group: &str, rounds: usize, tasks: u32, lanes: &[&str]) {
    let measured: Vec<Vec<f64>> = lanes.iter().map(|lane| estimates(group, lane, rounds)).collect();
    let Some(first) = measured.first().filter(|rounds| !rounds.is_empty()) else {
        println!("\n{group}: no estimates under {}", directory().display());
        return;
    };
    println!("\n{group}: median of {} rounds, of {}'s rate", first.len(), lanes[0]);
    let best = quickest(group, lanes[0], rounds);
    for (lane, times) in lanes.iter().zip(&measured).filter(|(_, times)| times.len() == first.len()) {
        let mut ratios: Vec<f64> = times.iter().zip(first).map(|(time, first)| first / time).collect();
        ratios.sort_by(f64::total_cmp);
        let each = |time: f64| time / 1e3 / f64::from(tasks);
        let quickest = quickest(group, lane, rounds);
        println!(
            "  {lane:<24} {:>9.2} us   x {:.2} ({:.2} to {:.2})   quickest {:>9.2} us   x {:.2}",
            each(median(times.clone())),
            median(ratios.clone()),
            ratios[ratios.len() / 4],
            ratios[ratios.len() * 3 / 4],
            each(quickest),
            best / quickest,
        );
    }
    println!();
}

/// The time of an iteration in the quickest sample of all rounds.
fn quickest(group: &str, lane: &str, rounds: usize) -> f64 {
    let samples = (0..rounds).filter_map(|round| {
        let lane = directory().join(group).join(format!("{lane}_{round}"));
        let text = std::fs::read_to_string(lane.join("new/sample.json")).ok()?;
        let sample: serde_json::Value = serde_json::from_str(&text).ok()?;
        let (times, iterations) = (sample["times"].as_array()?, sample["iters"].as_array()?);
        let each = times
            .iter()
            .zip(iterations)
            .filter_map(|(time, iterations)| Some(time.as_f64()? / iterations.as_f64()?));
        each.min_by(f64::total_cmp)
    });
    samples.min_by(f64::total_cmp).unwrap_or(f64::NAN)
}

fn estimates(group: &str, lane: &str, rounds: usize) -> Vec<f64> {
    (0..rounds)
        .filter_map(|round| estimate(&directory().join(group).join(format!("{lane}_{round}"))))
        .collect()
}

/// Where criterion writes, as it finds it itself.
fn directory() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"), PathBuf::from);
    std::env::var_os("CRITERION_HOME").map_or_else(|| target.join("criterion"), PathBuf::from)
}

fn estimate(lane: &Path) -> Option<f64> {
    let text = std::fs::read_to_string(lane.join("new/estimates.json")).ok()?;
    let estimates: serde_json::Value = serde_json::from_str(&text).ok()?;
    estimates["median"]["point_estimate"].as_f64()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
