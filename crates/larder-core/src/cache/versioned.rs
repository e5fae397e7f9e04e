//! Operations that read and write in one: `take` and `touch`.

use std::{sync::Arc, time::Duration};

use super::{Cache, inner::Inner, ops::Operation, write::settle};
use crate::{
    Cacheable, EntryMeta, Error, ErrorKind, Expiry, IntoKey, Key, Operations, Result, Timeout, Value,
    Version, flight::Fence, value::Opened,
};

/// How often to begin anew where another writer came between. Each round one of the writers has won, so more than this
/// means a key that is written without pause.
pub(super) const ROUNDS: usize = 32;

impl Cache {
    /// Removes the value under `key` and returns it. Of concurrent calls exactly one gets it. Needs a store with
    /// [`VERSIONS`](Operations::VERSIONS).
    ///
    /// An entry that does not decode as `T` is left where it is, and is a miss.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() { example(|cache| async move {
    /// cache.set("token", "once".to_owned()).await?;
    /// assert_eq!(cache.take::<String>("token").await?.unwrap().as_str(), "once");
    /// assert!(cache.take::<String>("token").await?.is_none());
    /// # Ok(()) }) }
    /// ```
    pub async fn take<T: Cacheable>(&self, key: impl IntoKey) -> Result<Option<Arc<T>>> {
        let key = key.into_key(&self.namespace)?;
        self.inner.needs(Operations::VERSIONS, "take")?;
        let inner = Arc::clone(&self.inner);
        let take = async move {
            for _ in 0..ROUNDS {
                let Some((opened, version)) = inner.read_versioned(&key).await? else {
                    inner.miss(&key);
                    return Ok(None);
                };
                let meta = opened.meta().cloned();
                let value = match opened.into_typed() {
                    Ok(value) => value,
                    Err(error) => {
                        inner.undecodable(&key, &error);
                        inner.miss(&key);
                        return Ok(None);
                    }
                };
                let fence = Fence::around_key(&inner.handle.flights, &key).await;
                // Replacing it by what is past already is deleting this state of it, and no other.
                let call =
                    inner.handle.store.replace(&key, &version, Value::Int(0), Expiry::After(Duration::ZERO));
                let removed = inner.point(Operation::once("replace"), call).await;
                settle(fence, &removed, false);
                if removed?.is_some() {
                    // Only now: whoever lost it has not found it.
                    inner.note(&key, meta.as_ref());
                    inner.hit(&key, meta.map(|meta| meta.cost()).unwrap_or_default());
                    return Ok(Some(value));
                }
            }
            Err(contended("take"))
        };
        self.inner.to_the_end(take).await
    }

    /// Gives the entry under `key` another timeout, from now on; `false` if there is none. The stamps of its tags and namespaces
    /// then live as long. Needs a store with
    /// [`VERSIONS`](Operations::VERSIONS), and [`TOUCH`](Operations::TOUCH) for counters.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() { example(|cache| async move {
    /// use larder_core::{Expiry, Timeout};
    /// cache.set("session", "..".to_owned()).await?;
    /// assert!(cache.touch("session", Timeout::Never).await?);
    /// assert_eq!(cache.expiry("session").await?, Some(Expiry::Never));
    /// # Ok(()) }) }
    /// ```
    pub async fn touch(&self, key: impl IntoKey, timeout: impl Into<Timeout>) -> Result<bool> {
        let key = key.into_key(&self.namespace)?;
        self.inner.needs(Operations::VERSIONS, "touch")?;
        let expiry = timeout.into().resolve(self.inner.default_expiry);
        let inner = Arc::clone(&self.inner);
        let touch = async move {
            for _ in 0..ROUNDS {
                let Some((opened, version)) = inner.read_versioned(&key).await? else { return Ok(false) };
                let stamps = opened.meta().map(EntryMeta::stamps).unwrap_or_default().to_vec();
                let (value, expiry) = match opened {
                    Opened::Int(_) => {
                        inner.needs(Operations::TOUCH, "touch")?;
                        return inner
                            .point(Operation::idempotent("touch"), inner.handle.store.touch(&key, expiry))
                            .await;
                    }
                    // The entry's own expiry decides, so it must change with the store's.
                    entry => inner.with_expiry(entry, expiry)?,
                };
                if !inner.prolong_held(&key, stamps, expiry.deadline(inner.clock.now())).await? {
                    return Ok(false);
                }
                let call = inner.handle.store.replace(&key, &version, value, expiry);
                if inner.point(Operation::idempotent("replace"), call).await?.is_some() {
                    return Ok(true);
                }
            }
            Err(contended("touch"))
        };
        self.inner.to_the_end(touch).await
    }
}

impl Inner {
    pub(super) async fn read_versioned(self: &Arc<Self>, key: &Key) -> Result<Option<(Opened, Version)>> {
        if !self.is_served(key).await {
            return Ok(None);
        }
        let call = self.handle.store.get_versioned(key);
        let found = self.point(Operation::idempotent("get_versioned"), call).await?;
        let Some((value, version)) = found else { return Ok(None) };
        Ok(self.validate(key, value).await?.map(|opened| (opened, version)))
    }

    /// The same entry with another expiry, and what its store is told.
    fn with_expiry(&self, entry: Opened, expiry: Expiry) -> Result<(Value, Expiry)> {
        let Some(meta) = entry.meta() else { return Ok((entry.into_value()?, expiry)) };
        let (meta, expiry) = meta.clone().with_lease(None).renewed(self.clock.now(), expiry);
        Ok((entry.with_meta(meta).into_value()?, expiry))
    }
}

pub(super) fn contended(operation: &str) -> Error {
    Error::new(
        ErrorKind::Overloaded,
        format!("`{operation}` lost {ROUNDS} times to other writers of the key"),
    )
}
