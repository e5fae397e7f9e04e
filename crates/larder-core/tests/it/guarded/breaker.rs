//! When a circuit opens, and what an open one does.

use std::{sync::Arc, time::Duration};

use larder_core::{Cache, CircuitBreaker, CircuitState, ErrorKind, Expiry, Value};

use super::{Rig, key, servers::Mood};
use crate::support::{Gate, fine, namespace, settle};

const LIMIT: Duration = Duration::from_millis(500);

#[tokio::test]
async fn it_opens_at_the_error_rate_of_enough_calls() {
    let rig = Rig::new(1);
    rig.reads(10).await;
    rig.store.be(0, Mood::Fails(ErrorKind::Unavailable));
    rig.reads(9).await;
    assert_eq!(rig.state(), CircuitState::Closed, "19 calls are not enough");
    rig.reads(1).await;
    assert_eq!(rig.state(), CircuitState::Open, "10 of 20 are");
}

#[tokio::test]
async fn it_stays_closed_below_the_error_rate() {
    let rig = Rig::new(1);
    rig.reads(100).await;
    rig.store.be(0, Mood::Fails(ErrorKind::Unavailable));
    rig.reads(99).await;
    assert_eq!(rig.state(), CircuitState::Closed);
    rig.reads(1).await;
    assert_eq!(rig.state(), CircuitState::Open, "100 of 200");
}

#[tokio::test]
async fn calls_are_forgotten_with_the_window() {
    let rig = Rig::new(1);
    rig.store.be(0, Mood::Fails(ErrorKind::Ambiguous));
    rig.reads(19).await;
    rig.clock.advance(Duration::from_secs(10));
    rig.reads(19).await;
    assert_eq!(rig.state(), CircuitState::Closed, "the first failures are too old to count");
    rig.reads(1).await;
    assert_eq!(rig.state(), CircuitState::Open);
}

#[tokio::test]
async fn timeouts_in_a_row_open_it_and_an_answer_ends_the_row() {
    let rig = Rig::with(1, CircuitBreaker::new().minimum_calls(1_000));
    for _ in 0..3 {
        rig.store.be(0, Mood::Fails(ErrorKind::Timeout));
        rig.reads(4).await;
        rig.store.be(0, Mood::Well);
        // A miss is an answer.
        assert!(rig.guarded().get(&key("a0")).await.unwrap().is_none());
    }
    assert_eq!(rig.state(), CircuitState::Closed);
    rig.store.be(0, Mood::Fails(ErrorKind::Timeout));
    rig.reads(2).await;
    rig.store.be(0, Mood::Fails(ErrorKind::Unavailable));
    rig.reads(1).await;
    rig.store.be(0, Mood::Fails(ErrorKind::Timeout));
    rig.reads(2).await;
    assert_eq!(rig.state(), CircuitState::Closed, "four timeouts, and a failure that is none");
    rig.reads(1).await;
    assert_eq!(rig.state(), CircuitState::Open);
}

#[tokio::test]
async fn a_write_of_unknown_outcome_is_a_timeout_only_if_its_time_was_over() {
    let rig = Rig::new(1);
    rig.store.be(0, Mood::Fails(ErrorKind::Ambiguous));
    for _ in 0..10 {
        assert!(rig.guarded().increment(&key("a0"), 1, Expiry::Never).await.is_err());
    }
    assert_eq!(rig.state(), CircuitState::Closed, "connections that are lost count by their rate");
    for _ in 0..5 {
        let gate = Gate::new();
        rig.store.be(0, Mood::Held(Arc::clone(&gate)));
        let (handle, clock) = (rig.handle.clone(), rig.clock.clone());
        let call =
            tokio::spawn(async move { handle.guarded().increment(&key("a0"), 1, Expiry::Never).await });
        gate.reached().await;
        clock.advance(LIMIT);
        call.abort();
        assert!(call.await.unwrap_err().is_cancelled());
    }
    assert_eq!(rig.state(), CircuitState::Open);
}

#[tokio::test]
async fn what_says_nothing_about_the_server_does_not_count() {
    let kinds = [
        ErrorKind::Overloaded,
        ErrorKind::TooLarge,
        ErrorKind::InvalidKey,
        ErrorKind::Unsupported,
        ErrorKind::Encode,
        ErrorKind::Config,
    ];
    let rig = Rig::with(1, CircuitBreaker::new().minimum_calls(3).error_rate(0.1));
    for kind in kinds {
        rig.store.be(0, Mood::Fails(kind));
        rig.reads(50).await;
        assert_eq!(rig.state(), CircuitState::Closed, "{kind:?}");
    }
    // Not even as a call: two failures are still all there are.
    rig.store.be(0, Mood::Fails(ErrorKind::Unavailable));
    rig.reads(2).await;
    assert_eq!(rig.state(), CircuitState::Closed);
    rig.reads(1).await;
    assert_eq!(rig.state(), CircuitState::Open);
}

