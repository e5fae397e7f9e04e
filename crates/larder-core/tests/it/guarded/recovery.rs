//! How a server that was left alone is found to be back.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use larder_core::{
    BoxFuture, CacheStore, CircuitBreaker, CircuitState, Error, ErrorKind, Result, Spawn, StoreHandle,
};

use super::{
    Rig, key,
    servers::{Mood, Servers},
};
use crate::support::{Gate, namespace, settle};

/// The longest pause between probes.
const PAUSE: Duration = Duration::from_millis(300);

async fn pass(rig: &Rig, time: Duration) {
    settle().await;
    rig.clock.advance(time);
    settle().await;
}

/// Opens the circuit, and half opens it by a probe that the server answers.
async fn half_opened(breaker: CircuitBreaker) -> Rig {
    let rig = Rig::with(1, breaker);
    rig.open(0).await;
    rig.store.be(0, Mood::Well);
    pass(&rig, PAUSE).await;
    assert_eq!(rig.state(), CircuitState::HalfOpen);
    rig.store.asked(0);
    rig
}

#[tokio::test]
async fn a_server_is_probed_only_while_its_circuit_is_open() {
    let rig = Rig::new(2);
    rig.reads(3).await;
    rig.store.asked(0);
    for _ in 0..20 {
        pass(&rig, Duration::from_secs(1)).await;
    }
    assert_eq!(rig.store.asked(0), [""; 0]);
    rig.open(0).await;
    rig.store.asked(0);
    for probes in 1..=5 {
        pass(&rig, PAUSE).await;
        assert_eq!(rig.store.asked(0), ["ping"], "probe {probes}");
        assert_eq!(rig.states(), [CircuitState::Open, CircuitState::Closed]);
    }
    assert_eq!(rig.store.asked(1), [""; 0]);
    rig.store.be(0, Mood::Well);
    pass(&rig, PAUSE).await;
    assert_eq!(rig.states(), [CircuitState::HalfOpen, CircuitState::Closed]);
    rig.reads(3).await;
    assert_eq!(rig.store.asked(0), ["ping", "get", "get", "get"]);
    assert_eq!(rig.states(), [CircuitState::Closed; 2]);
    for _ in 0..20 {
        pass(&rig, Duration::from_secs(1)).await;
    }
    assert_eq!(rig.store.asked(0), [""; 0]);
    assert_eq!(
        rig.changes(),
        [
            r#"CircuitChanged { server: "server0:1", state: Open }"#,
            r#"CircuitChanged { server: "server0:1", state: HalfOpen }"#,
            r#"CircuitChanged { server: "server0:1", state: Closed }"#,
        ]
    );
}

#[tokio::test]
async fn probes_wait_for_their_interval_and_end_at_their_timeout() {
    let rig = Rig::with(1, CircuitBreaker::new().probe_timeout(Duration::from_millis(100)));
    rig.open(0).await;
    rig.store.be(0, Mood::Hangs);
    rig.store.asked(0);
    pass(&rig, Duration::from_millis(199)).await;
    assert_eq!(rig.store.asked(0), [""; 0], "a fifth under 250 ms at the earliest");
    pass(&rig, Duration::from_millis(101)).await;
    assert_eq!(rig.store.asked(0), ["ping"]);
    pass(&rig, Duration::from_millis(99)).await;
    rig.store.be(0, Mood::Well);
    pass(&rig, Duration::from_millis(1)).await;
    assert_eq!((rig.store.asked(0), rig.state()), (vec![], CircuitState::Open), "that one was given up");
    pass(&rig, PAUSE).await;
    assert_eq!((rig.store.asked(0), rig.state()), (vec!["ping"], CircuitState::HalfOpen));
}

