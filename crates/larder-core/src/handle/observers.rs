//! Who is told of what happens to a store rather than to one cache.

use std::sync::{Once, RwLock, Weak};

use crate::{
    CacheStore, Event, EvictionCause, Observer, StoreEvents,
    sync::{Arc, AtomicU64, Ordering},
};

/// The observers of every cache over a store, for as long as they live.
#[derive(Debug, Default)]
pub(crate) struct Observers(RwLock<Vec<Weak<dyn Observer>>>);

impl Observers {
    pub(crate) fn watch(&self, observer: &Arc<dyn Observer>) {
        let mut observers = self.0.write().expect("no code panics while it adds an observer");
        observers.retain(|known| known.strong_count() > 0);
        observers.push(Arc::downgrade(observer));
    }

    pub(crate) fn tell(&self, event: &Event<'_>) {
        // A panic of an observer while others read does not poison.
        let observers = self.0.read().expect("no code panics while it adds an observer");
        for observer in observers.iter().filter_map(Weak::upgrade) {
            observer.event(event);
        }
    }
}

/// Counts what the store lets go, and tells the observers of every cache over it.
#[derive(Debug)]
pub(crate) struct Evictions {
    pub(crate) capacity: AtomicU64,
    observers: Arc<Observers>,
    listening: Once,
}

impl Evictions {
    pub(super) fn new(observers: Arc<Observers>) -> Self {
        Self { capacity: AtomicU64::new(0), observers, listening: Once::new() }
    }

    pub(super) fn listen_to(self: &Arc<Self>, store: &dyn CacheStore) {
        self.listening.call_once(|| store.subscribe(Arc::clone(self) as Arc<dyn StoreEvents>));
    }
}

impl StoreEvents for Evictions {
    fn evicted(&self, cause: EvictionCause) {
        if cause == EvictionCause::Capacity {
            self.capacity.fetch_add(1, Ordering::Relaxed);
        }
        self.observers.tell(&Event::Evicted { cause });
    }
}
