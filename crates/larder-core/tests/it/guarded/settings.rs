//! What a store handle puts around a store, and what it refuses.

use std::{sync::Arc, time::Duration};

use larder_core::{
    Batching, CacheStore, CircuitBreaker, CircuitState, ErrorKind, StoreHandle, StoreHandleBuilder,
};

use super::{key, servers::Servers};
use crate::support::Scripted;

#[tokio::test]
async fn stores_that_cross_a_network_are_guarded_and_those_in_process_are_not() {
    let remote = Arc::new(Servers::new(2));
    let handle = StoreHandle::from_arc(Arc::clone(&remote) as Arc<dyn CacheStore>);
    let states: Vec<_> = handle.circuits().iter().map(|circuit| circuit.state).collect();
    assert_eq!(states, [CircuitState::Closed; 2]);
    assert!(!Arc::ptr_eq(handle.store(), handle.guarded()));
    assert!(Arc::ptr_eq(handle.store(), &(remote as Arc<dyn CacheStore>)));

    let near = StoreHandle::new(Scripted::peeking());
    assert!(near.circuits().is_empty());
    assert!(Arc::ptr_eq(near.store(), near.guarded()));
    let now = near.store().clock().unwrap().now();
    assert!(near.guarded().peek(&key("a0"), now).is_some(), "a hit in process costs no future");
    assert!(larder_core::Cache::new(near).health().await.unwrap().circuits.is_empty());

    let bare = StoreHandle::builder(Servers::new(1)).circuit_breaker(None).batching(None).build().unwrap();
    assert!(Arc::ptr_eq(bare.store(), bare.guarded()));
}

#[test]
fn a_store_that_merges_reads_itself_is_batched_only_if_that_is_asked_for() {
    let builder = |store| StoreHandle::builder(store).circuit_breaker(None);
    let is_batched = |handle: &StoreHandle| !Arc::ptr_eq(handle.store(), handle.guarded());
    assert!(is_batched(&builder(Servers::new(1)).build().unwrap()));
    assert!(!is_batched(&builder(Servers::new(1).merging()).build().unwrap()));
    let asked_for = builder(Servers::new(1).merging()).batching(Batching::new()).build().unwrap();
    assert!(is_batched(&asked_for));
}

#[test]
fn a_setting_out_of_range_is_named_with_what_it_may_be() {
    let breaker = CircuitBreaker::new;
    let (short, long) = (Duration::from_millis(9), Duration::from_secs(61));
    let minute = "it must be from 10 ms to 1 minute";
    for (given, text) in [
        (
            breaker().window(Duration::from_millis(99)),
            "window` is 99ms: it must be from 100 ms to 10 minutes",
        ),
        (breaker().window(Duration::from_secs(601)), "window` is 601s: it must be from 100 ms to 10 minutes"),
        (breaker().minimum_calls(0), "minimum_calls` is 0: it must be at least 1"),
        (breaker().error_rate(0.0), "error_rate` is 0: it must be over 0 and at most 1"),
        (breaker().error_rate(1.01), "error_rate` is 1.01: it must be over 0 and at most 1"),
        (breaker().error_rate(f64::NAN), "error_rate` is NaN: it must be over 0 and at most 1"),
        (breaker().consecutive_timeouts(0), "consecutive_timeouts` is 0: it must be at least 1"),
        (breaker().probe_interval(short), &format!("probe_interval` is 9ms: {minute}")),
        (breaker().probe_interval(long), &format!("probe_interval` is 61s: {minute}")),
        (breaker().probe_timeout(short), &format!("probe_timeout` is 9ms: {minute}")),
        (breaker().probe_timeout(long), &format!("probe_timeout` is 61s: {minute}")),
        (breaker().half_open_calls(0), "half_open_calls` is 0: it must be at least 1"),
    ] {
        refused(
            StoreHandle::builder(Servers::new(1)).circuit_breaker(given),
            &format!("circuit_breaker.{text}"),
        );
    }
    for (given, text) in [
        (Batching::new().max_keys(0), "max_keys` is 0: it must be at least 1"),
        (Batching::new().batches(0), "batches` is 0: it must be at least 1"),
    ] {
        refused(StoreHandle::builder(Servers::new(1)).batching(given), &format!("batching.{text}"));
    }
}

fn refused(builder: StoreHandleBuilder, text: &str) {
    let error = builder.build().unwrap_err();
    assert_eq!((error.kind(), error.to_string()), (ErrorKind::Config, format!("`{text}")));
}

#[test]
fn the_edges_of_the_ranges_are_in_them() {
    let (short, minute) = (Duration::from_millis(10), Duration::from_mins(1));
    for breaker in [
        CircuitBreaker::new().window(Duration::from_millis(100)).error_rate(1.0).minimum_calls(1),
        CircuitBreaker::new().window(Duration::from_mins(10)).error_rate(f64::MIN_POSITIVE),
        CircuitBreaker::new().probe_interval(short).probe_timeout(short).half_open_calls(1),
        CircuitBreaker::new().probe_interval(minute).probe_timeout(minute).consecutive_timeouts(1),
    ] {
        let batching = Batching::new().threshold(0).max_keys(1).batches(1);
        let handle =
            StoreHandle::builder(Servers::new(1)).circuit_breaker(breaker).batching(batching).build();
        assert_eq!(handle.unwrap().circuits().len(), 1);
    }
}
