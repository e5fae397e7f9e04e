//! Events, and who is told of them.

use std::{fmt, time::Duration};

use crate::{CircuitState, Error, EvictionCause, Kept, Key, Namespace, StaleWhy};

/// Something a cache did. Keys are given to observers, who must not put them into metrics; what they write to logs is
/// theirs to redact.
///
/// ```
/// use larder_core::Event;
///
/// fn is_trouble(event: &Event<'_>) -> bool {
///     matches!(event, Event::StoreError { .. } | Event::LoadFailed { .. } | Event::Undecodable { .. })
/// }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A value was found, which had cost `saved` to load.
    #[non_exhaustive]
    Hit {
        /// Its key.
        key: &'a Key,
        /// How long its load took; zero where it was set.
        saved: Duration,
    },
    /// Nothing was found.
    #[non_exhaustive]
    Miss {
        /// The key asked for.
        key: &'a Key,
    },
    /// A caller joined a load that was running already.
    #[non_exhaustive]
    Joined {
        /// The key being loaded.
        key: &'a Key,
    },
    /// A load ended well.
    #[non_exhaustive]
    Loaded {
        /// Its key.
        key: &'a Key,
        /// How long the loader took.
        took: Duration,
        /// Whether the store has the value.
        kept: Kept,
    },
    /// A loader failed, panicked or ran out of time.
    #[non_exhaustive]
    LoadFailed {
        /// Its key.
        key: &'a Key,
        /// How long the loader ran.
        took: Duration,
        /// What its callers were told.
        error: &'a Error,
    },
    /// The store failed, also where the cache went on without it.
    #[non_exhaustive]
    StoreError {
        /// The operation: `get`, `set`, ..
        operation: &'static str,
        /// Its error.
        error: &'a Error,
    },
    /// What the store returned does not decode as the type asked for: a miss.
    #[non_exhaustive]
    Undecodable {
        /// Its key.
        key: &'a Key,
        /// Why.
        error: &'a Error,
    },
    /// A stale value was served.
    #[non_exhaustive]
    Stale {
        /// Its key.
        key: &'a Key,
        /// For how long it had been stale.
        since: Duration,
        /// Why it was served all the same.
        why: StaleWhy,
    },
    /// A write or an invalidation of a key failed: this process does not serve it from the store until a delete of it
    /// succeeds, which is tried again in the background.
    #[non_exhaustive]
    KeyInDoubt {
        /// The key.
        key: &'a Key,
    },
    /// A `clear` failed, or more keys of a namespace are in doubt than can be told apart: this process serves nothing in it
    /// from the store until it has been cleared.
    #[non_exhaustive]
    NamespaceInDoubt {
        /// The namespace.
        namespace: &'a Namespace,
    },
    /// Nothing is in doubt any more: everything is served from the store again.
    #[non_exhaustive]
    DoubtsSettled {},
    /// The store let an entry go by itself.
    #[non_exhaustive]
    Evicted {
        /// Why.
        cause: EvictionCause,
    },
    /// The circuit to a server of the store opened, half opened or closed.
    #[non_exhaustive]
    CircuitChanged {
        /// The server, as the store names it.
        server: &'a str,
        /// What it is from now on.
        state: CircuitState,
    },
}

/// Is told what a cache does. Called on the paths of the cache, hits included: be quick, do not block, do not call the
/// cache.
///
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering};
/// use larder_core::{Event, Observer};
///
/// #[derive(Debug, Default)]
/// struct SlowLoads(AtomicU64);
///
/// impl Observer for SlowLoads {
///     fn event(&self, event: &Event<'_>) {
///         if let Event::Loaded { took, .. } = event && took.as_secs() >= 1 {
///             self.0.fetch_add(1, Ordering::Relaxed);
///         }
///     }
/// }
/// ```
pub trait Observer: fmt::Debug + Send + Sync + 'static {
    /// Something happened.
    ///
    /// ```
    /// # use larder_core::{Event, Observer};
    /// #[derive(Debug)]
    /// struct Print;
    /// impl Observer for Print {
    ///     fn event(&self, event: &Event<'_>) {
    ///         println!("{event:?}");
    ///     }
    /// }
    /// ```
    fn event(&self, event: &Event<'_>);
}
