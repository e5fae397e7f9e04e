//! The one place that knows which cache library does the work.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use foldhash::quality::RandomState;
use larder_core::{EvictionCause, Key, StoreEvents};
use moka::{notification::RemovalCause, policy::EvictionPolicy, sync::Cache};

use crate::{
    config::{Bounds, Eviction},
    entry::Entry,
};

/// A bounded concurrent map that forgets what is used least. It knows nothing of time: expiry is its caller's, by the
/// store's own clock, and a timer per entry would cost every hit a sixth (measured: see `benches/README.md`).
pub(crate) struct Engine {
    cache: Cache<Key, Entry, RandomState>,
    events: Arc<OnceLock<Arc<dyn StoreEvents>>>,
}

impl Engine {
    pub(crate) fn new(bounds: &Bounds, eviction: Eviction) -> Self {
        let events = Arc::new(OnceLock::<Arc<dyn StoreEvents>>::new());
        let listener = Arc::clone(&events);
        let builder = Cache::builder()
            .max_capacity(bounds.capacity())
            .eviction_policy(match eviction {
                Eviction::Lru => EvictionPolicy::lru(),
                Eviction::TinyLfu => EvictionPolicy::tiny_lfu(),
            })
            .eviction_listener(move |_key, _entry, cause| {
                if let (RemovalCause::Size, Some(events)) = (cause, listener.get()) {
                    events.evicted(EvictionCause::Capacity);
                }
            });
        let builder =
            if bounds.weighs() { builder.weigher(|_key, entry: &Entry| entry.weight) } else { builder };
        Self { cache: builder.build_with_hasher(RandomState::default()), events }
    }

    /// Counts as a use of the entry.
    #[inline]
    pub(crate) fn get(&self, key: &Key) -> Option<Entry> {
        self.cache.get(key)
    }

    pub(crate) fn insert(&self, key: Key, entry: Entry) {
        self.cache.insert(key, entry);
    }

    pub(crate) fn remove(&self, key: &Key) -> Option<Entry> {
        self.cache.remove(key)
    }

    /// Every entry that is there from the call to the end; of those that come or go meanwhile, some.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Arc<Key>, Entry)> {
        self.cache.iter()
    }

    /// How many entries there were at the last upkeep, expired ones too.
    pub(crate) fn count(&self) -> u64 {
        self.cache.entry_count()
    }

    /// Tells the listener that an expired entry was taken out.
    pub(crate) fn report_expired(&self) {
        if let Some(events) = self.events.get() {
            events.evicted(EvictionCause::Expired);
        }
    }

    /// Brings the bounds and the order of use up to date.
    pub(crate) fn maintain(&self) {
        self.cache.run_pending_tasks();
    }

    pub(crate) fn subscribe(&self, events: Arc<dyn StoreEvents>) {
        // The contract is one call; a second listener has no place.
        drop(self.events.set(events));
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("count", &self.count()).finish_non_exhaustive()
    }
}
