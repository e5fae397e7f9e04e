use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use larder_core::{CacheStore, Clock, EntryMeta, Expiry, Object, SystemClock, Value};
use larder_simple::SimpleStore;
use serde::{Deserialize, Serialize, Serializer};

use crate::key;

fn meta() -> EntryMeta {
    EntryMeta::new(SystemClock::new().now(), Expiry::Never)
}

async fn stored(store: &SimpleStore, object: &Object) -> Object {
    store.set(&key("k"), Value::Object(object.clone()), Expiry::Never).await.unwrap();
    match store.get(&key("k")).await.unwrap() {
        Some(Value::Object(object)) => object,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_object_comes_back_as_the_same_pointer() {
    for store in [SimpleStore::new(), SimpleStore::builder().max_bytes(1 << 20).build().unwrap()] {
        let object = Object::new("text".to_owned(), meta());
        let back = stored(&store, &object).await;
        assert!(Arc::ptr_eq(&object.read::<String>().unwrap(), &back.read::<String>().unwrap()));
    }
}

static ENCODED: AtomicUsize = AtomicUsize::new(0);

#[derive(Deserialize)]
struct Counting(u8);

impl Serialize for Counting {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        ENCODED.fetch_add(1, Ordering::Relaxed);
        self.0.serialize(serializer)
    }
}

#[tokio::test]
async fn an_object_is_encoded_only_to_be_weighed() {
    let object = Object::new(Counting(1), meta());
    let plain = SimpleStore::new();
    assert_eq!(stored(&plain, &object).await.read::<Counting>().unwrap().0, 1);
    assert_eq!(ENCODED.load(Ordering::Relaxed), 0);
    let bounded = SimpleStore::builder().max_bytes(1 << 20).build().unwrap();
    stored(&bounded, &object).await;
    bounded.touch(&key("k"), Expiry::Never).await.unwrap();
    bounded.len().await.unwrap();
    assert_eq!(ENCODED.load(Ordering::Relaxed), 1, "once for each write");
}
