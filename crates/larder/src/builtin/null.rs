//! `null://`

use larder_core::{Result, StoreHandle, async_trait};
use larder_null::NullStore;

use crate::{
    StoreFactory, StoreUrl,
    settings::{NULL, names},
};

#[derive(Debug)]
pub(super) struct Null;

#[async_trait]
impl StoreFactory for Null {
    fn settings(&self) -> &[&str] {
        const { &names(&NULL) }
    }

    async fn open(&self, url: &StoreUrl) -> Result<StoreHandle> {
        url.expect_no_address()?;
        let warns = url.flag("warn")?.unwrap_or(true);
        Ok(StoreHandle::new(if warns { NullStore::new() } else { NullStore::silent() }))
    }
}
