//! The observer for the `metrics` facade.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use ::metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit,
};
use larder_core::{Cache, ErrorKind, EvictionCause, MetricsObserver, Observer};

use crate::{
    guarded,
    support::{Act, Rig, Scripted, fine},
};

#[derive(Clone, Debug, Default)]
struct Kept(Arc<Mutex<BTreeMap<String, f64>>>);

struct One(Kept, String);

impl One {
    fn add(&self, amount: f64) {
        *self.0.0.lock().unwrap().entry(self.1.clone()).or_default() += amount;
    }
}

impl CounterFn for One {
    #[expect(clippy::cast_precision_loss, reason = "the test counts to ten")]
    fn increment(&self, value: u64) {
        self.add(value as f64);
    }
    fn absolute(&self, _value: u64) {
        panic!("counters are only ever added to");
    }
}

impl HistogramFn for One {
    fn record(&self, value: f64) {
        assert!(value >= 0.0);
        self.add(1.0);
    }
}

impl GaugeFn for One {
    fn increment(&self, _: f64) {
        panic!("gauges are only ever set");
    }
    fn decrement(&self, _: f64) {
        panic!("gauges are only ever set");
    }
    fn set(&self, value: f64) {
        self.0.0.lock().unwrap().insert(self.1.clone(), value);
    }
}

impl Recorder for Kept {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(Arc::new(One(self.clone(), key.to_string())))
    }
    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(Arc::new(One(self.clone(), key.to_string())))
    }
    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(Arc::new(One(self.clone(), key.to_string())))
    }
}

#[tokio::test]
async fn everything_is_counted_under_the_caches_name_and_no_key_appears() {
    let kept = Kept::default();
    let observer = ::metrics::with_local_recorder(&kept, || Arc::new(MetricsObserver::new("pages")));
    let rig = Rig::with(Scripted::default(), |b| b.observer(observer));
    let cache = &rig.cache;
    cache.get_or_load("secret", || async { fine("x".to_owned()) }).await.unwrap();
    cache.get::<String>("secret").await.unwrap();
    cache.get::<Vec<u8>>("secret").await.unwrap();
    assert!(cache.get_or_load("secret2", || async { Err::<u8, _>("no") }).await.is_err());
    rig.store.once("get", Act::Fail(ErrorKind::Unavailable));
    assert!(cache.get::<u8>("secret").await.is_err());
    rig.store.once("set", Act::Fail(ErrorKind::Timeout));
    assert!(cache.set("secret", 1_u8).await.is_err());
    let store = rig.store.events.lock().unwrap().clone().unwrap();
    store.evicted(EvictionCause::Capacity);
    store.evicted(EvictionCause::Expired);
    let counted = kept.0.lock().unwrap().clone();
    let of = |name: &str| {
        counted
            .iter()
            .filter(|(key, _)| key.contains(&format!("({name},")))
            .map(|(_, value)| *value)
            .sum::<f64>()
    };
    for (name, value) in [
        ("larder_hits_total", 1.0),
        ("larder_misses_total", 3.0),
        ("larder_loads_total", 1.0),
        ("larder_load_errors_total", 1.0),
        ("larder_store_errors_total", 2.0),
        ("larder_doubts_total", 1.0),
        ("larder_undecodable_total", 1.0),
        ("larder_evictions_total", 1.0),
        ("larder_expirations_total", 1.0),
        ("larder_load_seconds", 1.0),
        ("larder_joined_total", 0.0),
    ] {
        assert!((of(name) - value).abs() < f64::EPSILON, "{name}: {counted:?}");
    }
    assert!(
        counted.keys().all(|key| key.contains("cache = pages") && !key.contains("secret")),
        "{counted:?}"
    );
}

#[tokio::test]
async fn changes_of_circuits_are_counted_and_those_not_closed_are_shown() {
    let kept = Kept::default();
    let observer: Arc<dyn Observer> =
        ::metrics::with_local_recorder(&kept, || Arc::new(MetricsObserver::new("pages")));
    let rig = guarded::Rig::new(2);
    let watching = Cache::builder(rig.handle.clone()).observer(Arc::clone(&observer)).build().unwrap();
    let seen = |name: &str| {
        let kept = kept.0.lock().unwrap();
        let found: Vec<_> = kept.iter().filter(|(key, _)| key.contains(name)).collect();
        assert!(found.iter().all(|(key, _)| key.contains("cache = pages")), "{found:?}");
        found.iter().map(|(_, value)| **value).collect::<Vec<_>>()
    };
    rig.open(0).await;
    rig.open(1).await;
    assert_eq!((seen("larder_open_circuits"), seen("state = open")), (vec![2.0], vec![2.0]));
    rig.recover(0).await;
    assert_eq!((seen("larder_open_circuits"), seen("state = closed")), (vec![1.0], vec![1.0]));
    assert_eq!(seen("state = half_open"), [1.0]);
    drop(watching);
}
