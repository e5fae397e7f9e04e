//! Holding a lease: renewing it, and using it up or giving it back.

use std::{future::Future, pin::pin, sync::Arc, time::Duration};

use futures_util::future::{Either, join_all, select};

use super::{inner::Inner, ops::Operation};
use crate::{
    BoxFuture, EntryMeta, Expiry, Key, Result, Timestamp, Value, Version, entry::Stamp, flight::Nonce,
    value::Opened,
};

/// A lease that this process holds. Dropped before [`commit`](Held::commit) or [`give_back`](Held::give_back), it is given
/// back in the background; and where even that does not happen, it ends by itself.
pub(super) struct Held {
    inner: Arc<Inner>,
    key: Key,
    nonce: Nonce,
    base: Base,
    /// The state that holds the lease; `None` once it is void.
    version: Option<Version>,
    /// A renewal may have made it another one.
    is_unsure: bool,
    /// It is being given back in the background: that is tried once.
    is_last: bool,
    is_over: bool,
}

/// What stands under the key beside the lease.
#[derive(Clone)]
pub(super) enum Base {
    /// No value; the stamps that the load began under.
    Nothing(Vec<Stamp>),
    /// An entry that may still be served.
    Entry(Opened),
    /// A counter, which holds no lease and goes on counting: whatever changes it voids the load all the same. Nobody sees that
    /// it is being loaded.
    Counter,
}

impl Inner {
    /// Runs `load` and renews the lease that it holds, until it ends.
    pub(super) fn while_held<'a, L: Send + 'a, F: Future<Output = L> + Send + 'a>(
        &'a self,
        held: &'a mut Option<Box<Held>>,
        load: F,
    ) -> Either<F, BoxFuture<'a, L>> {
        match held {
            None => Either::Left(load),
            held => Either::Right(Box::pin(self.while_all_held(std::slice::from_mut(held), load))),
        }
    }

    /// The same for the leases of a batch.
    pub(super) async fn while_all_held<L>(
        &self,
        held: &mut [Option<Box<Held>>],
        load: impl Future<Output = L>,
    ) -> L {
        let mut load = pin!(load);
        loop {
            let lasting: Vec<_> = held.iter_mut().flatten().filter(|lease| lease.is_held()).collect();
            if lasting.is_empty() {
                return load.await;
            }
            let rest = self.lease_timeout / 3;
            match select(load.as_mut(), self.clock.sleep(rest)).await {
                Either::Left((output, _)) => return output,
                Either::Right(_) => {
                    let renewal = pin!(join_all(lasting.into_iter().map(|lease| lease.renew())));
                    if let Either::Left((output, renewal)) = select(load.as_mut(), renewal).await {
                        // What was sent decides which state is the one to replace.
                        renewal.await;
                        return output;
                    }
                }
            }
        }
    }
}

impl Held {
    pub(super) fn new(
        inner: &Arc<Inner>,
        key: &Key,
        nonce: Nonce,
        base: Base,
        version: Version,
    ) -> Box<Self> {
        Box::new(Self {
            inner: Arc::clone(inner),
            key: key.clone(),
            nonce,
            base,
            version: Some(version),
            is_unsure: false,
            is_last: false,
            is_over: false,
        })
    }

    /// The mark that others see.
    pub(super) fn nonce(&self) -> Option<Nonce> {
        (!matches!(self.base, Base::Counter)).then_some(self.nonce)
    }

    /// Whether something of it is in the store, and lasts.
    fn is_held(&self) -> bool {
        self.version.is_some() && !matches!(self.base, Base::Counter)
    }

    async fn renew(&mut self) {
        if self.is_unsure {
            // Its error is counted, here and below: what the store cannot say now is asked again.
            let _ = self.ask().await;
        }
        let Some(version) = self.version else { return };
        let now = self.inner.clock.now();
        let Ok((value, expiry)) = self.inner.leased(&self.base, self.nonce, now) else { return };
        // Until it is answered: the load may be dropped meanwhile.
        let was_unsure = std::mem::replace(&mut self.is_unsure, true);
        let call = self.inner.handle.store.replace(&self.key, &version, value, expiry);
        match self.inner.point(Operation::once("replace"), call).await {
            // Void, unless the renewal before this one changed it.
            Ok(None) if was_unsure => self.is_unsure = self.ask().await.is_err(),
            Ok(renewed) => (self.version, self.is_unsure) = (renewed, false),
            // Either this state or the one before, which the store may not be able to say now.
            Err(_) => drop(self.ask().await),
        }
    }

    /// Asks the store which state holds this lease. Where it cannot say, that stays as it was.
    async fn ask(&mut self) -> Result<()> {
        let call = self.inner.handle.store.get_versioned(&self.key);
        let found = self.inner.point(Operation::idempotent("get_versioned"), call).await?;
        self.version = found.and_then(|(value, version)| {
            let opened = value.open().ok()?;
            (opened.meta()?.lease()?.nonce == self.nonce).then_some(version)
        });
        Ok(())
    }

    /// Writes `value` in the place of the lease; `false` if that is void.
    async fn put(&mut self, value: Value, expiry: Expiry) -> Result<bool> {
        while let Some(version) = self.version {
            let call = self.inner.handle.store.replace(&self.key, &version, value.clone(), expiry);
            if self.inner.point(Operation::once("replace"), call).await?.is_some() {
                return Ok(true);
            }
            if self.is_unsure {
                // A renewal whose answer was lost, and nobody else, may have changed it.
                self.ask().await?;
                self.is_unsure = false;
            } else {
                self.version = None;
            }
        }
        Ok(false)
    }

    /// Writes the result; `false` if the lease is void. A write of unknown outcome leaves nothing in doubt: it too happens
    /// only if the lease still holds. Where nothing was written the lease is given back.
    pub(super) async fn commit(mut self: Box<Self>, value: Value, expiry: Expiry) -> Result<bool> {
        let written = self.put(value, expiry).await;
        self.is_over = written.is_ok();
        self.is_unsure |= written.is_err();
        written // Where it failed, dropping this gives the lease back.
    }

    /// Ends the lease: the next one who misses takes its own.
    pub(super) async fn give_back(mut self: Box<Self>) {
        if !self.is_held() {
            return;
        }
        let now = self.inner.clock.now();
        let (value, expiry) = match &self.base {
            // Replacing it by what is past already is deleting this state of it, and no other.
            Base::Nothing(_) | Base::Counter => (Value::Int(0), Expiry::After(Duration::ZERO)),
            Base::Entry(opened) => {
                let ends = opened.meta().map_or(Timestamp::MAX, EntryMeta::expires_at);
                let Ok(value) = opened.clone().into_value() else {
                    // It was encoded when the lease was taken.
                    self.is_over = true;
                    return;
                };
                (value, Expiry::until(ends, now))
            }
        };
        if self.put(value, expiry).await.is_err() {
            // Others wait until it ends by itself.
            self.inner.abandon(self.nonce);
        }
        self.is_over = true;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.is_over || !self.is_held() {
            return;
        }
        if self.is_last {
            // No task could be started, or its runtime is shutting down: it ends by itself.
            return self.inner.abandon(self.nonce);
        }
        let rest = Box::new(Self {
            inner: Arc::clone(&self.inner),
            key: self.key.clone(),
            nonce: self.nonce,
            base: self.base.clone(),
            version: self.version.take(),
            is_unsure: self.is_unsure,
            is_last: true,
            is_over: false,
        });
        // Where that fails, `rest` is dropped.
        let _ = self.inner.start(rest.give_back());
    }
}