#[tokio::test]
async fn a_servers_refusal_is_an_answer() {
    for kind in [ErrorKind::WrongType, ErrorKind::Overflow, ErrorKind::Corrupt] {
        let rig = Rig::new(1);
        rig.store.be(0, Mood::Fails(kind));
        rig.reads(11).await;
        rig.store.be(0, Mood::Fails(ErrorKind::Unavailable));
        rig.reads(10).await;
        assert_eq!(rig.state(), CircuitState::Closed, "{kind:?}: 10 of 21 failed");
        rig.reads(1).await;
        assert_eq!(rig.state(), CircuitState::Open, "{kind:?}: 11 of 22");
    }
}

#[tokio::test]
async fn an_open_circuit_refuses_every_operation_and_asks_nobody() {
    let rig = Rig::new(1);
    rig.open(0).await;
    rig.store.be(0, Mood::Well);
    rig.store.asked(0);
    let (store, a, ns) = (rig.guarded(), key("a0"), namespace(&["x"]));
    let version = larder_core::Version::from(1);
    let errors = [
        store.get(&a).await.unwrap_err(),
        store.set(&a, Value::Int(1), Expiry::Never).await.unwrap_err(),
        store.delete(&a).await.unwrap_err(),
        store.has(&a).await.unwrap_err(),
        store.get_versioned(&a).await.unwrap_err(),
        store.add(&a, Value::Int(1), Expiry::Never).await.unwrap_err(),
        store.replace(&a, &version, Value::Int(1), Expiry::Never).await.unwrap_err(),
        store.increment(&a, 1, Expiry::Never).await.unwrap_err(),
        store.touch(&a, Expiry::Never).await.unwrap_err(),
        store.expiry(&a).await.unwrap_err(),
        store.clear(&ns).await.unwrap_err(),
        store.keys(&ns).await.unwrap_err(),
        store.len().await.unwrap_err(),
        store.get_many(std::slice::from_ref(&a)).await.remove(0).unwrap_err(),
        store.set_many(vec![(a.clone(), Value::Int(1), Expiry::Never)]).await.remove(0).unwrap_err(),
        store.delete_many(std::slice::from_ref(&a)).await.remove(0).unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.is_retryable());
        let text = "the circuit to server0:1 is open: calls to it failed, and it is probed until it answers";
        assert_eq!(error.to_string(), text);
    }
    assert!(store.get_many(&[]).await.is_empty());
    assert_eq!(rig.store.asked(0), [""; 0]);
    assert_eq!(store.peek(&a, rig.cache.now()).map(|_| ()), None);
}

#[tokio::test]
async fn a_dead_store_costs_the_first_callers_their_timeout_and_later_ones_nothing() {
    let rig = Rig::new(1);
    rig.store.be(0, Mood::Hangs);
    for _ in 0..5 {
        let cache = rig.cache.clone();
        let read = tokio::spawn(async move { cache.get::<u8>("a0").await });
        settle().await;
        assert!(!read.is_finished());
        rig.clock.advance(LIMIT);
        assert_eq!(read.await.unwrap().unwrap_err().kind(), ErrorKind::Timeout);
    }
    assert_eq!(rig.state(), CircuitState::Open);
    let before = rig.cache.now();
    assert_eq!(rig.cache.get::<u8>("a0").await.unwrap_err().kind(), ErrorKind::Unavailable);
    let loaded = rig.cache.get_or_load("a0", || async { fine(7_u8) }).await.unwrap();
    assert_eq!(*loaded, 7);
    assert_eq!(rig.cache.now(), before, "no time passed");
}

#[tokio::test]
async fn callers_who_go_away_early_say_nothing() {
    let rig = Rig::with(1, CircuitBreaker::new().minimum_calls(1).error_rate(0.01).consecutive_timeouts(1));
    rig.store.be(0, Mood::Hangs);
    for _ in 0..50 {
        let cache = rig.cache.clone();
        let read = tokio::spawn(async move { cache.get::<u8>("a0").await });
        settle().await;
        rig.clock.advance(Duration::from_millis(100));
        read.abort();
        assert!(read.await.unwrap_err().is_cancelled());
    }
    assert_eq!(rig.state(), CircuitState::Closed);
}

