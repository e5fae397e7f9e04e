//! Layers within layers.

use larder_core::Key;

use crate::{RequestHead, layer::Shared, request::Lookup};

/// Marks a request whose response fills an entry. A layer further in that found the same key would wait for the layer
/// further out, which waits for it.
#[derive(Clone, Debug)]
pub(crate) struct Filling(Option<Key>);

impl Filling {
    pub(crate) fn of(shared: &Shared, lookup: &Lookup) -> Self {
        Self(shared.cache.key(lookup.key.as_str()).ok())
    }

    /// Whether a layer further out is filling this very entry.
    pub(crate) fn is_of(head: &RequestHead, shared: &Shared, lookup: &Lookup) -> bool {
        head.extensions
            .get::<Self>()
            .is_some_and(|filling| filling.0.is_some() && filling.0 == Self::of(shared, lookup).0)
    }
}
