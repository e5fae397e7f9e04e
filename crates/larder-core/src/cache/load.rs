//! Loads: `get_or_load` in its own task, `get_or_load_scoped` in the caller.

use std::{future::Future, sync::Arc};

use super::{Cache, approach::Ask, commit::loader_failed, fly::Renewer};
use crate::{
    BoxError, BoxFuture, Cacheable, EntryOptions, IntoKey, IntoLoaded, Key, Outcome, Result, Source,
    Timestamp,
};

impl Cache {
    /// The value under `key`, or what `loader` loads, which is then kept for the cache's default timeout.
    ///
    /// Everyone who asks for a key while it is being loaded waits for the one load and gets its value, or its error, once.
    /// The loader runs in a task of its own: a caller that goes away does not stop it, and when the last one is gone it is
    /// dropped. A panic in it reaches the callers as an error, and a load that takes longer than the
    /// [load timeout](super::CacheBuilder::load_timeout) is dropped; in both cases the key is free for the next caller. A
    /// loader may load other keys; for its own it gets an error, not a deadlock. (Loaders that ask for each other's keys, and
    /// tasks that a loader starts by itself, are not seen through: there the load timeout ends it.)
    ///
    /// If the key is invalidated while the load runs, its callers get the value, later callers a new load, and nothing is
    /// kept. A store that fails is treated as having nothing.
    ///
    /// The loader returns a value or a [`Loaded`](crate::Loaded), which sets the timeout or says not to keep it. Its error comes back as the
    /// source of an error of kind [`Load`](crate::ErrorKind::Load). Needs a Tokio runtime on a miss.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() { example(|cache| async move {
    /// use std::io;
    ///
    /// let motto = cache.get_or_load("motto", || async { Ok::<_, io::Error>("festina lente".to_owned()) }).await?;
    /// assert_eq!(*motto, "festina lente");
    ///
    /// let refused = cache.get_or_load("x", || async { Err::<String, _>(io::Error::other("no")) }).await;
    /// assert!(refused.unwrap_err().downcast_ref::<io::Error>().is_some());
    /// # Ok(()) }) }
    /// ```
    pub async fn get_or_load<R, E, Fut>(
        &self,
        key: impl IntoKey,
        loader: impl FnOnce() -> Fut + Send + 'static,
    ) -> Result<Outcome<R::Value>>
    where
        R: IntoLoaded,
        E: Into<BoxError>,
        Fut: Future<Output = Result<R, E>> + Send + 'static,
    {
        // Not by way of `get_or_load_with`: a future in a future is one more to move on every hit.
        match self.begin_load(key, EntryOptions::new()) {
            Ok(hit) => Ok(Outcome::new(hit, Source::Hit)),
            Err(begun) => self.go_on_shared(begun, renewing(loader)).await,
        }
    }

    /// As [`get_or_load`](Cache::get_or_load), with a timeout or other options of its own.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() { example(|cache| async move {
    /// # use larder_core::Error;
    /// use std::time::Duration;
    /// let rate = cache.get_or_load_with("rate", Duration::from_secs(5), || async { Ok::<_, Error>(1.07) }).await?;
    /// assert_eq!(*rate, 1.07);
    /// # Ok(()) }) }
    /// ```
    pub async fn get_or_load_with<R, E, Fut>(
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
        match self.begin_load(key, options.into()) {
            Ok(hit) => Ok(Outcome::new(hit, Source::Hit)),
            Err(begun) => self.go_on_shared(begun, renewing(loader)).await,
        }
    }