#[tokio::test]
async fn the_store_is_back_in_use_within_two_seconds_of_its_return() {
    const STEP: Duration = Duration::from_millis(10);
    let rig = Rig::new(1);
    let mut worst = Duration::ZERO;
    for gone in 0..40_u32 {
        rig.open(0).await;
        // It neither refuses nor answers, which delays a probe longest.
        rig.store.be(0, Mood::Hangs);
        for _ in 0..20 + gone * 3 {
            pass(&rig, STEP).await;
            assert!(rig.guarded().get(&key("a0")).await.is_err());
        }
        rig.store.be(0, Mood::Well);
        let back = rig.cache.now();
        let since = || rig.cache.now().saturating_since(back);
        while rig.state() != CircuitState::Closed && since() < Duration::from_secs(2) {
            pass(&rig, STEP).await;
            rig.reads(1).await;
        }
        worst = worst.max(since());
    }
    assert!(worst > Duration::from_millis(300) && worst < Duration::from_millis(900), "{worst:?}");
}

#[tokio::test]
async fn half_open_lets_a_few_calls_through_and_closes_when_all_are_answered() {
    let rig = half_opened(CircuitBreaker::new().half_open_calls(2)).await;
    let gate = Gate::new();
    rig.store.be(0, Mood::Held(Arc::clone(&gate)));
    let call = || {
        let handle = rig.handle.clone();
        tokio::spawn(async move { handle.guarded().get(&key("a0")).await })
    };
    let (one, two) = (call(), call());
    gate.reached().await;
    gate.reached().await;
    assert_eq!(call().await.unwrap().unwrap_err().kind(), ErrorKind::Unavailable, "the third is refused");
    gate.open();
    settle().await;
    assert_eq!(rig.state(), CircuitState::HalfOpen);
    assert!(call().await.unwrap().is_err(), "one answered and one running are two");
    gate.open();
    assert!(one.await.unwrap().is_ok() && two.await.unwrap().is_ok());
    assert_eq!(rig.state(), CircuitState::Closed);
    assert_eq!(rig.store.asked(0), ["get", "get"]);
}

#[tokio::test]
async fn a_long_call_takes_no_place_from_others_while_half_open() {
    let rig = half_opened(CircuitBreaker::new().half_open_calls(2)).await;
    let gate = Gate::new();
    rig.store.be(0, Mood::Held(Arc::clone(&gate)));
    let clear = || {
        let handle = rig.handle.clone();
        tokio::spawn(async move { handle.guarded().clear(&namespace(&["x"])).await })
    };
    let (one, two) = (clear(), clear());
    gate.reached().await;
    gate.reached().await;
    assert_eq!(
        clear().await.unwrap().unwrap_err().kind(),
        ErrorKind::Unavailable,
        "no more than of the others"
    );
    rig.store.be(0, Mood::Well);
    rig.reads(2).await;
    assert_eq!(rig.state(), CircuitState::Closed);
    (0..2).for_each(|_| gate.open());
    assert!(one.await.unwrap().is_ok() && two.await.unwrap().is_ok());

    let rig = half_opened(CircuitBreaker::new().half_open_calls(1)).await;
    rig.guarded().clear(&namespace(&["x"])).await.unwrap();
    assert_eq!(rig.state(), CircuitState::Closed, "its answer counts as any other's");
}

#[tokio::test]
async fn a_failure_while_half_open_opens_it_again_and_it_is_probed_again() {
    for kind in [ErrorKind::Unavailable, ErrorKind::Timeout, ErrorKind::Ambiguous] {
        let rig = half_opened(CircuitBreaker::new()).await;
        rig.reads(2).await;
        rig.store.be(0, Mood::Fails(kind));
        rig.reads(1).await;
        assert_eq!(rig.state(), CircuitState::Open, "{kind:?}");
        rig.store.asked(0);
        pass(&rig, PAUSE).await;
        assert_eq!(rig.store.asked(0), ["ping"]);
        rig.store.be(0, Mood::Well);
        pass(&rig, PAUSE).await;
        assert_eq!(rig.state(), CircuitState::HalfOpen);
        rig.reads(2).await;
        assert_eq!(rig.state(), CircuitState::HalfOpen, "what was answered last time does not count");
        rig.reads(1).await;
        assert_eq!(rig.state(), CircuitState::Closed);
    }
}

