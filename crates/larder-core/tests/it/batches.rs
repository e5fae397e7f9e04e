//! Many keys in one call.

use larder_core::{ErrorKind, Expiry, Key, Namespace, Timeout};

use crate::support::{Act, Rig, Scripted};

fn foreign() -> Key {
    Key::new(&Namespace::root(), "foreign").unwrap()
}

#[tokio::test]
async fn get_many_keeps_order_and_duplicates_and_answers_invalid_keys_one_by_one() {
    let rig = Rig::new();
    let shop = rig.cache.namespace("shop").unwrap();
    shop.set("a", "1".to_owned()).await.unwrap();
    shop.set("b", "2".to_owned()).await.unwrap();
    let found = shop.get_many::<String>(["b", "nothing", "a", "b"]).await;
    let texts: Vec<_> =
        found.into_iter().map(|value| value.unwrap().map(|value| value.to_string())).collect();
    assert_eq!(texts, [Some("2".into()), None, Some("1".into()), Some("2".into())]);
    assert_eq!(rig.store.calls("get_many"), 1);
    assert_eq!((shop.stats().hits, shop.stats().misses), (3, 1));

    let mixed = shop.get_many::<String>([foreign(), shop.key("a").unwrap(), foreign()]).await;
    assert_eq!(mixed[0].as_ref().unwrap_err().kind(), ErrorKind::InvalidKey);
    assert_eq!(mixed[1].as_ref().unwrap().as_ref().unwrap().as_str(), "1");
    assert_eq!(mixed[2].as_ref().unwrap_err().kind(), ErrorKind::InvalidKey);
    assert!(shop.get_many::<String>(Vec::<Key>::new()).await.is_empty());
}

#[tokio::test]
async fn get_map_holds_what_was_found() {
    let rig = Rig::new();
    rig.cache.set("a", 1_u8).await.unwrap();
    let map = rig.cache.get_map::<u8>(["a", "b", "a"]).await.unwrap();
    assert_eq!(map.len(), 1);
    assert_eq!(*map["a"], 1);
    rig.store.always("get_many", Act::Fail(ErrorKind::Unavailable));
    assert_eq!(rig.cache.get_map::<u8>(["a"]).await.unwrap_err().kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn set_many_and_delete_many_answer_for_each_key() {
    let rig = Rig::with(Scripted::keeping_bytes(), |b| b);
    let shop = rig.cache.namespace("shop").unwrap();
    let (a, b) = (shop.key("a").unwrap(), shop.key("b").unwrap());
    let stored = shop
        .set_many_with(
            [(a.clone(), "1"), (foreign(), "x"), (b.clone(), "2")].map(|(k, v)| (k, v.to_owned())),
            Timeout::Never,
        )
        .await;
    assert!(stored[0].is_ok() && stored[2].is_ok());
    assert_eq!(stored[1].as_ref().unwrap_err().kind(), ErrorKind::InvalidKey);
    assert_eq!(shop.expiry(&b).await.unwrap(), Some(Expiry::Never));
    let twice = shop.set_many([("d", "first".to_owned()), ("d", "last".to_owned())]).await;
    assert!(twice.iter().all(Result::is_ok));
    assert_eq!(shop.get::<String>("d").await.unwrap().unwrap().as_str(), "last");

    let gone = shop.delete_many([a.clone(), foreign(), shop.key("nothing").unwrap(), b, a]).await;
    assert!(matches!(gone[..], [Ok(true), Err(_), Ok(false), Ok(true), Ok(false)]), "{gone:?}");
    assert!(shop.delete_many(Vec::<Key>::new()).await.is_empty());
    assert!(shop.set_many(Vec::<(Key, u8)>::new()).await.is_empty());
    rig.at_rest().await;
}

#[tokio::test]
async fn a_batch_that_fails_as_a_whole_fails_for_every_valid_key() {
    let rig = Rig::new();
    rig.store.always("set_many", Act::Fail(ErrorKind::Unavailable));
    rig.store.always("get_many", Act::Fail(ErrorKind::Unavailable));
    rig.store.always("delete_many", Act::Fail(ErrorKind::Unavailable));
    let stored = rig.cache.set_many([("a", 1_u8), ("b", 2)]).await;
    assert!(stored.iter().all(|one| one.as_ref().unwrap_err().kind() == ErrorKind::Unavailable));
    let read = rig.cache.get_many::<u8>(["c", "d"]).await;
    assert!(read.iter().all(|one| one.as_ref().unwrap_err().kind() == ErrorKind::Unavailable));
    let gone = rig.cache.delete_many(["a", "b"]).await;
    assert!(gone.iter().all(|one| one.as_ref().unwrap_err().kind() == ErrorKind::Unavailable));
    assert_eq!(rig.cache.stats().store_errors, 6);
    rig.at_rest().await;
}

/// A store whose batches lose results.
#[derive(Debug, Default)]
struct Short(crate::doc::MapStore);

#[larder_core::async_trait]
impl larder_core::CacheStore for Short {
    fn capabilities(&self) -> larder_core::Capabilities {
        larder_core::Capabilities::new()
    }
    async fn get(&self, key: &Key) -> larder_core::Result<Option<larder_core::Value>> {
        self.0.get(key).await
    }
    async fn set(&self, key: &Key, value: larder_core::Value, expiry: Expiry) -> larder_core::Result<()> {
        self.0.set(key, value, expiry).await
    }
    async fn delete(&self, key: &Key) -> larder_core::Result<bool> {
        self.0.delete(key).await
    }
    async fn get_many(&self, _keys: &[Key]) -> Vec<larder_core::Result<Option<larder_core::Value>>> {
        Vec::new()
    }
    async fn delete_many(&self, _keys: &[Key]) -> Vec<larder_core::Result<bool>> {
        vec![Ok(true); 7]
    }
}

#[tokio::test]
async fn a_store_with_too_few_or_too_many_results_is_an_error_not_a_panic() {
    let cache = larder_core::Cache::new(Short::default());
    let read = cache.get_many::<u8>(["a", "b"]).await;
    assert!(read.iter().all(|one| one.as_ref().unwrap_err().kind() == ErrorKind::Corrupt) && read.len() == 2);
    let gone = cache.delete_many(["a", "b"]).await;
    assert!(gone.iter().all(|one| one.as_ref().unwrap_err().kind() == ErrorKind::Corrupt) && gone.len() == 2);
    assert!(gone[0].as_ref().unwrap_err().to_string().contains("returned 7 results for 2 keys"));
}
