//! Loading what is there already: forced, where it is judged stale, or by asking whether it has changed.

use std::{future::Future, sync::Arc, time::Duration};

use super::{
    Cache,
    approach::Ask,
    commit::loader_failed,
    fly::Renewer,
    inner::Inner,
    ops::Operation,
    versioned::{ROUNDS, contended},
    write::{in_doubt, settle},
};
use crate::{
    BoxError, Cacheable, EntryOptions, Error, ErrorKind, Expiry, IntoKey, IntoLoaded, Key, Loaded,
    Operations, Outcome, Result, Timestamp, Value, flight::Fence, spawn, value::Opened,
};

/// What a loader says that was given the value kept so far.
///
/// ```
/// use larder_core::{Loaded, Renewed};
/// let same: Renewed<u8> = Renewed::NotModified;
/// let other = Renewed::Modified(Loaded::new(1_u8));
/// # let _ = (same, other);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Renewed<T> {
    /// The value still holds: it is kept for another timeout.
    NotModified,
    /// Here is another one.
    Modified(Loaded<T>),
}

impl Cache {
    /// Loads the value under `key` whatever is there, and keeps it in its place: a forced update. A load that runs already is
    /// not joined, as it may have read what this caller knows to be old: the next one begins after it, and callers who ask
    /// meanwhile share that.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() { example(|cache| async move {
    /// # use larder_core::{EntryOptions, Error};
    /// cache.set("rate", 1.05).await?;
    /// let rate = cache.refresh("rate", EntryOptions::new(), || async { Ok::<_, Error>(1.07) }).await?;
    /// assert_eq!(*rate, 1.07);
    /// # Ok(()) }) }
    /// ```
    pub async fn refresh<R, E, Fut>(
        &self,
        key: impl IntoKey,
        options: impl Into<EntryOptions>,
        loader: impl FnOnce() -> Fut + Send + 'static,
    ) -> Result<Outcome<R::Value>>
    where
        R: IntoLoaded,
        E: Into<BoxError>,
        Fut: Future<Output = Result<R, E>> + Send + 'static,
    {
        let (key, policy) = (key.into_key(&self.namespace)?, self.inner.policy(&options.into())?);
        let loader: Renewer<'static, R::Value> = Box::new(|_| {
            Box::pin(async { loader().await.map(IntoLoaded::into_loaded).map_err(loader_failed) })
        });
        let ask = Ask { force: true, ..Ask::new(&key, &policy) };
        Box::pin(self.inner.load_shared(ask, loader)).await
    }

    /// As [`get_or_load_with`](Cache::get_or_load_with), where `is_stale` decides whether what was found is to be loaded again
    /// all the same. It is asked for each value found: keep it cheap.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() { example(|cache| async move {
    /// # use larder_core::{EntryOptions, Error};
    /// cache.set("config", 1_u32).await?;
    /// let is_old = |version: &u32| *version < 2;
    /// let config = cache.get_or_load_if("config", EntryOptions::new(), is_old, || async { Ok::<_, Error>(2_u32) }).await?;
    /// assert_eq!(*config, 2);
    /// # Ok(()) }) }
    /// ```
    pub async fn get_or_load_if<R, E, Fut>(
        &self,
        key: impl IntoKey,
        options: impl Into<EntryOptions>,
        is_stale: impl Fn(&R::Value) -> bool + Send + Sync,
        loader: impl FnOnce() -> Fut + Send + 'static,
    ) -> Result<Outcome<R::Value>>
    where
        R: IntoLoaded,
        E: Into<BoxError>,
        Fut: Future<Output = Result<R, E>> + Send + 'static,
    {
        let (key, policy) = (key.into_key(&self.namespace)?, self.inner.policy(&options.into())?);
        let loader: Renewer<'static, R::Value> = Box::new(|_| {
            Box::pin(async { loader().await.map(IntoLoaded::into_loaded).map_err(loader_failed) })
        });
        let ask = Ask { is_stale: Some(&is_stale), ..Ask::new(&key, &policy) };
        Box::pin(self.inner.load_shared(ask, loader)).await
    }

    /// As [`get_or_load_with`](Cache::get_or_load_with) for a source that can tell whether something has changed: the loader
    /// is given the value that is stale, where it is still kept (see
    /// [`stale_if_error`](EntryOptions::stale_if_error) for how long), and may say
    /// [`NotModified`](Renewed::NotModified). Saying so without having been given one is an error of kind
    /// [`Load`](ErrorKind::Load).
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() { example(|cache| async move {
    /// # use larder_core::{EntryOptions, Error, IntoLoaded as _, Renewed};
    /// use std::time::Duration;
    /// let options = EntryOptions::new().stale_if_error(Duration::from_secs(3600));
    /// let feed = cache
    ///     .get_or_renew("feed", options, |known: Option<std::sync::Arc<String>>| async move {
    ///         let answer = match known {
    ///             Some(_) => Renewed::NotModified, // the server said 304
    ///             None => Renewed::Modified("news".to_owned().into_loaded()),
    ///         };
    ///         Ok::<_, Error>(answer)
    ///     })
    ///     .await?;
    /// assert_eq!(*feed, "news");
    /// # Ok(()) }) }
    /// ```
    pub async fn get_or_renew<T, E, Fut>(
        &self,
        key: impl IntoKey,
        options: impl Into<EntryOptions>,
        loader: impl FnOnce(Option<Arc<T>>) -> Fut + Send + 'static,
    ) -> Result<Outcome<T>>
    where
        T: Cacheable,
        E: Into<BoxError>,
        Fut: Future<Output = Result<Renewed<T>, E>> + Send + 'static,
    {
        let (key, policy) = (key.into_key(&self.namespace)?, self.inner.policy(&options.into())?);
        let loader: Renewer<'static, T> = Box::new(|prior| {
            Box::pin(async {
                let answer = loader(prior.clone()).await.map_err(loader_failed)?;
                match (answer, prior) {
                    (Renewed::Modified(new), _) => Ok(new),
                    (Renewed::NotModified, Some(prior)) => Ok(Loaded::shared(prior)),
                    (Renewed::NotModified, None) => Err(Error::new(
                        ErrorKind::Load,
                        "the loader said that nothing has changed, but there was no value: it must return one",
                    )),
                }
            })
        });
        let ask = Ask::new(&key, &policy);
        Box::pin(self.inner.load_shared(ask, loader)).await
    }

    /// As [`get_or_load_with`](Cache::get_or_load_with) for a loader that blocks its thread: it runs on one of the runtime's
    /// threads for that. It cannot be dropped: past the load timeout its callers get an error and the key is free, but it runs
    /// on, counted in [`Stats::detached`](crate::Stats::detached); at most
    /// [`max_detached`](super::CacheBuilder::max_detached) run at one time, and a load more is an error of kind
    /// [`Overloaded`](ErrorKind::Overloaded) in its place.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() { example(|cache| async move {
    /// # use larder_core::EntryOptions;
    /// let readme = cache
    ///     .get_or_load_blocking("readme", EntryOptions::new(), || std::fs::read_to_string("README.md"))
    ///     .await?;
    /// assert!(!readme.is_empty());
    /// # Ok(()) }) }
    /// ```
    pub async fn get_or_load_blocking<R, E>(
        &self,
        key: impl IntoKey,
        options: impl Into<EntryOptions>,
        loader: impl FnOnce() -> Result<R, E> + Send + 'static,
    ) -> Result<Outcome<R::Value>>
    where
        R: IntoLoaded + Send + 'static,
        E: Into<BoxError> + Send + 'static,
    {
        let room = Arc::clone(&self.inner.detached);
        let limit = self.inner.max_detached;
        self.get_or_load_with(key, options, move || async move {
            let permit = room.try_acquire_owned().map_err(|full| -> BoxError {
                Error::new(
                    ErrorKind::Overloaded,
                    format!("{limit} blocking loaders run already (`max_detached`)"),
                )
                .with_source(full)
                .into()
            })?;
            spawn::blocking(move || {
                let answer = loader();
                drop(permit);
                answer
            })
            .await?
            .map_err(Into::into)
        })
        .await
    }

    /// Makes the entry under `key` stale now; `false` if there is none that is fresh. As if its timeout were over: it is still
    /// served where stale entries are, while it is loaded again or if that fails. To have it gone, [`delete`](Cache::delete)
    /// it. Needs a store with [`VERSIONS`](Operations::VERSIONS).
    ///
    /// A load that runs is not kept, and later callers do not join it, also where there is no entry.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() { example(|cache| async move {
    /// # use larder_core::{EntryOptions, Error, Source};
    /// use std::time::Duration;
    /// let options = EntryOptions::new().stale_if_error(Duration::from_secs(60));
    /// cache.set_with("motto", "festina lente".to_owned(), options.clone()).await?;
    /// assert!(cache.expire("motto").await?);
    /// let motto = cache.get_or_load_with("motto", options, || async { Err::<String, _>("the source is down") }).await?;
    /// assert!(matches!(motto.source(), Source::Stale { .. }));
    /// # Ok(()) }) }
    /// ```
    #[must_use = "a failed invalidation leaves old data: handle its error"]
    pub fn expire(&self, key: impl IntoKey) -> impl Future<Output = Result<bool>> + Send {
        let key = key.into_key(&self.namespace);
        let inner = Arc::clone(&self.inner);
        async move {
            let key = key?;
            inner.needs(Operations::VERSIONS, "expire")?;
            let work = Arc::clone(&inner);
            inner.to_the_end(async move { work.make_stale(&key).await }).await
        }
    }
}

