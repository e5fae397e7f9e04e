//! Bytes that would be commands, if anything could become one.

use std::collections::HashMap;

use larder_core::{CacheStore, Value};
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};

use crate::{FAR, key, namespace, store, support::ALONE};

/// Pieces of the protocol, and any bytes.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    const PIECES: [&[u8]; 8] = [
        b"\r\n",
        b"\r\nflush_all\r\n",
        b"END\r\n",
        b"STORED\r\n",
        b"VALUE x 0 1\r\ny\r\nEND\r\n",
        b"\r\nset a 0 0 1\r\nb\r\n",
        b" noreply\r\ndelete a\r\n",
        b"\0 ",
    ];
    let piece = prop::sample::select(&PIECES[..]).prop_map(<[u8]>::to_vec);
    let parts = prop_oneof![piece, prop::collection::vec(any::<u8>(), 0..40)];
    prop::collection::vec(parts, 0..6).prop_map(|parts| parts.concat())
}

#[test]
fn no_key_and_no_value_becomes_a_command() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let entered = runtime.enter();
    let store = store(ALONE);
    drop(entered);
    let entries = prop::collection::vec((hostile(), hostile()), 1..8);
    let mut runner = TestRunner::new(Config { failure_persistence: None, cases: 100, ..Config::default() });
    let ran = runner.run(&entries, |entries| {
        runtime.block_on(async {
            let space = namespace("hostile");
            let witness = key(&space, "witness");
            store.set(&witness, Value::Int(7), FAR).await.unwrap();
            let mut model = HashMap::new();
            for (name, value) in &entries {
                let key = key(&space, &String::from_utf8_lossy(name));
                store.set(&key, Value::Bytes(value.clone().into()), FAR).await.unwrap();
                model.insert(key, value.clone());
            }
            let keys: Vec<_> = model.keys().cloned().collect();
            for (key, found) in keys.iter().zip(store.get_many(&keys).await) {
                let found = found.unwrap();
                prop_assert!(
                    matches!(&found, Some(Value::Bytes(bytes)) if *bytes == model[key]),
                    "{found:?}"
                );
                prop_assert!(store.delete(key).await.unwrap());
                prop_assert!(!store.has(key).await.unwrap());
            }
            prop_assert!(matches!(store.get(&witness).await.unwrap(), Some(Value::Int(7))));
            Ok(())
        })
    });
    ran.unwrap();
}
