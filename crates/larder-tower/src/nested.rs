//! Layers within layers.

use http::Extensions;
use larder_core::Key;

use crate::{RequestHead, layer::Shared, request::Lookup};

/// Marks a request whose response fills entries: one for each layer that it has passed. A layer further in that found one of
/// them would wait for the layer further out, which waits for it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filling(Vec<Key>);

impl Filling {
    /// From here on the request fills this entry too.
    pub(crate) fn begin(extensions: &mut Extensions, shared: &Shared, lookup: &Lookup) {
        if let Ok(key) = shared.cache.key(lookup.key.as_str()) {
            extensions.get_or_insert_default::<Self>().0.push(key);
        }
    }

    /// Whether a layer further out is filling this very entry.
    pub(crate) fn is_of(head: &RequestHead, shared: &Shared, lookup: &Lookup) -> bool {
        let Some(filling) = head.extensions.get::<Self>() else { return false };
        shared.cache.key(lookup.key.as_str()).is_ok_and(|key| filling.0.contains(&key))
    }
}
