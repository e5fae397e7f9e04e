//! Entries of another run of the server, under `on_rollback = distrust`.

use larder_core::{CacheStore, Expiry, Value};
use larder_redis::{OnRollback, RedisStore};

use super::{ALONE, FAR, Operator, bytes, patient, support, text};

fn distrustful() -> RedisStore {
    patient(support::builder(ALONE)).on_rollback(OnRollback::Distrust).build().unwrap()
}

/// What a restored snapshot brings back: an entry that was written under another run.
async fn bring_back(operator: &Operator, key: &str, kind: u8, payload: &[u8]) {
    let mut entry = b"\xFE\x02old run.twelve bytes".to_vec();
    entry.push(kind);
    entry.extend_from_slice(payload);
    operator.says([b"SET", key.as_bytes(), &entry]).await;
}

#[tokio::test]
async fn entries_of_another_run_are_absent_for_every_operation() {
    let (store, operator) = (distrustful(), Operator::new().await);
    let namespace = super::namespace("rollback");
    let key = larder_core::Key::new(&namespace, "key").unwrap();
    let back = || bring_back(&operator, key.as_str(), b'b', b"old");
    back().await;
    assert!(store.get(&key).await.unwrap().is_none());
    assert!(store.get_versioned(&key).await.unwrap().is_none());
    assert!(store.get_many(std::slice::from_ref(&key)).await.remove(0).unwrap().is_none());
    assert!(!store.has(&key).await.unwrap());
    assert!(!store.touch(&key, FAR).await.unwrap());
    assert!(!store.touch(&key, Expiry::Never).await.unwrap());
    assert!(store.expiry(&key).await.unwrap().is_none());
    assert!(store.keys(&namespace).await.unwrap().is_empty());
    assert!(store.add(&key, bytes("new"), FAR).await.unwrap().is_some());
    assert_eq!(text(&store, &key).await.as_deref(), Some("new"));
    assert!(store.has(&key).await.unwrap() && store.touch(&key, FAR).await.unwrap());
    assert_eq!(store.keys(&namespace).await.unwrap(), std::slice::from_ref(&key));
    bring_back(&operator, key.as_str(), b'i', b"40").await;
    assert_eq!(store.increment(&key, 2, FAR).await.unwrap(), 2);
    assert!(matches!(store.get(&key).await.unwrap(), Some(Value::Int(2))));
}

#[tokio::test]
async fn a_version_of_another_run_loses_even_if_its_entry_is_back() {
    let (trusting, store, operator) = (super::store(), distrustful(), Operator::new().await);
    let key = super::key("version");
    bring_back(&operator, key.as_str(), b'b', b"old").await;
    let (_, version) = trusting.get_versioned(&key).await.unwrap().expect("a trusting store believes it");
    assert!(store.replace(&key, &version, bytes("new"), FAR).await.unwrap().is_none());
    assert!(trusting.replace(&key, &version, bytes("new"), FAR).await.unwrap().is_some());
    assert!(store.get(&key).await.unwrap().is_none(), "what a trusting store writes bears no mark");
}

#[tokio::test]
async fn processes_of_one_run_share_their_entries() {
    let (one, two, trusting) = (distrustful(), distrustful(), super::store());
    let key = super::key("shared");
    one.set(&key, bytes("value"), FAR).await.unwrap();
    for other in [&two, &trusting] {
        assert_eq!(text(other, &key).await.as_deref(), Some("value"));
    }
    assert!(two.add(&key, bytes("late"), FAR).await.unwrap().is_none());
    let (_, version) = two.get_versioned(&key).await.unwrap().unwrap();
    assert!(one.replace(&key, &version, bytes("new"), FAR).await.unwrap().is_some());
}
