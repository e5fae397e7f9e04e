//! A key or a value can never become a command.

use std::collections::BTreeMap;

use larder_core::{CacheStore, Key, Value};
use proptest::{
    collection::vec,
    prelude::{Strategy, any},
    prop_oneof,
    strategy::{Just, ValueTree as _},
    test_runner::TestRunner,
};

use super::{FAR, Operator, store};

/// What a protocol may trip over, and anything else.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let words = [
        &b"\r\n"[..],
        b"*1\r\n$8\r\nFLUSHALL\r\n",
        b"\r\nFLUSHALL\r\n",
        b"$-1\r\n",
        b"*3\r\n$3\r\nSET\r\n",
        b"\0",
        b"*",
        b"{a}",
        b"'; redis.call('FLUSHALL') --",
        b"+OK\r\n",
        b"message",
    ];
    let part = prop_oneof![
        (0..words.len()).prop_map(move |at| words[at].to_vec()),
        vec(any::<u8>(), 0..40),
        Just(vec![b'x'; 300]),
    ];
    vec(part, 0..5).prop_map(|parts| parts.concat())
}

#[tokio::test]
async fn after_hostile_keys_and_values_the_server_holds_what_the_model_says() {
    let (store, operator) = (store(), Operator::new().await);
    let namespace = super::namespace("hostile \r\n*1\r\n");
    let mut runner = TestRunner::default();
    let mut model: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for round in 0..400 {
        let mut draw = || hostile().new_tree(&mut runner).unwrap().current();
        let (text, value) = (draw(), draw());
        let key = Key::new(&namespace, &String::from_utf8_lossy(&text)).unwrap();
        let bytes = || Value::Bytes(value.clone().into());
        match round % 4 {
            0 => store.set(&key, bytes(), FAR).await.unwrap(),
            1 => {
                let added = store.add(&key, bytes(), FAR).await.unwrap();
                assert_eq!(added.is_none(), model.contains_key(key.as_str()));
                if added.is_none() {
                    continue;
                }
            }
            2 => {
                store.set(&key, Value::Int(1), FAR).await.unwrap();
                let (_, version) = store.get_versioned(&key).await.unwrap().unwrap();
                assert!(store.replace(&key, &version, bytes(), FAR).await.unwrap().is_some());
            }
            _ => store.set_many(vec![(key.clone(), bytes(), FAR)]).await.remove(0).unwrap(),
        }
        model.insert(key.as_str().to_owned(), value);
    }
    let mut listed: Vec<_> =
        store.keys(&namespace).await.unwrap().into_iter().map(|key| key.as_str().to_owned()).collect();
    listed.sort_unstable();
    assert_eq!(listed, model.keys().cloned().collect::<Vec<_>>());
    for (key, value) in &model {
        let raw = operator.raw(key).await.unwrap();
        assert_eq!(&raw[15..], value, "as it lies in the server, behind its head");
        let found = store.get(&Key::parse(key).unwrap()).await.unwrap();
        assert!(matches!(found, Some(Value::Bytes(bytes)) if bytes == value[..]));
    }
    store.clear(&namespace).await.unwrap();
}
