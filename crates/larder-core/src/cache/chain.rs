//! The loads that the running code is part of: a task-local list.

use std::{future::Future, sync::Arc};

use crate::{Key, flight::FlightTable};

tokio::task_local! {
    static LOADING: Arc<Link>;
}

/// A load, of one key or of a batch, and the load it was started by.
struct Link {
    table: Arc<FlightTable>,
    keys: Vec<Key>,
    outer: Option<Arc<Link>>,
}

/// Where in such a list some code runs; made in the caller, so that a load in its own task knows its outer loads.
#[derive(Clone)]
pub(super) struct Chain(Option<Arc<Link>>);

impl Chain {
    pub(super) fn current() -> Self {
        Self(LOADING.try_with(Arc::clone).ok())
    }

    pub(super) fn is_nested(&self) -> bool {
        self.0.is_some()
    }

    /// Whether the running code is part of a load of this key, so that waiting for it would never end.
    pub(super) fn is_loading(&self, table: &Arc<FlightTable>, key: &Key) -> bool {
        let mut next = self.0.as_ref();
        while let Some(link) = next {
            if link.keys.contains(key) && Arc::ptr_eq(&link.table, table) {
                return true;
            }
            next = link.outer.as_ref();
        }
        false
    }

    /// Runs a load of `keys` as part of this chain.
    pub(super) fn scope<F: Future>(
        self,
        table: &Arc<FlightTable>,
        keys: Vec<Key>,
        load: F,
    ) -> impl Future<Output = F::Output> + use<F> {
        LOADING.scope(Arc::new(Link { table: Arc::clone(table), keys, outer: self.0 }), load)
    }
}