impl Inner {
    /// `expire`, fenced from running loads: whatever is there, the result of one that began before is not kept.
    async fn make_stale(self: &Arc<Self>, key: &Key) -> Result<bool> {
        if !self.is_served(key).await {
            return Err(in_doubt());
        }
        let fence = Fence::around_key(&self.handle.flights, key).await;
        let made = self.stale_or_unleased(key).await;
        settle(fence, &made, false);
        made
    }

    async fn stale_or_unleased(self: &Arc<Self>, key: &Key) -> Result<bool> {
        for _ in 0..ROUNDS {
            let call = self.handle.store.get_versioned(key);
            let found = self.point(Operation::idempotent("get_versioned"), call).await?;
            let Some((value, version)) = found else { return Ok(false) };
            let Ok(opened) = value.clone().open() else { return Ok(false) };
            let now = self.clock.now();
            let is_fresh = self.validate(key, value).await?.is_some();
            let gone = Expiry::After(Duration::ZERO);
            let (value, expiry) = match opened.meta().cloned() {
                // Without a window there is no stale: it is gone.
                None => (opened.into_value()?, gone),
                Some(meta) if is_fresh && meta.stale_at == Timestamp::MAX => (opened.into_value()?, gone),
                Some(meta) if is_fresh => {
                    let shift = meta.stale_at().saturating_since(now);
                    let back = |at: Timestamp| at.saturating_sub(shift);
                    let (until, ends) = (back(meta.revalidate_until()), back(meta.expires_at()));
                    let meta = meta.with_lease(None).with_windows(now, until, ends);
                    (opened.with_meta(meta).into_value()?, Expiry::until(ends, now))
                }
                Some(meta) if meta.lease().is_none() => return Ok(false),
                Some(_) if matches!(opened, Opened::LeaseOnly(_)) => (Value::Int(0), gone),
                Some(meta) => {
                    let ends = meta.expires_at();
                    (opened.with_meta(meta.with_lease(None)).into_value()?, Expiry::until(ends, now))
                }
            };
            let call = self.handle.store.replace(key, &version, value, expiry);
            if self.point(Operation::once("replace"), call).await?.is_some() {
                return Ok(is_fresh);
            }
        }
        Err(contended("expire"))
    }
}
