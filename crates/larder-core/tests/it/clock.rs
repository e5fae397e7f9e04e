//! Clocks.

use std::{sync::Arc, thread, time::Duration};

use larder_core::{Clock, ManualClock, SystemClock, Timestamp};

use crate::support::{settle, until};

const MINUTE: Duration = Duration::from_mins(1);

#[tokio::test]
async fn a_manual_sleep_wakes_when_its_time_has_come() {
    let clock = ManualClock::default();
    let naps: Vec<_> = [1, 2, 2, 3].into_iter().map(|n| tokio::spawn(clock.sleep(MINUTE * n))).collect();
    let done = || naps.iter().filter(|nap| nap.is_finished()).count();
    settle().await;
    assert_eq!(done(), 0);
    clock.advance(MINUTE.saturating_sub(Duration::from_nanos(1)));
    settle().await;
    assert_eq!(done(), 0);
    clock.advance(Duration::from_nanos(1));
    until(|| done() == 1).await;
    clock.advance(MINUTE);
    until(|| done() == 3).await;
    clock.advance(Duration::MAX);
    until(|| done() == 4).await;
    assert_eq!(clock.now(), Timestamp::MAX);
}

#[tokio::test]
async fn a_sleep_counts_from_its_call_and_leaves_nothing_when_dropped() {
    let clock = ManualClock::default();
    let early = clock.sleep(MINUTE);
    clock.advance(MINUTE);
    early.await;
    let before = format!("{clock:?}");
    for _ in 0..100 {
        let nap = clock.sleep(MINUTE);
        tokio::select! {
            biased;
            () = nap => panic!("the clock did not move"),
            () = std::future::ready(()) => {}
        }
    }
    let wakers = |debug: &str| debug.matches("Waker").count();
    assert_eq!(wakers(&format!("{clock:?}")), wakers(&before));
}

#[test]
fn clones_share_the_time() {
    let clock = ManualClock::new(Timestamp::from_nanos(5));
    let other = clock.clone();
    clock.advance(Duration::from_nanos(2));
    assert_eq!(other.now(), Timestamp::from_nanos(7));
    assert!(!other.is_real());
}

#[test]
fn the_system_clock_never_goes_back_on_any_thread() {
    let clock = Arc::new(SystemClock::new());
    let latest = Arc::new(std::sync::Mutex::new(clock.now()));
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let (clock, latest) = (Arc::clone(&clock), Arc::clone(&latest));
            thread::spawn(move || {
                for _ in 0..20_000 {
                    let mut latest = latest.lock().unwrap();
                    let now = clock.now();
                    assert!(now >= *latest);
                    *latest = now;
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    assert!(clock.is_real());
}