    /// As [`get_or_load`](Cache::get_or_load) for a loader that borrows: it runs in the caller. If the caller goes away, the
    /// load ends with it and the next one who waits runs its own. Needs no runtime where the store needs none, as long as
    /// the loader is ready at once.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() { example(|cache| async move {
    /// # use larder_core::Error;
    /// let template = String::from("Hello, {}!");
    /// let page = cache
    ///     .get_or_load_scoped("page", || async { Ok::<_, Error>(template.replace("{}", "Ada")) })
    ///     .await?;
    /// assert_eq!(*page, "Hello, Ada!");
    /// # Ok(()) }) }
    /// ```
    pub async fn get_or_load_scoped<R, E, Fut>(
        &self,
        key: impl IntoKey,
        loader: impl FnOnce() -> Fut + Send,
    ) -> Result<Outcome<R::Value>>
    where
        R: IntoLoaded,
        E: Into<BoxError>,
        Fut: Future<Output = Result<R, E>> + Send,
    {
        match self.begin_load(key, EntryOptions::new()) {
            Ok(hit) => Ok(Outcome::new(hit, Source::Hit)),
            Err(begun) => self.go_on_scoped(begun, renewing(loader)).await,
        }
    }

    /// As [`get_or_load_scoped`](Cache::get_or_load_scoped), with a timeout or other options of its own.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() { example(|cache| async move {
    /// # use larder_core::{Error, Timeout};
    /// let one = cache.get_or_load_scoped_with("one", Timeout::Never, || async { Ok::<_, Error>(1_u8) }).await?;
    /// assert_eq!(*one, 1);
    /// # Ok(()) }) }
    /// ```
    pub async fn get_or_load_scoped_with<R, E, Fut>(
        &self,
        key: impl IntoKey,
        options: impl Into<EntryOptions>,
        loader: impl FnOnce() -> Fut + Send,
    ) -> Result<Outcome<R::Value>>
    where
        R: IntoLoaded,
        E: Into<BoxError>,
        Fut: Future<Output = Result<R, E>> + Send,
    {
        match self.begin_load(key, options.into()) {
            Ok(hit) => Ok(Outcome::new(hit, Source::Hit)),
            Err(begun) => self.go_on_scoped(begun, renewing(loader)).await,
        }
    }

    /// A hit that can be had at once, else what the load goes on with. As [`get_now`](Self::get_now), no part of a future.
    #[inline]
    fn begin_load<T: Cacheable>(
        &self,
        key: impl IntoKey,
        options: EntryOptions,
    ) -> Result<Arc<T>, Box<Begun>> {
        let key = key.into_key(&self.namespace);
        let missed = match &key {
            Ok(key) => match self.inner.peek_for_load::<T>(key, &options) {
                Ok(hit) => return Ok(hit),
                Err(missed) => missed,
            },
            Err(_) => None,
        };
        Err(Box::new(Begun { key, options, missed }))
    }

    // Apart, and given loaders with their types erased: these make large futures, one for each type of value.
    fn go_on_shared<'a, T: Cacheable>(
        &'a self,
        begun: Box<Begun>,
        loader: Renewer<'static, T>,
    ) -> BoxFuture<'a, Result<Outcome<T>>> {
        Box::pin(async move {
            let (key, policy) = (begun.key?, self.inner.policy(&begun.options)?);
            let ask = Ask { missed: begun.missed, ..Ask::new(&key, &policy) };
            self.inner.load_shared(ask, loader).await
        })
    }

    fn go_on_scoped<'a, T: Cacheable>(
        &'a self,
        begun: Box<Begun>,
        loader: Renewer<'a, T>,
    ) -> BoxFuture<'a, Result<Outcome<T>>> {
        Box::pin(async move {
            let (key, policy) = (begun.key?, self.inner.policy(&begun.options)?);
            let ask = Ask { missed: begun.missed, ..Ask::new(&key, &policy) };
            self.inner.load_scoped(ask, loader).await
        })
    }
}

/// A loader that renews nothing.
fn renewing<'a, R, E, Fut>(loader: impl FnOnce() -> Fut + Send + 'a) -> Renewer<'a, R::Value>
where
    R: IntoLoaded,
    E: Into<BoxError>,
    Fut: Future<Output = Result<R, E>> + Send + 'a,
{
    Box::new(|_| Box::pin(async { loader().await.map(IntoLoaded::into_loaded).map_err(loader_failed) }))
}

/// What a load goes on with when it was no hit.
struct Begun {
    key: Result<Key>,
    options: EntryOptions,
    /// When it was that the store had nothing, if that is known.
    missed: Option<Timestamp>,
}
