//! The warning comes once, and only where it is wanted.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use larder_core::{CacheStore, Expiry, Key, Namespace, Timestamp, Value};
use larder_null::NullStore;
use tracing::{Event, Level, Metadata, Subscriber, span};

/// Counts warnings of Larder.
#[derive(Clone, Default)]
struct Warnings(Arc<AtomicUsize>);

impl Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "larder" && *metadata.level() == Level::WARN
    }
    fn new_span(&self, _span: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _span: &span::Id, _values: &span::Record<'_>) {}
    fn record_follows_from(&self, _span: &span::Id, _follows: &span::Id) {}
    fn event(&self, _event: &Event<'_>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
    fn enter(&self, _span: &span::Id) {}
    fn exit(&self, _span: &span::Id) {}
}

/// How many warnings using the store gives.
async fn warnings_of(store: NullStore) -> usize {
    let warnings = Warnings::default();
    let _guard = tracing::subscriber::set_default(warnings.clone());
    let key = Key::new(&Namespace::root(), "key").unwrap();
    for _ in 0..3 {
        store.set(&key, Value::Int(1), Expiry::Never).await.unwrap();
        assert!(store.get(&key).await.unwrap().is_none());
        assert!(store.peek(&key, Timestamp::MAX).unwrap().is_none());
    }
    warnings.0.load(Ordering::Relaxed)
}

#[tokio::test]
async fn a_store_warns_once_when_it_is_used() {
    assert_eq!(warnings_of(NullStore::new()).await, 1);
    assert_eq!(warnings_of(NullStore::default()).await, 1, "each store once");
}

#[tokio::test]
async fn a_silent_store_does_not() {
    assert_eq!(warnings_of(NullStore::silent()).await, 0);
}
