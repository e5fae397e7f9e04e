//! Batches over several servers, some of which are left alone.

use std::time::Duration;

use larder_core::{
    BoxFuture, CacheStore as _, CircuitBreaker, CircuitState, ErrorKind, Expiry, Key, StoreHandle, Value,
};

use super::{Rig, key, servers::Mood};
use crate::support::settle;

fn keys(texts: &[&str]) -> Vec<Key> {
    texts.iter().map(|text| key(text)).collect()
}

fn int(value: Option<&Value>) -> Option<i64> {
    match value {
        None => None,
        Some(Value::Int(int)) => Some(*int),
        Some(other) => panic!("not a number: {other:?}"),
    }
}

#[tokio::test]
async fn keys_of_an_open_server_fail_at_once_and_the_others_are_asked() {
    let rig = Rig::new(3);
    for (text, value) in [("a0", 10), ("b0", 11), ("a1", 20), ("a2", 30)] {
        rig.store.map.set(&key(text), Value::Int(value), Expiry::Never).await.unwrap();
    }
    rig.open(1).await;
    (0..3).for_each(|server| drop(rig.store.asked(server)));
    let asked = keys(&["a2", "a1", "a0", "a2", "b1", "b0", "c0", "a1"]);
    let found = rig.guarded().get_many(&asked).await;
    let seen: Vec<_> = found
        .iter()
        .map(|one| {
            one.as_ref()
                .map(|found| int(found.as_ref()))
                .map_err(|error| (error.kind(), error.to_string().contains("server1:1")))
        })
        .collect();
    let refused = Err((ErrorKind::Unavailable, true));
    let expected =
        [Ok(Some(30)), refused, Ok(Some(10)), Ok(Some(30)), refused, Ok(Some(11)), Ok(None), refused];
    assert_eq!(seen, expected);
    assert_eq!(
        [rig.store.asked(0), rig.store.asked(1), rig.store.asked(2)],
        [vec!["get_many"], vec![], vec!["get_many"]]
    );
    assert_eq!(
        rig.guarded().get_many(&keys(&["a1", "b1"])).await.iter().filter(|one| one.is_err()).count(),
        2
    );
    assert_eq!(rig.store.asked(0), [""; 0]);
}

#[tokio::test]
async fn writes_are_split_alike_and_of_duplicates_the_last_one_stays() {
    let rig = Rig::new(2);
    rig.open(1).await;
    let entries = [("a0", 1), ("a1", 2), ("a0", 3), ("b0", 4)];
    let entries = entries.map(|(text, value)| (key(text), Value::Int(value), Expiry::Never));
    let stored: Vec<_> = rig.guarded().set_many(entries.to_vec()).await.iter().map(Result::is_ok).collect();
    assert_eq!(stored, [true, false, true, true]);
    assert_eq!(int(rig.store.map.get(&key("a0")).await.unwrap().as_ref()), Some(3));
    assert!(rig.store.map.get(&key("a1")).await.unwrap().is_none());
    let deleted = rig.guarded().delete_many(&keys(&["b0", "a1", "c0", "b0"])).await;
    let deleted: Vec<_> = deleted.into_iter().map(|one| one.map_err(|error| error.kind())).collect();
    assert_eq!(deleted, [Ok(true), Err(ErrorKind::Unavailable), Ok(false), Ok(false)]);
}

#[tokio::test]
async fn a_batch_counts_once_for_each_of_its_servers() {
    let rig = Rig::new(2);
    rig.store.be(1, Mood::Fails(ErrorKind::Timeout));
    let many: Vec<_> = (0..50).map(|n| key(&format!("k{n}-{}", n % 2))).collect();
    for batch in 1..=5 {
        assert_eq!(rig.states(), [CircuitState::Closed; 2], "before batch {batch}");
        let failed = rig.guarded().get_many(&many).await.iter().filter(|one| one.is_err()).count();
        assert_eq!(failed, 25);
    }
    assert_eq!(rig.states(), [CircuitState::Closed, CircuitState::Open]);
}

#[tokio::test]
async fn who_gives_a_batch_up_says_nothing_of_servers_that_had_answered() {
    type Batch = fn(StoreHandle) -> BoxFuture<'static, ()>;
    let batches: [Batch; 3] = [
        |handle| Box::pin(async move { drop(handle.guarded().get_many(&keys(&["a0", "a1", "b0"])).await) }),
        |handle| Box::pin(async move { drop(handle.guarded().delete_many(&keys(&["a0", "a1"])).await) }),
        |handle| {
            let entries = keys(&["a1", "a0"]).into_iter().map(|key| (key, Value::Int(1), Expiry::Never));
            Box::pin(async move { drop(handle.guarded().set_many(entries.collect()).await) })
        },
    ];
    for batch in batches {
        let rig = Rig::new(2);
        rig.store.be(1, Mood::Hangs);
        for _ in 0..5 {
            assert_eq!(rig.states(), [CircuitState::Closed; 2]);
            let call = tokio::spawn(batch(rig.handle.clone()));
            settle().await;
            rig.clock.advance(Duration::from_millis(500));
            call.abort();
            assert!(call.await.unwrap_err().is_cancelled());
        }
        assert_eq!(rig.states(), [CircuitState::Closed, CircuitState::Open]);
    }
}

#[tokio::test]
async fn batches_of_a_single_server_count_too() {
    let rig = Rig::with(1, CircuitBreaker::new().minimum_calls(2).error_rate(1.0));
    rig.store.be(0, Mood::Fails(ErrorKind::Unavailable));
    assert!(rig.guarded().get_many(&[]).await.is_empty());
    rig.guarded().get_many(&keys(&["a0", "b0"])).await;
    assert_eq!(rig.state(), CircuitState::Closed, "one call; a batch of nothing is none");
    rig.guarded().set_many(vec![(key("a0"), Value::Int(1), Expiry::Never)]).await;
    assert_eq!(rig.state(), CircuitState::Open);
}