#[tokio::test]
async fn a_circuit_that_closed_counts_anew() {
    let rig = half_opened(CircuitBreaker::new().consecutive_timeouts(2)).await;
    rig.reads(3).await;
    assert_eq!(rig.state(), CircuitState::Closed);
    rig.store.be(0, Mood::Fails(ErrorKind::Unavailable));
    rig.reads(19).await;
    assert_eq!(rig.state(), CircuitState::Closed, "the twenty failures before it opened are over");
    rig.reads(1).await;
    assert_eq!(rig.state(), CircuitState::Open);
}

#[tokio::test]
async fn a_caller_who_goes_away_while_half_open_gives_its_place_back() {
    let rig = half_opened(CircuitBreaker::new().half_open_calls(1)).await;
    rig.store.be(0, Mood::Hangs);
    for late in [false, true] {
        let handle = rig.handle.clone();
        let call = tokio::spawn(async move { handle.guarded().get(&key("a0")).await });
        settle().await;
        assert_eq!(rig.store.asked(0), ["get"]);
        if late {
            rig.clock.advance(Duration::from_millis(500));
        }
        call.abort();
        assert!(call.await.unwrap_err().is_cancelled());
        let expected = if late { CircuitState::Open } else { CircuitState::HalfOpen };
        assert_eq!(rig.state(), expected);
    }
}

#[tokio::test]
async fn what_began_before_a_change_says_nothing_after_it() {
    let rig = Rig::with(1, CircuitBreaker::new().half_open_calls(2));
    let gate = Gate::new();
    rig.store.be(0, Mood::Held(Arc::clone(&gate)));
    let handle = rig.handle.clone();
    let old = tokio::spawn(async move { handle.guarded().get(&key("a0")).await });
    gate.reached().await;
    rig.open(0).await;
    rig.store.be(0, Mood::Well);
    pass(&rig, PAUSE).await;
    rig.reads(1).await;
    assert_eq!(rig.state(), CircuitState::HalfOpen);
    gate.open();
    assert!(old.await.unwrap().is_ok());
    assert_eq!(rig.state(), CircuitState::HalfOpen, "an old answer is no second one");

    let rig = half_opened(CircuitBreaker::new().half_open_calls(1).consecutive_timeouts(2)).await;
    let gate = Gate::new();
    rig.store.be(0, Mood::Held(Arc::clone(&gate)));
    let handle = rig.handle.clone();
    let trial = tokio::spawn(async move { handle.guarded().get(&key("a0")).await });
    gate.reached().await;
    gate.open();
    assert!(trial.await.unwrap().is_ok());
    let gate = Gate::new();
    rig.store.be(0, Mood::Held(Arc::clone(&gate)));
    let handle = rig.handle.clone();
    let old = tokio::spawn(async move { handle.guarded().get(&key("a0")).await });
    gate.reached().await;
    rig.store.be(0, Mood::Fails(ErrorKind::Timeout));
    rig.reads(2).await;
    rig.store.be(0, Mood::Well);
    pass(&rig, PAUSE).await;
    rig.reads(1).await;
    assert_eq!(rig.state(), CircuitState::Closed);
    rig.clock.advance(Duration::from_secs(1));
    old.abort();
    assert!(old.await.unwrap_err().is_cancelled());
    rig.store.be(0, Mood::Fails(ErrorKind::Timeout));
    rig.reads(1).await;
    assert_eq!(rig.state(), CircuitState::Closed, "an old timeout is not the first of two");
}

#[tokio::test]
async fn a_server_that_answers_probes_but_no_calls_stays_out_of_use() {
    let rig = Rig::new(1);
    rig.open(0).await;
    rig.store.answer_pings(0, Mood::Well);
    for _ in 0..10 {
        pass(&rig, PAUSE).await;
        assert_eq!(rig.state(), CircuitState::HalfOpen);
        rig.reads(10).await;
        assert_eq!(rig.state(), CircuitState::Open);
        assert_eq!(rig.store.asked(0).iter().filter(|what| **what == "get").count() % 20, 1);
    }
}