#[tokio::test]
async fn the_cache_with_the_least_time_decides_what_is_late() {
    let rig = Rig::with(1, CircuitBreaker::new().consecutive_timeouts(1));
    let hasty =
        Cache::builder(rig.handle.clone()).operation_timeout(Duration::from_millis(50)).build().unwrap();
    rig.store.be(0, Mood::Hangs);
    let read = tokio::spawn(async move { hasty.get::<u8>("a0").await });
    settle().await;
    rig.clock.advance(Duration::from_millis(50));
    assert_eq!(read.await.unwrap().unwrap_err().kind(), ErrorKind::Timeout);
    assert_eq!(rig.state(), CircuitState::Open);
}

#[tokio::test]
async fn each_server_has_a_circuit_of_its_own() {
    let rig = Rig::new(3);
    rig.open(1).await;
    assert_eq!(rig.states(), [CircuitState::Closed, CircuitState::Open, CircuitState::Closed]);
    let names: Vec<_> = rig.handle.circuits().into_iter().map(|circuit| circuit.server).collect();
    assert_eq!(names, ["server0:1", "server1:1", "server2:1"]);
    for server in [0, 2] {
        let key = key(&format!("b{server}"));
        rig.guarded().set(&key, Value::Int(1), Expiry::Never).await.unwrap();
        assert!(rig.guarded().has(&key).await.unwrap());
    }
    assert!(rig.guarded().get(&key("b1")).await.is_err());
    // Of a key on no server at all, the last one answers.
    assert!(rig.guarded().get(&key("b9")).await.unwrap().is_none());
}

#[tokio::test]
async fn what_every_server_takes_part_in_fails_where_one_circuit_is_open() {
    let rig = Rig::new(2);
    rig.guarded().clear(&namespace(&["x"])).await.unwrap();
    assert_eq!((rig.store.asked(0), rig.store.asked(1)), (vec!["clear"], vec!["clear"]));
    rig.open(1).await;
    let failed = rig.guarded().clear(&namespace(&["x"])).await.unwrap_err();
    assert!(failed.to_string().starts_with("the circuit to server1:1 is open"), "{failed}");
    assert_eq!(rig.store.asked(0), [""; 0]);
    // Where there are several servers, such a failure is nobody's.
    let rig = Rig::with(2, CircuitBreaker::new().minimum_calls(1).consecutive_timeouts(1));
    rig.store.be(0, Mood::Fails(ErrorKind::Timeout));
    assert!(rig.guarded().len().await.is_err());
    assert_eq!(rig.states(), [CircuitState::Closed, CircuitState::Closed]);
    // Where there is one, it is that one's, but a long call that is given up is none.
    let rig = Rig::with(1, CircuitBreaker::new().consecutive_timeouts(1));
    rig.store.be(0, Mood::Hangs);
    let handle = rig.handle.clone();
    let call = tokio::spawn(async move { handle.guarded().clear(&namespace(&["x"])).await });
    settle().await;
    rig.clock.advance(LIMIT);
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    assert_eq!(rig.state(), CircuitState::Closed);
    rig.store.be(0, Mood::Fails(ErrorKind::Timeout));
    assert!(rig.guarded().clear(&namespace(&["x"])).await.is_err());
    assert_eq!(rig.state(), CircuitState::Open);
}

#[tokio::test]
async fn observers_and_health_tell_of_each_change_once() {
    let rig = Rig::new(2);
    assert!(rig.cache.health().await.unwrap().circuits.iter().all(|c| c.state == CircuitState::Closed));
    rig.open(0).await;
    for _ in 0..10 {
        assert!(rig.cache.get::<u8>("a0").await.is_err());
    }
    assert_eq!(rig.changes(), [r#"CircuitChanged { server: "server0:1", state: Open }"#]);
    // The key of the health check is on the last server, which is well.
    let states: Vec<_> = rig.cache.health().await.unwrap().circuits.iter().map(|c| c.state).collect();
    assert_eq!(states, [CircuitState::Open, CircuitState::Closed]);
}

#[tokio::test]
async fn a_panic_of_the_store_says_nothing() {
    let rig = Rig::with(1, CircuitBreaker::new().minimum_calls(1).consecutive_timeouts(1));
    rig.store.be(0, Mood::Panics);
    let handle = rig.handle.clone();
    let call = tokio::spawn(async move { handle.guarded().get(&key("a0")).await });
    assert!(call.await.unwrap_err().is_panic());
    assert_eq!(rig.state(), CircuitState::Closed);
}
