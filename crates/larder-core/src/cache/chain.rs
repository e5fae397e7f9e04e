//! The loads that the running code is part of, and what they depend on: a task-local list.

use std::{future::Future, sync::Arc};

use super::inner::Inner;
use crate::{
    EntryMeta, Key, Timestamp,
    entry::{Stamp, StampOf},
    envelope::MAX_STAMPS,
    flight::FlightTable,
    sync::{Mutex, Ordering},
};

tokio::task_local! {
    static LOADING: Arc<Link>;
}

/// What is loaded. Most loads are of one key, and need no list of them.
pub(super) enum Keys {
    One(Key),
    Many(Vec<Key>),
}

/// A load, of one key or of a batch, and the load it was started by.
pub(super) struct Link {
    table: Arc<FlightTable>,
    keys: Keys,
    outer: Option<Arc<Link>>,
    depends: Mutex<Depends>,
}

/// What the values that a loader read came with.
#[derive(Clone, Debug)]
pub(super) struct Depends {
    pub(super) stamps: Vec<Stamp>,
    /// The first of them to end.
    pub(super) until: Timestamp,
    /// One of them has stamps that nobody knows.
    pub(super) spoilt: bool,
}

/// Where in such a list some code runs; made in the caller, so that a load in its own task knows its outer loads.
#[derive(Clone)]
pub(super) struct Chain(Option<Arc<Link>>);

impl Chain {
    pub(super) fn current() -> Self {
        Self(LOADING.try_with(Arc::clone).ok())
    }

    /// Outside of any load.
    pub(super) const fn outside() -> Self {
        Self(None)
    }

    pub(super) fn is_nested(&self) -> bool {
        self.0.is_some()
    }

    /// Whether the running code is part of a load of this key, so that waiting for it would never end.
    pub(super) fn is_loading(&self, table: &Arc<FlightTable>, key: &Key) -> bool {
        let mut next = self.0.as_ref();
        while let Some(link) = next {
            if link.keys().contains(key) && Arc::ptr_eq(&link.table, table) {
                return true;
            }
            next = link.outer.as_ref();
        }
        false
    }

    /// The load of `keys`, as part of this chain.
    pub(super) fn link(self, table: &Arc<FlightTable>, keys: Keys) -> Arc<Link> {
        let depends = Depends { stamps: Vec::new(), until: Timestamp::MAX, spoilt: false };
        Arc::new(Link { table: Arc::clone(table), keys, outer: self.0, depends: Mutex::new(depends) })
    }

    /// Runs `future` in this place of the chain.
    pub(super) async fn carry<F: Future>(self, future: F) -> F::Output {
        match self.0 {
            Some(link) => LOADING.scope(link, future).await,
            None => future.await,
        }
    }

    /// The load that runs here has read an entry of the same store: what invalidates that invalidates its result.
    pub(super) fn note(&self, inner: &Inner, key: &Key, meta: &EntryMeta) {
        let Some(link) = self.0.as_ref().filter(|link| Arc::ptr_eq(&link.table, &inner.handle.flights))
        else {
            return;
        };
        let mut depends = link.depends();
        depends.until = depends.until.min(meta.stale_at());
        for stamp in meta.stamps() {
            // By where it is kept: the outer entry has another path, and may have another cache's tags.
            let of = match &stamp.of {
                StampOf::Elsewhere(_) => stamp.of.clone(),
                of => StampOf::Elsewhere(inner.stamp_key(key, of).as_str().into()),
            };
            let stamp = Stamp { of, mark: stamp.mark };
            if depends.stamps.contains(&stamp) {
                continue;
            }
            if depends.stamps.len() < MAX_STAMPS {
                depends.stamps.push(stamp);
            } else {
                depends.spoilt = true;
            }
        }
    }

    /// The load that runs here has read what nobody can invalidate: its result is not to be kept.
    pub(super) fn spoil(&self, table: &Arc<FlightTable>) {
        if let Some(link) = self.0.as_ref().filter(|link| Arc::ptr_eq(&link.table, table)) {
            link.depends().spoilt = true;
        }
    }
}

impl Link {
    /// Runs the load.
    pub(super) async fn scope<F: Future>(self: &Arc<Self>, load: F) -> F::Output {
        let _running = Running::new(&self.table);
        LOADING.scope(Arc::clone(self), load).await
    }

    pub(super) fn keys(&self) -> &[Key] {
        match &self.keys {
            Keys::One(key) => std::slice::from_ref(key),
            Keys::Many(keys) => keys,
        }
    }

    /// What the load has read so far.
    pub(super) fn depends_on(&self) -> Depends {
        self.depends().clone()
    }

    fn depends(&self) -> crate::sync::MutexGuard<'_, Depends> {
        self.depends.lock().expect("no code panics while it holds these")
    }
}

impl Inner {
    /// Makes what is being loaded around this read depend on what was read.
    pub(super) fn note(&self, key: &Key, meta: Option<&EntryMeta>) {
        if self.handle.flights.loading.load(Ordering::Relaxed) > 0
            && let Some(meta) = meta
        {
            Chain::current().note(self, key, meta);
        }
    }

    /// The same for what a load gave. Where that has not all of its stamps, the load around it cannot be kept.
    pub(super) fn note_loaded(&self, key: &Key, meta: Option<&EntryMeta>, untied: bool) {
        self.note(key, meta);
        if untied {
            Chain::current().spoil(&self.handle.flights);
        }
    }
}

/// Counts a running loader.
struct Running<'a>(&'a FlightTable);

impl<'a> Running<'a> {
    fn new(table: &'a FlightTable) -> Self {
        table.loading.fetch_add(1, Ordering::Relaxed);
        Self(table)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.loading.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Makes `future` part of the load that the caller is part of, also in a task of its own: what is cached within it then passes
/// its tags and its timeout on to what is being loaded. Outside of any load it changes nothing.
///
/// What is made of a stale value is as stale as that: kept for as much of its own windows as would be left if it had become stale
/// at the same time, and without windows not at all.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
/// # fn main() { example(|cache| async move {
/// use larder_core::{EntryOptions, Error, within_load};
///
/// cache.set_with("price", 42_u32, EntryOptions::new().tag("prices")).await?;
/// let prices = cache.clone();
/// let page = move || async move {
///     let price = tokio::spawn(within_load(async move { prices.get::<u32>("price").await })).await??;
///     Ok::<_, Box<dyn std::error::Error + Send + Sync>>(format!("only {}", price.unwrap()))
/// };
/// cache.get_or_load("page", page).await?;
/// cache.invalidate_tags(["prices"]).await?;
/// assert!(!cache.has("page").await?);
/// # Ok(()) }) }
/// ```
pub fn within_load<F: Future>(future: F) -> impl Future<Output = F::Output> + use<F> {
    Chain::current().carry(future)
}
