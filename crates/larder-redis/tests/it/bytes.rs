//! What lies in the server, and what others put there.

use larder_core::{CacheStore, ErrorKind, Expiry, Key, Value};

use super::{FAR, Operator, bytes, key, patient, store, support, text};

#[tokio::test]
async fn bytes_of_others_are_a_miss_and_are_overwritten() {
    let (store, operator) = (store(), Operator::new().await);
    let strings: [&[u8]; 8] =
        [b"", b"5", b"!", b"hello", b"\xFE", b"\xFE\x01short", b"\xFE\x01twelve bytesi07", &[0xFE; 200]];
    for foreign in strings {
        let key = key("foreign");
        let put = || operator.says([b"SET", key.as_str().as_bytes(), foreign]);
        put().await;
        assert!(store.get(&key).await.unwrap().is_none(), "{foreign:?}");
        assert!(!store.has(&key).await.unwrap(), "{foreign:?}");
        assert!(store.get_versioned(&key).await.unwrap().is_none());
        assert!(store.get_many(std::slice::from_ref(&key)).await.remove(0).unwrap().is_none());
        let version =
            store.add(&key, bytes("mine"), FAR).await.unwrap().expect("nothing of a store's is there");
        assert_eq!(store.get_versioned(&key).await.unwrap().unwrap().1, version);
        assert!(store.add(&key, bytes("late"), FAR).await.unwrap().is_none());
        put().await;
        assert_eq!(store.increment(&key, 7, FAR).await.unwrap(), 7, "{foreign:?}");
        put().await;
        store.set(&key, bytes("mine"), FAR).await.unwrap();
        assert_eq!(text(&store, &key).await.as_deref(), Some("mine"));
    }
}

#[tokio::test]
async fn other_types_are_a_miss_and_are_overwritten() {
    let (store, operator) = (store(), Operator::new().await);
    let key = key("list");
    let put = || operator.says_text(["LPUSH", key.as_str(), "item"]);
    put().await;
    assert!(store.get(&key).await.unwrap().is_none());
    assert!(!store.has(&key).await.unwrap());
    assert!(store.get_many(std::slice::from_ref(&key)).await.remove(0).unwrap().is_none());
    assert!(store.add(&key, bytes("mine"), FAR).await.unwrap().is_some());
    assert_eq!(text(&store, &key).await.as_deref(), Some("mine"));
    store.delete(&key).await.unwrap();
    put().await;
    assert_eq!(store.increment(&key, 1, Expiry::Never).await.unwrap(), 1);
    store.delete(&key).await.unwrap();
    put().await;
    store.set(&key, Value::Int(5), FAR).await.unwrap();
    assert_eq!(store.increment(&key, 1, FAR).await.unwrap(), 6);
}

/// What begins an answer that the client takes for news of a channel, and drops. Every later answer on that connection would then
/// go to the caller before.
pub(crate) const NEWS: [&str; 9] = [
    "message",
    "pmessage",
    "smessage",
    "subscribe",
    "psubscribe",
    "unsubscribe",
    "punsubscribe",
    "sunsubscribe",
    "pubsub",
];

/// Puts such values under the first keys, asks for all of them at once, and then for each.
pub(crate) async fn news_are_a_miss(store: &larder_redis::RedisStore, operator: &Operator, keys: &[Key]) {
    for count in 1..=keys.len() {
        for second in NEWS {
            for key in &keys[..count] {
                store.set(key, bytes(key.as_str()), FAR).await.unwrap();
            }
            operator
                .says_text(["SET", keys[0].as_str(), if count % 2 == 0 { "pubsub" } else { second }])
                .await;
            if let Some(key) = keys[1..count].first() {
                operator.says_text(["SET", key.as_str(), second]).await;
            }
            let found = store.get_many(&keys[..count]).await;
            for (at, (key, found)) in keys.iter().zip(found).enumerate() {
                let what = || format!("{count} keys, {second}: {at}");
                match found.unwrap_or_else(|error| panic!("{}: {error}", what())) {
                    None => assert!(at < 2, "{}", what()),
                    Some(Value::Bytes(bytes)) => assert_eq!(bytes, key.as_str().as_bytes(), "{}", what()),
                    Some(other) => panic!("{}: {other:?}", what()),
                }
                let alone = text(store, key).await;
                assert_eq!(alone.as_deref(), (at >= 2).then_some(key.as_str()), "{}", what());
            }
        }
    }
}

#[tokio::test]
async fn values_like_news_of_a_channel_mix_nothing_up() {
    let namespace = super::namespace("news");
    let keys: Vec<Key> = (0..7).map(|number| Key::new(&namespace, &number.to_string()).unwrap()).collect();
    let (store, operator) = (store(), Operator::new().await);
    news_are_a_miss(&store, &operator, &keys).await;
    // The other way round: what is alone in the first place.
    for word in NEWS {
        for count in 3..=5 {
            store.set(&keys[1], bytes("one"), FAR).await.unwrap();
            operator.says_text(["SET", keys[0].as_str(), word]).await;
            assert!(store.get_many(&keys[..count]).await.remove(0).unwrap().is_none());
            assert_eq!(text(&store, &keys[1]).await.as_deref(), Some("one"), "{word}, {count} keys");
        }
    }
}

#[tokio::test]
async fn two_prefixes_never_see_each_other() {
    let open = |prefix: &str| patient(support::builder(super::ALONE)).prefix(prefix).build().unwrap();
    let (one, two, none) = (open("one:"), open("one"), store());
    let namespace = super::namespace("prefixes");
    let key = Key::new(&namespace, "key").unwrap();
    one.set(&key, bytes("of one"), FAR).await.unwrap();
    for other in [&two, &none] {
        assert!(other.get(&key).await.unwrap().is_none());
        assert!(other.keys(&namespace).await.unwrap().is_empty());
        assert!(!other.delete(&key).await.unwrap());
        other.set(&key, bytes("of another"), FAR).await.unwrap();
        other.clear(&namespace).await.unwrap();
        assert!(other.get(&key).await.unwrap().is_none());
        assert_eq!(text(&one, &key).await.as_deref(), Some("of one"));
    }
    assert_eq!(one.keys(&namespace).await.unwrap(), std::slice::from_ref(&key));
    assert!(one.len().await.unwrap() >= 1);
    one.clear(&namespace).await.unwrap();
    assert!(one.get(&key).await.unwrap().is_none());
}

#[tokio::test]
async fn clear_leaves_what_is_no_entry_of_a_store() {
    let (store, operator) = (store(), Operator::new().await);
    let namespace = super::namespace("neighbours");
    let strange = [format!("{}no key", namespace.as_str()), namespace.as_str().to_owned()];
    for name in &strange {
        operator.says_text(["SET", name, "precious"]).await;
    }
    store.clear(&namespace).await.unwrap();
    assert!(store.keys(&namespace).await.unwrap().is_empty());
    for name in &strange {
        assert_eq!(operator.raw(name).await.as_deref(), Some(&b"precious"[..]), "{name}");
        operator.says_text(["DEL", name]).await;
    }
}

#[tokio::test]
async fn a_value_over_the_limit_is_refused_and_the_old_one_stays() {
    let store = patient(support::builder(super::ALONE)).max_value_bytes(10).build().unwrap();
    let key = key("large");
    store.set(&key, bytes("ten bytes!"), FAR).await.unwrap();
    for value in [bytes("eleven byte"), Value::Int(i64::MIN)] {
        let error = store.set(&key, value, FAR).await.unwrap_err();
        assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::TooLarge, false), "{error}");
    }
    assert_eq!(text(&store, &key).await.as_deref(), Some("ten bytes!"));
}
