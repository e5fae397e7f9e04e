//! The batch form of a load: one loader for all the keys that are missing.

use std::{
    collections::{HashMap, HashSet},
    future::ready,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use super::{
    Cache,
    chain::Chain,
    commit::{Loader, loader_failed, panicked},
    inner::Inner,
    load::{Landed, dropped},
    watch::while_watched,
};
use crate::{
    BoxError, BoxFuture, Cacheable, EntryOptions, Error, ErrorKind, Kept, Key, Loaded, Outcome, Result,
    Source, Value,
    flight::{FlightTable, Follow, Landing, LeaderGuard, Place},
};

/// What a batch loader found: a value or an error for each key it knows something about. Keys it leaves out are
/// `None` to their callers.
///
/// ```
/// use std::collections::HashMap;
/// use larder_core::LoadedBatch;
///
/// let rows = LoadedBatch::new().with("1", "one".to_owned()).with_error("2", "row 2 is locked");
/// let all_well: LoadedBatch<u8> = HashMap::from([("a".to_owned(), 1)]).into();
/// ```
#[derive(Debug)]
pub struct LoadedBatch<T>(HashMap<String, Result<Loaded<T>>>);

impl<T> Default for LoadedBatch<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<T> LoadedBatch<T> {
    /// Nothing yet.
    ///
    /// ```
    /// let batch = larder_core::LoadedBatch::<u8>::new();
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the value of a key (or a [`Loaded`], with a timeout of its own).
    ///
    /// ```
    /// use larder_core::{LoadedBatch, Loaded};
    /// let batch = LoadedBatch::<u8>::new().with("a", 1).with("b", Loaded::new(2).do_not_keep());
    /// ```
    #[must_use]
    pub fn with(mut self, key: impl Into<String>, value: impl crate::IntoLoaded<Value = T>) -> Self {
        self.0.insert(key.into(), Ok(value.into_loaded()));
        self
    }

    /// Adds the error of a key: its callers get it as the source of an error of kind [`Load`](ErrorKind::Load).
    ///
    /// ```
    /// let batch = larder_core::LoadedBatch::<u8>::new().with_error("a", "gone");
    /// ```
    #[must_use]
    pub fn with_error(mut self, key: impl Into<String>, error: impl Into<BoxError>) -> Self {
        self.0.insert(key.into(), Err(loader_failed(error)));
        self
    }
}

impl<T> From<HashMap<String, T>> for LoadedBatch<T> {
    fn from(values: HashMap<String, T>) -> Self {
        values.into_iter().collect()
    }
}

impl<T, K: Into<String>> FromIterator<(K, T)> for LoadedBatch<T> {
    fn from_iter<I: IntoIterator<Item = (K, T)>>(values: I) -> Self {
        Self(values.into_iter().map(|(key, value)| (key.into(), Ok(Loaded::new(value)))).collect())
    }
}

/// A batch loader with its types erased.
type BatchLoader<T> = Box<dyn FnMut(Vec<String>) -> BoxFuture<'static, Result<LoadedBatch<T>>> + Send>;

/// One key of a batch.
struct Asked {
    text: String,
    key: Key,
}

/// How often a batch may find that a load it waited for came to nothing, before that is an error.
const ROUNDS: usize = 8;

impl Cache {
    /// The values under many keys: one call of `loader` loads all that are missing and that nobody loads already. The loader
    /// is given the missing keys; it runs in a task of its own, under the rules of
    /// [`get_or_load`](Cache::get_or_load). It is called again, for the keys concerned, only where a load that this call
    /// joined was dropped.
    ///
    /// One result for each key, in order, duplicates kept: an outcome, `None` where the loader left the key out, or the
    /// key's own error.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() { example(|cache| async move {
    /// # use larder_core::Error;
    /// use std::collections::HashMap;
    ///
    /// cache.set("1", "one".to_owned()).await?;
    /// let names = cache
    ///     .get_or_load_many(["1", "2", "3"], |missing| async move {
    ///         assert_eq!(missing, ["2", "3"]);
    ///         Ok::<_, Error>(HashMap::from([("2".to_owned(), "two".to_owned())])) // one query, say
    ///     })
    ///     .await;
    /// assert!(names[0].as_ref().unwrap().as_ref().unwrap().is_hit());
    /// assert_eq!(**names[1].as_ref().unwrap().as_ref().unwrap(), "two");
    /// assert!(names[2].as_ref().unwrap().is_none());
    /// # Ok(()) }) }
    /// ```
    pub async fn get_or_load_many<T, B, E, Fut>(
        &self,
        keys: impl IntoIterator<Item = impl AsRef<str>>,
        loader: impl FnMut(Vec<String>) -> Fut + Send + 'static,
    ) -> Vec<Result<Option<Outcome<T>>>>
    where
        T: Cacheable,
        B: Into<LoadedBatch<T>>,
        E: Into<BoxError>,
        Fut: Future<Output = Result<B, E>> + Send + 'static,
    {
        self.get_or_load_many_with(keys, EntryOptions::new(), loader).await
    }

    /// As [`get_or_load_many`](Cache::get_or_load_many), with a timeout or other options of its own.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() { example(|cache| async move {
    /// # use larder_core::{Error, LoadedBatch};
    /// use std::time::Duration;
    /// let load = |keys: Vec<String>| async move {
    ///     Ok::<LoadedBatch<usize>, Error>(keys.into_iter().map(|key| (key.clone(), key.len())).collect())
    /// };
    /// let lengths = cache.get_or_load_many_with(["a", "bb"], Duration::from_secs(5), load).await;
    /// assert_eq!(**lengths[1].as_ref().unwrap().as_ref().unwrap(), 2);
    /// # Ok(()) }) }
    /// ```
    pub async fn get_or_load_many_with<T, B, E, Fut>(
        &self,
        keys: impl IntoIterator<Item = impl AsRef<str>>,
        options: impl Into<EntryOptions>,
        mut loader: impl FnMut(Vec<String>) -> Fut + Send + 'static,
    ) -> Vec<Result<Option<Outcome<T>>>>
    where
        T: Cacheable,
        B: Into<LoadedBatch<T>>,
        E: Into<BoxError>,
        Fut: Future<Output = Result<B, E>> + Send + 'static,
    {
        let texts: Vec<String> = keys.into_iter().map(|key| key.as_ref().to_owned()).collect();
        let mut asked = Vec::with_capacity(texts.len());
        let mut found = HashMap::with_capacity(texts.len());
        let mut seen = HashSet::with_capacity(texts.len());
        for text in texts.iter().filter(|text| seen.insert(text.as_str())) {
            match self.key(text) {
                Ok(key) => asked.push(Asked { text: text.clone(), key }),
                Err(error) => drop(found.insert(text.clone(), Err(error))),
            }
        }
        let loader: BatchLoader<T> = Box::new(move |missing| {
            let load = loader(missing);
            Box::pin(async { load.await.map(Into::into).map_err(loader_failed) })
        });
        found.extend(Box::pin(self.inner.load_many(asked, options.into(), loader)).await);
        texts.iter().map(|text| found[text].clone()).collect()
    }
}

type Results<T> = Vec<(String, Result<Option<Outcome<T>>>)>;

impl Inner {
    async fn load_many<T: Cacheable>(
        self: &Arc<Self>,
        asked: Vec<Asked>,
        options: EntryOptions,
        mut loader: BatchLoader<T>,
    ) -> Results<T> {
        let mut results = Vec::with_capacity(asked.len());
        let mut missing = asked;
        for _ in 0..ROUNDS {
            missing = self.load_round(missing, &options, &mut loader, &mut results).await;
            if missing.is_empty() {
                return results;
            }
        }
        let error = Error::new(
            ErrorKind::Overloaded,
            format!("{ROUNDS} loads of this key that were joined came to nothing"),
        );
        results.extend(missing.into_iter().map(|asked| (asked.text, Err(error.clone()))));
        results
    }

    /// Reads, joins what is being loaded, loads the rest. Returns the keys to begin anew with.
    async fn load_round<T: Cacheable>(
        self: &Arc<Self>,
        asked: Vec<Asked>,
        options: &EntryOptions,
        loader: &mut BatchLoader<T>,
        results: &mut Results<T>,
    ) -> Vec<Asked> {
        let flights = &self.handle.flights;
        let seen: Vec<u64> = asked.iter().map(|asked| flights.changes(&asked.key)).collect();
        let keys: Vec<Key> = asked.iter().map(|asked| asked.key.clone()).collect();
        let found = self.read_many(&keys).await;
        let (mut leading, mut following) = (Vec::new(), Vec::new());
        for ((asked, seen), found) in asked.into_iter().zip(seen).zip(found) {
            match self.batch_place(&asked, seen, found).await {
                Ok(BatchPlace::Hit(value)) => {
                    results.push((asked.text, Ok(Some(Outcome::new(value, Source::Hit)))));
                }
                Ok(BatchPlace::Lead(guard)) => {
                    following.push((
                        FlightTable::follow(guard.flight()),
                        true,
                        Asked { text: asked.text.clone(), key: asked.key },
                    ));
                    leading.push((guard, asked.text));
                }
                Ok(BatchPlace::Follow(follow)) => following.push((follow, false, asked)),
                Err(error) => results.push((asked.text, Err(error))),
            }
        }
        if !leading.is_empty() {
            let texts = leading.iter().map(|(_, text)| text.clone()).collect();
            // Called here, as it is one closure for all rounds; a panic in it ends the load, not the caller.
            let load = catch_unwind(AssertUnwindSafe(|| loader(texts)))
                .unwrap_or_else(|panic| Box::pin(ready(Err(panicked(&*panic)))));
            let task =
                Arc::clone(self).fly_many(leading, options.clone(), Chain::current(), Box::new(|| load));
            if let Err(error) = self.start(task) {
                results.extend(following.into_iter().map(|(_, _, asked)| (asked.text, Err(error.clone()))));
                return Vec::new();
            }
        }
        let mut again = Vec::new();
        for (mut follow, own, asked) in following {
            match self.land::<T>(&mut follow).await {
                Ok(Landed::Value(value, kept)) => {
                    let source = if own { Source::Loaded(kept) } else { Source::Joined(kept) };
                    results.push((asked.text, Ok(Some(Outcome::new(value, source)))));
                }
                Ok(Landed::Nothing) if own => results.push((asked.text, Ok(None))),
                Ok(Landed::Alone | Landed::Again) if own => results.push((asked.text, Err(dropped()))),
                Ok(Landed::Alone | Landed::Again | Landed::Nothing) => again.push(asked),
                Err(error) => results.push((asked.text, Err(error))),
            }
        }
        again
    }

    async fn batch_place<T: Cacheable>(
        self: &Arc<Self>,
        asked: &Asked,
        seen: u64,
        found: Result<Option<crate::value::Opened>>,
    ) -> Result<BatchPlace<T>> {
        let key = &asked.key;
        let found = match (found, self.load_errors) {
            (Err(error), super::FailurePolicy::Return) => return Err(error),
            (found, _) => found.unwrap_or_default(),
        };
        if let Some(hit) = found.and_then(|opened| self.typed(key, opened)) {
            return Ok(BatchPlace::Hit(hit));
        }
        if self.tasks.is_closed() {
            return Err(Error::new(ErrorKind::Unavailable, "the cache is closed").with_retryable(false));
        }
        match self.handle.flights.join(key, seen, self.load_deadline()) {
            Place::Leader { guard, recheck } => {
                if recheck && let Some(hit) = self.find_for_load(key).await? {
                    return Ok(BatchPlace::Hit(hit));
                }
                self.miss(key);
                Ok(BatchPlace::Lead(guard))
            }
            Place::Follower(_) if Chain::current().is_loading(&self.handle.flights, key) => {
                Err(Error::new(ErrorKind::Load, "a loader asked for the key that it is loading"))
            }
            Place::Follower(follow) => {
                self.miss(key);
                self.joined(key);
                if Chain::current().is_nested() {
                    follow.flight.hurry();
                }
                Ok(BatchPlace::Follow(follow))
            }
        }
    }

    /// The load of a batch, in its own task.
    async fn fly_many<T: Cacheable>(
        self: Arc<Self>,
        leading: Vec<(LeaderGuard, String)>,
        options: EntryOptions,
        chain: Chain,
        loader: Loader<'static, LoadedBatch<T>>,
    ) {
        let guards: Vec<&LeaderGuard> = leading.iter().map(|(guard, _)| guard).collect();
        let keys = guards.iter().map(|guard| guard.key().clone()).collect();
        let load = self.run_loader(&guards, keys, chain, loader);
        let Some((result, took)) = while_watched(&guards, load).await else { return };
        let mut batch = match result {
            Ok(batch) => batch.0,
            Err(error) => {
                return leading.into_iter().for_each(|(guard, _)| guard.land(Landing::Failed(error.clone())));
            }
        };
        let (mut writes, mut writing) = (Vec::new(), Vec::new());
        for (guard, text) in leading {
            match batch.remove(&text) {
                Some(Ok(found)) => match self.prepare(&guard, found, &options, took) {
                    (value, Ok((write, expiry))) => {
                        writes.push((write, guard.key().clone(), value.clone(), expiry));
                        writing.push((guard, value));
                    }
                    (value, Err(why)) => self.land_loaded(guard, value, took, Kept::No(why)),
                },
                Some(Err(error)) => {
                    self.load_failed(guard.key(), took, &error);
                    guard.land(Landing::Failed(error));
                }
                None => guard.land(Landing::Nothing),
            }
        }
        let kept = self.write_many(writes).await;
        for ((guard, value), kept) in writing.into_iter().zip(kept) {
            self.land_loaded(guard, value, took, kept);
        }
    }

    fn land_loaded(&self, guard: LeaderGuard, value: Value, took: Duration, kept: Kept) {
        self.loaded(guard.key(), took, kept);
        guard.land(Landing::Value(value, kept));
    }
}

enum BatchPlace<T> {
    Hit(Arc<T>),
    Lead(LeaderGuard),
    Follow(Follow),
}
