//! `file://`

use larder_core::{Error, ErrorKind, Result, StoreHandle, async_trait};
use larder_filesystem::{Durability, FileSystemStore};

use crate::{
    StoreFactory, StoreUrl,
    settings::{FILE, names},
};

#[derive(Debug)]
pub(super) struct File;

#[async_trait]
impl StoreFactory for File {
    fn settings(&self) -> &[&str] {
        const { &names(&FILE) }
    }

    async fn open(&self, url: &StoreUrl) -> Result<StoreHandle> {
        let mut store = FileSystemStore::builder(directory(url)?);
        if let Some(entries) = url.number("max_entries")? {
            store = store.max_entries(entries);
        }
        if let Some(bytes) = url.bytes("max_bytes")? {
            store = store.max_bytes(bytes);
        }
        if let Some(durability) =
            url.choice("durability", &[("none", Durability::None), ("data", Durability::Data)])?
        {
            store = store.durability(durability);
        }
        if let Some(period) = url.duration("sweep_every")? {
            store = store.sweep_every(period);
        }
        // The cache's own, which is the store's too: a longer one would be cut short by the store's default.
        if let Some(limit) = url.duration("operation_timeout")? {
            store = store.operation_timeout(limit);
        }
        Ok(StoreHandle::new(store.open().await?))
    }
}

/// The directory that the URL names, which is absolute.
fn directory(url: &StoreUrl) -> Result<&str> {
    const LOOK: &str = "write its absolute path behind three slashes, as in `file:///var/cache/app`";
    url.expect_no_user()?;
    let is_here = match url.hosts() {
        [] => true,
        [(host, None)] => host == "localhost",
        _ => false,
    };
    if !is_here {
        return Err(Error::new(
            ErrorKind::Config,
            format!(
                "a `file://` URL names a directory on this machine, and what stands behind its two slashes is taken for a host: {LOOK}"
            ),
        ));
    }
    if url.path().trim_end_matches('/').is_empty() {
        return Err(Error::new(ErrorKind::Config, format!("`file://` names no directory: {LOOK}")));
    }
    if url.path().contains(char::is_control) {
        return Err(Error::new(
            ErrorKind::Config,
            format!("the path in a `file://` URL has a control character (`%00` to `%1f`, `%7f`): {LOOK}"),
        ));
    }
    Ok(url.path())
}