#[tokio::test]
async fn a_refused_probe_is_no_answer() {
    for kind in [ErrorKind::Config, ErrorKind::Overloaded, ErrorKind::Timeout] {
        let rig = Rig::new(1);
        rig.open(0).await;
        rig.store.answer_pings(0, Mood::Fails(kind));
        pass(&rig, PAUSE).await;
        assert_eq!(rig.state(), CircuitState::Open, "{kind:?}");
    }
    // Something of another type where the key of the probe should be: the server is there.
    let rig = Rig::new(1);
    rig.open(0).await;
    rig.store.answer_pings(0, Mood::Fails(ErrorKind::WrongType));
    pass(&rig, PAUSE).await;
    assert_eq!(rig.state(), CircuitState::HalfOpen);
}

#[tokio::test]
async fn the_probes_end_with_the_store() {
    for mood in [Mood::Well, Mood::Hangs] {
        let rig = Rig::new(1);
        rig.open(0).await;
        let hangs = matches!(mood, Mood::Hangs);
        rig.store.be(0, mood);
        if hangs {
            pass(&rig, PAUSE).await;
        }
        settle().await;
        let store = Arc::downgrade(&rig.store);
        drop(rig);
        settle().await;
        assert!(store.upgrade().is_none(), "no task holds it");
    }
}

#[test]
fn probes_go_on_in_another_runtime_if_theirs_is_gone() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let rig = runtime().block_on(async {
        let rig = Rig::new(1);
        rig.open(0).await;
        settle().await;
        rig
    });
    rig.store.be(0, Mood::Well);
    runtime().block_on(async {
        rig.clock.advance(PAUSE);
        settle().await;
        assert_eq!(rig.state(), CircuitState::Open, "nobody probes");
        rig.reads(1).await;
        pass(&rig, PAUSE).await;
        assert_eq!(rig.state(), CircuitState::HalfOpen);
    });
}

#[tokio::test]
async fn a_probe_that_panics_is_followed_by_another() {
    let rig = Rig::new(1);
    rig.open(0).await;
    rig.store.answer_pings(0, Mood::Panics);
    pass(&rig, PAUSE).await;
    rig.store.answer_pings(0, Mood::Well);
    rig.reads(1).await;
    pass(&rig, PAUSE).await;
    assert_eq!(rig.state(), CircuitState::HalfOpen);
}

/// Starts nothing, and counts.
#[derive(Debug, Default)]
struct Idle(Mutex<usize>);

impl Spawn for Idle {
    fn spawn(&self, task: BoxFuture<'static, ()>) -> Result<()> {
        drop(task);
        *self.0.lock().unwrap() += 1;
        Err(Error::new(ErrorKind::Config, "as told by the script"))
    }
}

#[tokio::test]
async fn without_tasks_calls_do_what_probes_would() {
    let store = Arc::new(Servers::new(1));
    let clock = store.map.clock.clone();
    let idle = Arc::new(Idle::default());
    let handle = StoreHandle::builder_from_arc(Arc::clone(&store) as Arc<dyn CacheStore>)
        .circuit_breaker(CircuitBreaker::new().half_open_calls(1).consecutive_timeouts(1))
        .batching(None)
        .spawn(Arc::clone(&idle) as Arc<dyn Spawn>)
        .build()
        .unwrap();
    let state = || handle.circuits()[0].state;
    store.be(0, Mood::Fails(ErrorKind::Timeout));
    assert!(handle.guarded().get(&key("a0")).await.is_err());
    assert_eq!((state(), *idle.0.lock().unwrap()), (CircuitState::Open, 1));
    store.asked(0);
    clock.advance(Duration::from_millis(249));
    assert!(handle.guarded().get(&key("a0")).await.is_err());
    assert_eq!(store.asked(0), [""; 0]);
    clock.advance(Duration::from_millis(1));
    assert_eq!(handle.guarded().get(&key("a0")).await.unwrap_err().kind(), ErrorKind::Timeout);
    assert_eq!((store.asked(0), state()), (vec!["get"], CircuitState::Open));
    store.be(0, Mood::Well);
    clock.advance(Duration::from_millis(250));
    assert!(handle.guarded().get(&key("a0")).await.is_ok());
    assert_eq!(state(), CircuitState::Closed);
}
