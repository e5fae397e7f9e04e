//! Counters and conditions, beyond what the suite asks.

use std::time::Duration;

use larder_core::{CacheStore, ErrorKind, Expiry, Value};

use super::{FAR, Operator, bytes, key, store};

#[tokio::test]
async fn scripts_that_the_server_has_forgotten_are_sent_again() {
    let (store, operator, key) = (store(), Operator::new().await, key("forgotten"));
    for round in 1..=3 {
        operator.says_text(["SCRIPT", "FLUSH"]).await;
        assert_eq!(store.increment(&key, 1, FAR).await.unwrap(), round);
        let (value, version) = store.get_versioned(&key).await.unwrap().unwrap();
        operator.says_text(["SCRIPT", "FLUSH"]).await;
        assert!(store.replace(&key, &version, value, FAR).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn counters_are_exact_beyond_what_lua_counts() {
    let (store, key) = (store(), key("exact"));
    let edge = 1_i64 << 53;
    for start in [edge - 2, edge - 1, edge, edge + 1, -edge, i64::MAX - 3, i64::MIN + 3, (1 << 52) - 1] {
        for delta in [-3, -1, 0, 1, 3, edge + 1, -edge - 1] {
            store.set(&key, Value::Int(start), FAR).await.unwrap();
            let seen = store.increment(&key, delta, FAR).await;
            match start.checked_add(delta) {
                Some(sum) => assert_eq!(seen.unwrap(), sum, "{start} + {delta}"),
                None => assert_eq!(seen.unwrap_err().kind(), ErrorKind::Overflow, "{start} + {delta}"),
            }
            let expected = start.checked_add(delta).unwrap_or(start);
            assert!(matches!(store.get(&key).await.unwrap(), Some(Value::Int(int)) if int == expected));
        }
    }
}

#[tokio::test]
async fn an_overflow_keeps_the_expiry_and_the_version() {
    let (store, key) = (store(), key("overflow"));
    store.set(&key, Value::Int(i64::MAX), FAR).await.unwrap();
    let (_, version) = store.get_versioned(&key).await.unwrap().unwrap();
    assert_eq!(store.increment(&key, 1, Expiry::Never).await.unwrap_err().kind(), ErrorKind::Overflow);
    assert_eq!(store.get_versioned(&key).await.unwrap().unwrap().1, version);
    assert!(
        matches!(store.expiry(&key).await.unwrap(), Some(Expiry::After(left)) if left > Duration::from_secs(500))
    );
    assert!(store.replace(&key, &version, bytes("new"), FAR).await.unwrap().is_some());
}

#[tokio::test]
async fn milliseconds_count() {
    let (store, key) = (store(), key("milliseconds"));
    store.set(&key, bytes("brief"), Expiry::After(Duration::from_micros(1))).await.unwrap();
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(store.get(&key).await.unwrap().is_none());
    store.set(&key, bytes("long"), Expiry::After(Duration::from_millis(60_001))).await.unwrap();
    assert!(
        matches!(store.expiry(&key).await.unwrap(), Some(Expiry::After(left)) if left > Duration::from_secs(50))
    );
}
