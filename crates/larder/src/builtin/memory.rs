//! `memory://`

use larder_core::{Result, StoreHandle, async_trait};
use larder_simple::{Eviction, SimpleStore};

use crate::{
    StoreFactory, StoreUrl,
    settings::{MEMORY, names},
};

#[derive(Debug)]
pub(super) struct Memory;

#[async_trait]
impl StoreFactory for Memory {
    fn settings(&self) -> &[&str] {
        const { &names(&MEMORY) }
    }

    async fn open(&self, url: &StoreUrl) -> Result<StoreHandle> {
        url.expect_no_address()?;
        let mut store = SimpleStore::builder();
        if let Some(entries) = url.number("max_entries")? {
            store = store.max_entries(entries);
        }
        if let Some(bytes) = url.bytes("max_bytes")? {
            store = store.max_bytes(bytes);
        }
        if let Some(eviction) =
            url.choice("eviction", &[("lru", Eviction::Lru), ("tiny_lfu", Eviction::TinyLfu)])?
        {
            store = store.eviction(eviction);
        }
        Ok(StoreHandle::new(store.build()?))
    }
}
