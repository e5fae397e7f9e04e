use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use larder::{
    CacheStore, Capabilities, Error, ErrorKind, Expiry, Key, Registry, Result, StoreFactory, StoreHandle,
    StoreUrl, Value, async_trait,
};

use crate::{refusal_by, with_common};

/// A store that has nothing, as a third party would bring one.
#[derive(Debug)]
struct EtcdStore;

#[async_trait]
impl CacheStore for EtcdStore {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new().with_retains(false)
    }
    async fn get(&self, _key: &Key) -> Result<Option<Value>> {
        Ok(None)
    }
    async fn set(&self, _key: &Key, _value: Value, _expiry: Expiry) -> Result<()> {
        Ok(())
    }
    async fn delete(&self, _key: &Key) -> Result<bool> {
        Ok(false)
    }
}

#[derive(Clone, Debug, Default)]
struct Etcd {
    opened: Arc<AtomicUsize>,
}

#[async_trait]
impl StoreFactory for Etcd {
    fn settings(&self) -> &[&str] {
        &["tls"]
    }
    async fn open(&self, url: &StoreUrl) -> Result<StoreHandle> {
        self.opened.fetch_add(1, Ordering::Relaxed);
        if url.hosts().is_empty() {
            return Err(Error::new(ErrorKind::Unavailable, "no host to connect to"));
        }
        url.flag("tls")?;
        Ok(StoreHandle::new(EtcdStore))
    }
}

/// A factory with another set of settings.
#[derive(Debug)]
struct With(&'static [&'static str]);

#[async_trait]
impl StoreFactory for With {
    fn settings(&self) -> &[&str] {
        self.0
    }
    async fn open(&self, _url: &StoreUrl) -> Result<StoreHandle> {
        Ok(StoreHandle::new(EtcdStore))
    }
}

#[tokio::test]
async fn a_store_of_others_is_opened_by_its_scheme() {
    let mut registry = Registry::with_defaults();
    let etcd = Etcd::default();
    registry.register("etcd", etcd.clone()).unwrap();
    let cache = registry.connect("ETCD://me:secret@a:1,b/?tls=true&timeout=5m&namespace=shop").await.unwrap();
    assert_eq!(cache.path().as_str(), "1/shop/");
    cache.set("k", 1).await.unwrap();
    assert_eq!(etcd.opened.load(Ordering::Relaxed), 1);
    assert!(registry.schemes().any(|scheme| scheme == "etcd"));

    let error = registry.connect("etcd://").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "the factory's own error comes through");
}

#[tokio::test]
async fn names_are_checked_before_the_store_opens() {
    let mut registry = Registry::new();
    let etcd = Etcd::default();
    registry.register("etcd", etcd.clone()).unwrap();
    assert_eq!(
        refusal_by(&registry, "etcd://a?tsl=true&port=1").await,
        format!("`etcd://` has no setting `tsl`; its settings: {}", with_common(&["tls"]))
    );
    assert_eq!(etcd.opened.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_registry_is_a_value() {
    let mut mine = Registry::new();
    mine.register("etcd", Etcd::default()).unwrap();
    let copy = mine.clone();
    mine.register("other", Etcd::default()).unwrap();
    assert_eq!(copy.schemes().collect::<Vec<_>>(), ["etcd"]);
    assert_eq!(
        refusal_by(&copy, "other://").await,
        "no store is registered for `other://`; schemes known here: etcd"
    );
    assert!(larder::connect("etcd://a").await.is_err(), "no other registry knows of it");
    assert_eq!(
        refusal_by(&Registry::new(), "etcd://").await,
        "no store is registered for `etcd://`; schemes known here: none"
    );
}

#[cfg(feature = "simple")]
#[tokio::test]
async fn an_empty_registry_does_not_know_even_memory() {
    assert_eq!(
        refusal_by(&Registry::new(), "memory://").await,
        "no store is registered for `memory://`; schemes known here: none"
    );
}

#[test]
fn what_cannot_be_registered_is_refused() {
    let mut registry = Registry::new();
    registry.register("etcd", With(&[])).unwrap();
    registry.register("redis", With(&["tls"])).unwrap();
    let mut refusal = |scheme, settings| {
        let error = registry.register(scheme, With(settings)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        error.to_string()
    };
    assert_eq!(refusal("ETCD", &[]), "`etcd://` is registered already");
    assert_eq!(refusal("et cd", &[]), "`et cd` cannot be the scheme of a URL");
    assert_eq!(refusal("", &[]), "`` cannot be the scheme of a URL");
    assert_eq!(
        refusal("x", &["timeout"]),
        "the factory of `x://` claims `timeout`, a setting of every cache"
    );
    for beside in ["url", "share_store", "circuit_breaker_window", "batching"] {
        // Never mind how long the list of one lives.
        let settings: &'static [&'static str] = Box::leak(Box::new([beside]));
        assert_eq!(
            refusal("x", settings),
            format!("the factory of `x://` claims `{beside}`, a setting of every cache")
        );
    }
    assert_eq!(refusal("x", &["Tls"]), "the factory of `x://` has a setting `Tls`, which no URL can give");
}

#[tokio::test]
async fn a_circuit_breaker_is_put_around_the_store_of_others() {
    let mut registry = Registry::new();
    registry.register("etcd", Etcd::default()).unwrap();
    for (settings, circuits) in [
        ("", 0),
        ("?circuit_breaker=true", 1),
        ("?circuit_breaker_minimum_calls=5", 1),
        ("?circuit_breaker=false", 0),
        ("?batching=true", 0),
    ] {
        let cache = registry.connect(&format!("etcd://a{settings}")).await.unwrap();
        assert_eq!(cache.health().await.unwrap().circuits.len(), circuits, "{settings}");
    }
}
