//! Loads: `get_or_load` in its own task, `get_or_load_scoped` in the caller.

use std::{future::Future, sync::Arc};

use super::{
    Cache, FailurePolicy,
    chain::Chain,
    commit::{Loader, loader_failed},
    inner::Inner,
    watch::while_watched,
};
use crate::{
    BoxError, Cacheable, EntryOptions, Error, ErrorKind, IntoKey, IntoLoaded, Kept, Key, Loaded, NotKept,
    Outcome, Result, Source,
    flight::{Flight, FlightTable, Follow, Landing, LeaderGuard, Place},
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
    /// The loader returns a value or a [`Loaded`], which sets the timeout or says not to keep it. Its error comes back as the
    /// source of an error of kind [`Load`](ErrorKind::Load). Needs a Tokio runtime on a miss.
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
        self.get_or_load_with(key, EntryOptions::new(), loader).await
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
        let key = key.into_key(&self.namespace);
        let known_miss = match self.inner.peek::<R::Value>(key.as_ref().map_err(Error::clone)?) {
            Some(Some(hit)) => return Ok(Outcome::new(hit, Source::Hit)),
            known => known.is_some(),
        };
        let loader: Loader<'static, Loaded<R::Value>> = Box::new(|| {
            Box::pin(async { loader().await.map(IntoLoaded::into_loaded).map_err(loader_failed) })
        });
        Box::pin(self.inner.load_shared(key?, options.into(), known_miss, loader)).await
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
        self.get_or_load_scoped_with(key, EntryOptions::new(), loader).await
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
        let key = key.into_key(&self.namespace);
        let known_miss = match self.inner.peek::<R::Value>(key.as_ref().map_err(Error::clone)?) {
            Some(Some(hit)) => return Ok(Outcome::new(hit, Source::Hit)),
            known => known.is_some(),
        };
        let loader: Loader<'_, Loaded<R::Value>> = Box::new(|| {
            Box::pin(async { loader().await.map(IntoLoaded::into_loaded).map_err(loader_failed) })
        });
        Box::pin(self.inner.load_scoped(key?, options.into(), known_miss, loader)).await
    }
}

/// What a caller who missed is to do.
pub(super) enum Approach<T> {
    /// Nothing: here is the value.
    Done(Outcome<T>),
    /// Load, for everyone.
    Lead(LeaderGuard),
    /// Load, for itself: who led gave up on this key.
    Alone,
}

impl Inner {
    /// Reads the store, then joins the running load of `key` or becomes the one to load it.
    pub(super) async fn approach<T: Cacheable>(
        self: &Arc<Self>,
        key: &Key,
        mut known_miss: bool,
    ) -> Result<Approach<T>> {
        let flights = &self.handle.flights;
        let mut counted = false;
        loop {
            // Before the read: whatever changes the store after it makes the leader read again.
            let seen = if known_miss { u64::MAX } else { flights.changes(key) };
            if !known_miss && let Some(hit) = self.find_for_load(key).await? {
                return Ok(Approach::Done(Outcome::new(hit, Source::Hit)));
            }
            if self.tasks.is_closed() {
                return Err(Error::new(ErrorKind::Unavailable, "the cache is closed").with_retryable(false));
            }
            known_miss = false;
            let mut follow = match flights.join(key, seen, self.load_deadline()) {
                Place::Leader { guard, recheck } => {
                    // A value found now was stored since the first look; dropping the guard sends followers to it.
                    if recheck && let Some(hit) = self.find_for_load(key).await? {
                        return Ok(Approach::Done(Outcome::new(hit, Source::Hit)));
                    }
                    if !counted {
                        self.miss(key);
                    }
                    return Ok(Approach::Lead(guard));
                }
                Place::Follower(follow) => follow,
            };
            if Chain::current().is_loading(flights, key) {
                return Err(Error::new(ErrorKind::Load, "a loader asked for the key that it is loading"));
            }
            if Chain::current().is_nested() {
                follow.flight.hurry();
            }
            if !counted {
                self.miss(key);
                self.joined(key);
                counted = true;
            }
            match self.land::<T>(&mut follow).await? {
                Landed::Value(value, kept) => {
                    return Ok(Approach::Done(Outcome::new(value, Source::Joined(kept))));
                }
                Landed::Alone => return Ok(Approach::Alone),
                Landed::Again | Landed::Nothing => {}
            }
        }
    }

    /// Waits for a flight, for as long as it may take. Past its deadline the key is freed for the next caller.
    pub(super) async fn land<T: Cacheable>(&self, follow: &mut Follow) -> Result<Landed<T>> {
        let flight = Arc::clone(&follow.flight);
        let landing = if let Some(landing) = follow.landed() {
            landing
        } else {
            let left = flight.deadline.saturating_since(self.clock.now());
            match self.within(left, follow.landing()).await? {
                Some(landing) => landing,
                None => return Err(self.expire(&flight)),
            }
        };
        match landing {
            Landing::Value(value, kept) => match value.open().and_then(|opened| match opened {
                Some(opened) => opened.into_typed::<T>(),
                None => Err(Error::new(ErrorKind::Corrupt, "a flight landed without a value")),
            }) {
                Ok(value) => Ok(Landed::Value(value, kept)),
                // Loaded as another type, which this one does not decode from: a miss, as it would be from the store.
                Err(error) => {
                    self.undecodable(&flight.key, &error);
                    Ok(Landed::Again)
                }
            },
            Landing::Failed(error) => Err(error),
            Landing::GaveUp => Ok(Landed::Alone),
            Landing::Abandoned => Ok(Landed::Again),
            Landing::Nothing => Ok(Landed::Nothing),
        }
    }

