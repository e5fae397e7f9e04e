//! Keys in many slots.

use std::collections::HashMap;

use larder_core::{CacheStore, Expiry, Key, Value};
use larder_redis::RedisStore;

use super::{FAR, Operator, bytes, patient, support};

const CLUSTER: &str = "LARDER_TEST_REDIS_CLUSTER";

fn store() -> RedisStore {
    patient(support::builder(CLUSTER)).build().unwrap()
}

#[tokio::test]
async fn batches_span_slots_and_keep_order() {
    let store = store();
    let namespace = super::namespace("slots");
    let keys: Vec<Key> = (0..300).map(|number| Key::new(&namespace, &number.to_string()).unwrap()).collect();
    let entries = keys.iter().zip(0..).map(|(key, number)| (key.clone(), Value::Int(number), FAR)).collect();
    for set in store.set_many(entries).await {
        set.unwrap();
    }
    let mut asked = keys.clone();
    asked.push(Key::new(&namespace, "missing").unwrap());
    asked.push(keys[7].clone());
    let found = store.get_many(&asked).await;
    for (number, found) in found.iter().enumerate() {
        let expected = match number {
            300 => None,
            301 => Some(7),
            number => i64::try_from(number).ok(),
        };
        let seen = match found.as_ref().unwrap() {
            Some(Value::Int(int)) => Some(*int),
            None => None,
            other => panic!("{other:?}"),
        };
        assert_eq!(seen, expected, "{number}");
    }
    // Of duplicates the last one stays, in whatever order the answers come.
    let twice = (0..50).map(|number| (keys[0].clone(), Value::Int(number), Expiry::Never)).collect();
    assert!(store.set_many(twice).await.iter().all(Result::is_ok));
    assert!(matches!(store.get(&keys[0]).await.unwrap(), Some(Value::Int(49))));
    let gone = store.delete_many(&asked).await.into_iter().map(Result::unwrap).collect::<Vec<_>>();
    assert_eq!(gone.iter().filter(|gone| **gone).count(), 300);
    assert!(!gone[300] && !gone[301]);
}

/// With a prefix a key is in another slot.
#[tokio::test]
async fn batches_with_a_prefix_span_slots() {
    let store = patient(support::builder(CLUSTER)).prefix("slots:").build().unwrap();
    let namespace = super::namespace("prefixed");
    let keys: Vec<Key> =
        (0..2_000).map(|number| Key::new(&namespace, &number.to_string()).unwrap()).collect();
    let entries = keys.iter().zip(0..).map(|(key, number)| (key.clone(), Value::Int(number), FAR)).collect();
    assert!(store.set_many(entries).await.iter().all(Result::is_ok));
    for (number, found) in (0..).zip(store.get_many(&keys).await) {
        assert!(matches!(found.unwrap(), Some(Value::Int(int)) if int == number), "{number}");
    }
    store.clear(&namespace).await.unwrap();
    assert!(store.get_many(&keys).await.into_iter().all(|found| found.unwrap().is_none()));
}

/// The client's own scan looks at one server of a cluster.
#[tokio::test]
async fn keys_and_clear_look_at_every_primary() {
    let store = store();
    let (namespace, other) = (super::namespace("primaries"), super::namespace("others"));
    let keys: Vec<Key> = (0..600).map(|number| Key::new(&namespace, &number.to_string()).unwrap()).collect();
    for set in store.set_many(keys.iter().map(|key| (key.clone(), bytes("value"), FAR)).collect()).await {
        set.unwrap();
    }
    let neighbour = Key::new(&other, "neighbour").unwrap();
    store.set(&neighbour, bytes("here"), FAR).await.unwrap();
    assert_eq!(store.keys(&namespace).await.unwrap().len(), 600);
    assert!(store.len().await.unwrap() >= 601);
    // Three servers hold some of them each.
    let url = support::url(CLUSTER);
    for host in url.trim_start_matches("redis+cluster://").split(',') {
        let operator = Operator::at(&format!("redis://{host}")).await;
        let size = operator.says_text(["DBSIZE"]).await.as_i64().unwrap();
        assert!(size > 0, "{host}");
    }
    store.clear(&namespace).await.unwrap();
    assert!(store.keys(&namespace).await.unwrap().is_empty());
    assert!(store.get_many(&keys).await.into_iter().all(|found| found.unwrap().is_none()));
    assert!(store.has(&neighbour).await.unwrap());
}

/// Keys of one slot are asked for at once.
#[tokio::test]
async fn values_like_news_of_a_channel_mix_nothing_up() {
    let namespace = super::namespace("news");
    let mut slots: HashMap<u16, Vec<Key>> = HashMap::new();
    let keys = (0..20_000).map(|number| Key::new(&namespace, &number.to_string()).unwrap()).find_map(|key| {
        let slot = slots.entry(fred::util::redis_keyslot(key.as_str().as_bytes())).or_default();
        slot.push(key);
        (slot.len() == 3).then(|| slot.clone())
    });
    let keys = keys.expect("of so many keys, three are in one slot");
    // Alone, the operator reaches the slot by following it.
    let hosts = support::url(CLUSTER);
    let first = hosts.trim_start_matches("redis+cluster://").split(',').next().unwrap();
    let operator = Operator::at(&format!("redis-cluster://{first}")).await;
    bytes::news_are_a_miss(&store(), &operator, &keys).await;
}

#[tokio::test]
async fn replicas_answer_reads_where_that_is_wanted() {
    for variable in [CLUSTER, "LARDER_TEST_REDIS_SENTINEL"] {
        let store = patient(support::builder(variable))
            .read_from(larder_redis::ReadFrom::Replica)
            .wait_replicas(1)
            .build()
            .unwrap();
        let key = super::key("replica");
        store.set(&key, bytes("value"), FAR).await.unwrap();
        for _ in 0..20 {
            let mut found = store.get(&key).await.unwrap();
            for _ in 0..100 {
                // A replica lags, though not for long.
                if found.is_some() {
                    break;
                }
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
                found = store.get(&key).await.unwrap();
            }
            assert!(matches!(found, Some(Value::Bytes(bytes)) if bytes == "value"), "{variable}");
        }
        let many = store.get_many(&[key.clone(), key.clone()]).await;
        assert_eq!(many.len(), 2);
        assert!(store.delete(&key).await.unwrap());
    }
}

#[tokio::test]
async fn too_few_replicas_are_ambiguous() {
    let builder = support::builder("LARDER_TEST_REDIS_SENTINEL");
    let store =
        builder.wait_replicas(9).operation_timeout(std::time::Duration::from_secs(1)).build().unwrap();
    let error = store.set(&super::key("few"), bytes("value"), FAR).await.unwrap_err();
    assert_eq!(error.kind(), larder_core::ErrorKind::Ambiguous, "{error}");
    assert!(error.to_string().contains("`wait_replicas` is 9"), "{error}");
    // Also where waiting takes longer than a silent connection is kept.
    let brief = std::time::Duration::from_millis(300);
    let store = support::builder("LARDER_TEST_REDIS_SENTINEL").wait_replicas(9).operation_timeout(brief);
    let store = store.build().unwrap();
    let error = store.clear(&super::namespace("few")).await.unwrap_err();
    assert_eq!(error.kind(), larder_core::ErrorKind::Ambiguous, "{error}");
    assert!(error.to_string().contains("`wait_replicas` is 9"), "{error}");
}
