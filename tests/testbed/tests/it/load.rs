//! The load passes a store that keeps its word, and catches each that does not.

use std::sync::Arc;
use std::time::Duration;

use larder_testbed::load::Lie as Caught;
use larder_testbed::{Load, LoadOptions, LoadReport, StaleAnswers};

use crate::lies::{Lie, LyingStore};

fn options() -> LoadOptions {
    // Few keys, so that each is read and written often.
    LoadOptions::new()
        .with_tasks(16)
        .with_keys(48)
        .with_pause(Duration::from_millis(1))
        .with_value_bytes(16..=2000)
}

async fn load(lie: Lie, options: LoadOptions) -> LoadReport {
    let load = Load::start(Arc::new(LyingStore::new(lie)), options);
    load.run_for(Duration::from_millis(1500)).await;
    load.stop().await
}

async fn catches(lie: Lie, caught: &[Caught]) {
    let report = load(lie, options()).await;
    let found: Vec<Caught> = report.wrong().iter().map(larder_testbed::load::Wrong::lie).collect();
    assert!(found.iter().any(|found| caught.contains(found)), "{lie:?} went by: {report}");
    assert!(found.iter().all(|found| caught.contains(found)), "{lie:?} was taken for {found:?}");
    let verdict = report.verdict().unwrap_err().to_string();
    assert!(verdict.contains(&format!("{:?}", found[0])), "{verdict}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_keeps_its_word_passes() {
    let load = Load::start(Arc::new(LyingStore::new(Lie::None)), options());
    load.run_for(Duration::from_millis(300)).await;
    load.fault("nothing at all");
    load.able_to_serve();
    load.run_for(Duration::from_millis(2200)).await;
    let report = load.stop().await;
    report.print("a store that keeps its word");
    report.verdict().unwrap();
    assert!(report.hits() > 1000 && report.cancelled() > 50 && report.failures() == 0, "{report}");
    assert!(report.calls() > report.hits() && report.stale() == 0);
    assert!(report.quantile(0.5) <= report.quantile(0.999) && report.worst() > Duration::ZERO);
    let text = report.to_string();
    for part in ["seed 1", "p99.9 ", "worst scheduling lag", "after nothing at all: first success"] {
        assert!(text.contains(part), "no {part:?} in {text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mixed_up_answers_are_caught() {
    catches(Lie::MixedUp, &[Caught::OtherKey]).await;
    catches(Lie::Shuffled, &[Caught::OtherKey]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn torn_values_are_caught() {
    catches(Lie::Torn, &[Caught::Torn]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stale_answers_after_acknowledged_writes_are_caught() {
    catches(Lie::LostWrites, &[Caught::Stale]).await;
    catches(Lie::LostDeletes, &[Caught::Stale]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stale_answers_are_only_counted_where_they_are_allowed() {
    let report = load(Lie::LostWrites, options().with_stale_answers(StaleAnswers::Counted)).await;
    assert!(report.stale() > 0);
    report.verdict().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn effects_of_calls_that_were_to_have_none_are_caught() {
    catches(Lie::MadeAnyway, &[Caught::Refused]).await;
    catches(Lie::ReplacesTwice, &[Caught::Refused]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn increments_that_ran_twice_are_caught() {
    catches(Lie::CountsTwice, &[Caught::TooMany]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_calls_are_caught() {
    let report = load(Lie::Slow, options()).await;
    let verdict = report.verdict().unwrap_err().to_string();
    assert!(verdict.contains("p99.9 is ") && verdict.contains("the longest call took "), "{verdict}");
    // The same store is fast enough for who gives it a second.
    load(Lie::Slow, options().with_operation_timeout(Duration::from_secs(1))).await.verdict().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_does_not_recover_is_caught() {
    let store = Arc::new(LyingStore::new(Lie::None));
    let load = Load::start(Arc::clone(&store) as Arc<_>, options());
    load.fault("a fault");
    store.set_lie(Lie::Down);
    load.able_to_serve();
    load.run_for(Duration::from_millis(2300)).await;
    store.set_lie(Lie::None);
    load.run_for(Duration::from_millis(100)).await;
    let report = load.stop().await;
    let verdict = report.verdict().unwrap_err().to_string();
    assert!(verdict.contains("a fault: a call still failed 2."), "{verdict}");
    assert!(report.failures() > 0 && report.calm_failures() == 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recovery_that_was_not_watched_is_no_recovery() {
    let load = Load::start(Arc::new(LyingStore::new(Lie::None)), options());
    load.fault("a fault");
    load.able_to_serve();
    load.run_for(Duration::from_millis(300)).await;
    let verdict = load.stop().await.verdict().unwrap_err().to_string();
    assert!(verdict.contains("a fault: watched for"), "{verdict}");
}