    /// Ends a flight whose time is over; of everyone who finds so, one counts it.
    fn expire(&self, flight: &Arc<Flight>) -> Error {
        let error = self.load_timed_out();
        if self.handle.flights.expire(flight, &error) {
            self.load_failed(&flight.key, self.load_timeout, &error);
        }
        error
    }

    async fn load_shared<T: Cacheable>(
        self: &Arc<Self>,
        key: Key,
        options: EntryOptions,
        known_miss: bool,
        loader: Loader<'static, Loaded<T>>,
    ) -> Result<Outcome<T>> {
        let guard = match self.approach(&key, known_miss).await? {
            Approach::Done(outcome) => return Ok(outcome),
            Approach::Alone => return self.load_alone(&key, loader).await,
            Approach::Lead(guard) => guard,
        };
        let mut follow = FlightTable::follow(guard.flight());
        let task = Arc::clone(self).fly(guard, options, Chain::current(), loader);
        self.start(task)?;
        // A load that waits for nothing has landed once its task had its turn, and needs no timer.
        tokio::task::yield_now().await;
        match self.land(&mut follow).await? {
            Landed::Value(value, kept) => Ok(Outcome::new(value, Source::Loaded(kept))),
            Landed::Alone | Landed::Again | Landed::Nothing => Err(dropped()),
        }
    }

    /// Starts a task in the caller's span that `close` waits for.
    pub(super) fn start(&self, task: impl Future<Output = ()> + Send + 'static) -> Result<()> {
        let task = self.tasks.track_future(task);
        #[cfg(feature = "tracing")]
        let task = tracing::Instrument::in_current_span(task);
        self.spawn.spawn(Box::pin(task))
    }

    /// A load in its own task. It ends early when nobody waits for it any more.
    async fn fly<T: Cacheable>(
        self: Arc<Self>,
        guard: LeaderGuard,
        options: EntryOptions,
        chain: Chain,
        loader: Loader<'static, Loaded<T>>,
    ) {
        let guards = [&guard];
        let load = self.run_loader(&guards, vec![guard.key().clone()], chain, loader);
        let Some((result, took)) = while_watched(&guards, load).await else { return };
        let landing = match result {
            Ok(found) => {
                let (value, kept) = self.keep(&guard, found, &options, took).await;
                Landing::Value(value, kept)
            }
            Err(error) => Landing::Failed(error),
        };
        guard.land(landing);
    }

    async fn load_scoped<T: Cacheable>(
        self: &Arc<Self>,
        key: Key,
        options: EntryOptions,
        known_miss: bool,
        loader: Loader<'_, Loaded<T>>,
    ) -> Result<Outcome<T>> {
        let guard = match self.approach(&key, known_miss).await? {
            Approach::Done(outcome) => return Ok(outcome),
            Approach::Alone => return self.load_alone(&key, loader).await,
            Approach::Lead(guard) => guard,
        };
        let guards = [&guard];
        let load = self.run_loader(&guards, vec![key], Chain::current(), loader);
        let result = match self.within(self.load_timeout, load).await {
            Ok(Some((result, took))) => result.map(|found| (found, took)),
            Ok(None) => Err(self.expire(guard.flight())),
            Err(no_timer) => Err(no_timer),
        };
        match result {
            Ok((found, took)) => {
                let value = Arc::clone(&found.value);
                let (stored, kept) = self.keep_to_the_end(&guard, found, &options, took).await;
                guard.land(Landing::Value(stored, kept));
                Ok(Outcome::new(value, Source::Loaded(kept)))
            }
            Err(error) => {
                guard.land(Landing::Failed(error.clone()));
                Err(error)
            }
        }
    }

    /// Loads for one caller alone, and keeps nothing.
    async fn load_alone<T: Cacheable>(&self, key: &Key, loader: Loader<'_, Loaded<T>>) -> Result<Outcome<T>> {
        let load = self.run_loader(&[], vec![key.clone()], Chain::current(), loader);
        let Some((result, took)) = self.within(self.load_timeout, load).await? else {
            let error = self.load_timed_out();
            self.load_failed(key, self.load_timeout, &error);
            return Err(error);
        };
        let kept = Kept::No(NotKept::Unshared);
        let found = result?;
        self.loaded(key, took, kept);
        Ok(Outcome::new(found.value, Source::Loaded(kept)))
    }

    /// A read on behalf of a load: a failing store is a miss, unless the cache was told otherwise.
    pub(super) async fn find_for_load<T: Cacheable>(self: &Arc<Self>, key: &Key) -> Result<Option<Arc<T>>> {
        match (self.find(key).await, self.load_errors) {
            (Err(_), FailurePolicy::Miss) => Ok(None),
            (found, _) => found,
        }
    }
}

/// How waiting for a flight ended.
pub(super) enum Landed<T> {
    Value(Arc<T>, Kept),
    /// The leader's result was for itself.
    Alone,
    /// The leader went away, or loaded another type.
    Again,
    /// The leader's batch had nothing under this key.
    Nothing,
}

/// The error of a load whose task is gone.
pub(super) fn dropped() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "the load's task ended without a result: its runtime is shutting down, or a weigher, encoder or observer panicked",
    )
}
