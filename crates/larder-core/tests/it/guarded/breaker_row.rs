//! What failures in a row cost their callers, and when that is enough.

use std::{
    sync::Arc,
    task::{Context, Waker},
    time::Duration,
};

use larder_core::{CircuitBreaker, CircuitState, ErrorKind, Expiry, Value};

use super::{Rig, key, servers::Mood};
use crate::support::{Gate, fine, namespace};

const LIMIT: Duration = Duration::from_millis(500);

fn rig() -> Rig {
    Rig::with(1, CircuitBreaker::new().minimum_calls(1_000))
}

/// Loads once every two seconds, each for one second: how long each kept its caller beside that.
async fn waits(rig: &Rig, loads: usize) -> Vec<Duration> {
    let second = Duration::from_secs(1);
    let mut waits = Vec::new();
    for _ in 0..loads {
        let (began, clock) = (rig.cache.now(), rig.clock.clone());
        let load = async move || {
            clock.advance(second);
            fine(7_u8)
        };
        assert_eq!(*rig.cache.get_or_load("a0", load).await.unwrap(), 7);
        waits.push(rig.cache.now().saturating_since(began).saturating_sub(second));
        rig.clock.advance(second);
    }
    waits
}

#[tokio::test]
async fn waiting_for_a_connection_in_vain_costs_five_calls_and_no_load_after_them() {
    for kind in [ErrorKind::Unavailable, ErrorKind::Ambiguous] {
        let rig = Rig::new(1);
        rig.store.be(0, Mood::FailsAfter(LIMIT, kind));
        // A probe keeps nobody, so it must not move the clock that the loads are measured by.
        rig.store.answer_pings(0, Mood::Hangs);
        // The rate alone would never open it: there are not twenty calls within ten seconds.
        let waits = waits(&rig, 12).await;
        assert_eq!(waits.iter().sum::<Duration>(), 5 * LIMIT, "{kind:?}: {waits:?}");
        assert_eq!(waits[5..], [Duration::ZERO; 7], "{kind:?}");
        assert_eq!(rig.changes(), [r#"CircuitChanged { server: "server0:1", state: Open }"#]);
    }
}

#[tokio::test]
async fn a_failure_counts_by_the_part_of_its_time_that_it_took() {
    // As of a store whose own timeout is a fifth of the cache's. A call is late a sixteenth before its limit.
    let rig = rig();
    rig.store.be(0, Mood::FailsAfter(Duration::from_millis(100), ErrorKind::Unavailable));
    rig.reads(23).await;
    assert_eq!(rig.state(), CircuitState::Closed);
    rig.reads(1).await;
    assert_eq!(rig.state(), CircuitState::Open, "24 times 100 ms are 5 times 469 ms and more");
}

#[tokio::test]
async fn a_failure_that_took_longer_than_a_timeout_counts_as_one() {
    let rig = rig();
    rig.store.be(0, Mood::FailsAfter(Duration::from_hours(1), ErrorKind::Unavailable));
    rig.reads(4).await;
    assert_eq!(rig.state(), CircuitState::Closed);
    rig.reads(1).await;
    assert_eq!(rig.state(), CircuitState::Open);
}

/// So many reads at the same time, which all last for `wait` and fail together.
async fn fail_together(rig: &Rig, reads: usize, wait: Duration) {
    let gate = Gate::new();
    rig.store.be(0, Mood::FailsHeld(Arc::clone(&gate), ErrorKind::Unavailable));
    let key = key("a0");
    let reads = (0..reads).map(|_| async {
        let read = rig.guarded().get(&key).await;
        assert!(read.is_err());
    });
    let mut reads: Vec<_> = reads.map(Box::pin).collect();
    let mut context = Context::from_waker(Waker::noop());
    assert!(reads.iter_mut().all(|read| read.as_mut().poll(&mut context).is_pending()));
    rig.clock.advance(wait);
    for _ in &reads {
        gate.open();
    }
    for read in reads {
        read.await;
    }
}

#[tokio::test]
async fn a_connection_that_is_lost_with_many_calls_on_it_costs_what_one_caller_waited() {
    let rig = rig();
    rig.reads(2_000).await;
    fail_together(&rig, 1_500, Duration::from_millis(10)).await;
    assert_eq!(rig.state(), CircuitState::Closed, "the server answered 10 ms ago");
    // One after the other these are five timeouts, whoever else waits.
    for _ in 0..46 {
        assert_eq!(rig.state(), CircuitState::Closed);
        fail_together(&rig, 3, Duration::from_millis(50)).await;
    }
    fail_together(&rig, 3, Duration::from_millis(50)).await;
    assert_eq!(rig.state(), CircuitState::Open);
}

#[tokio::test]
async fn each_that_waited_all_its_time_costs_a_timeout() {
    let rig = rig();
    fail_together(&rig, 4, LIMIT).await;
    assert_eq!(rig.state(), CircuitState::Closed);
    fail_together(&rig, 1, LIMIT).await;
    assert_eq!(rig.state(), CircuitState::Open);
}

#[tokio::test]
async fn failures_that_come_at_once_cost_nothing() {
    let rig = rig();
    rig.store.be(0, Mood::Fails(ErrorKind::Unavailable));
    rig.reads(900).await;
    assert_eq!(rig.state(), CircuitState::Closed, "their rate would open it, at a thousand");
    // They neither add to a row nor end it.
    for _ in 0..5 {
        assert_eq!(rig.state(), CircuitState::Closed);
        rig.store.be(0, Mood::Fails(ErrorKind::Unavailable));
        rig.reads(5).await;
        rig.store.be(0, Mood::FailsAfter(LIMIT, ErrorKind::Unavailable));
        rig.reads(1).await;
    }
    assert_eq!(rig.state(), CircuitState::Open);
}

#[tokio::test]
async fn an_answer_ends_the_row_and_what_says_nothing_does_not() {
    let rig = rig();
    for _ in 0..3 {
        rig.store.be(0, Mood::FailsAfter(LIMIT, ErrorKind::Unavailable));
        rig.reads(4).await;
        rig.store.be(0, Mood::Well);
        rig.reads(1).await;
    }
    assert_eq!(rig.state(), CircuitState::Closed);
    for kind in [ErrorKind::Overloaded, ErrorKind::TooLarge, ErrorKind::Unsupported] {
        rig.store.be(0, Mood::FailsAfter(LIMIT, kind));
        rig.reads(10).await;
        rig.store.be(0, Mood::FailsAfter(LIMIT, ErrorKind::Unavailable));
        rig.reads(1).await;
        assert_eq!(rig.state(), CircuitState::Closed, "{kind:?}: three of them, at most");
    }
    rig.reads(2).await;
    assert_eq!(rig.state(), CircuitState::Open);
}

#[tokio::test]
async fn every_point_operation_and_batch_counts() {
    let rig = rig();
    rig.store.be(0, Mood::FailsAfter(LIMIT, ErrorKind::Unavailable));
    let (store, a) = (rig.guarded(), key("a0"));
    assert!(store.set(&a, Value::Int(1), Expiry::Never).await.is_err());
    assert!(store.delete(&a).await.is_err());
    assert!(store.increment(&a, 1, Expiry::Never).await.is_err());
    // One call, however many keys it has.
    assert!(store.get_many(&[a.clone(), key("b0")]).await.iter().all(Result::is_err));
    // It has more time than these, so nothing is known of what is late in it.
    for _ in 0..10 {
        assert!(store.clear(&namespace(&["x"])).await.is_err());
    }
    assert_eq!(rig.state(), CircuitState::Closed);
    assert!(store.set_many(vec![(a, Value::Int(1), Expiry::Never)]).await[0].is_err());
    assert_eq!(rig.state(), CircuitState::Open);
}

#[tokio::test]
async fn each_server_has_a_row_of_its_own() {
    let rig = Rig::with(2, CircuitBreaker::new().minimum_calls(1_000));
    rig.store.be(0, Mood::FailsAfter(LIMIT, ErrorKind::Unavailable));
    for _ in 0..5 {
        assert_eq!(rig.states(), [CircuitState::Closed; 2]);
        assert!(rig.guarded().get(&key("a1")).await.is_ok());
        assert!(rig.guarded().get(&key("a0")).await.is_err());
    }
    assert_eq!(rig.states(), [CircuitState::Open, CircuitState::Closed]);
}
