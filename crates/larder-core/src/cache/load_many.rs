//! The batch form of a load: one loader for all the keys that are missing.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use super::{Cache, commit::loader_failed, inner::Inner};
use crate::{
    BoxError, BoxFuture, Cacheable, EntryOptions, Error, ErrorKind, Key, Loaded, Outcome, Result,
    policy::Policy,
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
pub struct LoadedBatch<T>(pub(super) HashMap<String, Result<Loaded<T>>>);

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
pub(super) type BatchLoader<T> =
    Box<dyn FnMut(Vec<String>) -> BoxFuture<'static, Result<LoadedBatch<T>>> + Send>;

/// One key of a batch.
pub(super) struct Asked {
    pub(super) text: String,
    pub(super) key: Key,
    /// It has been counted as missing.
    pub(super) counted: bool,
}

/// How often a batch may find that a load it waited for came to nothing, before that is an error.
const ROUNDS: usize = 8;

impl Cache {
    /// The values under many keys: one call of `loader` loads all that are missing and that nobody loads already. The loader
    /// is given the missing keys; it runs in a task of its own, under the rules of
    /// [`get_or_load`](Cache::get_or_load). It is called again, for the keys concerned, where another process was loading them
    /// or a load that this call joined was dropped, and they are still missing after that.
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
                Ok(key) => asked.push(Asked { text: text.clone(), key, counted: false }),
                Err(error) => drop(found.insert(text.clone(), Err(error))),
            }
        }
        let loader: BatchLoader<T> = Box::new(move |missing| {
            let load = loader(missing);
            Box::pin(async { load.await.map(Into::into).map_err(loader_failed) })
        });
        match self.inner.policy(&options.into()) {
            Ok(policy) => found.extend(Box::pin(self.inner.load_many(asked, policy, loader)).await),
            Err(error) => found.extend(asked.into_iter().map(|asked| (asked.text, Err(error.clone())))),
        }
        texts.iter().map(|text| found[text].clone()).collect()
    }
}

pub(super) type Results<T> = Vec<(String, Result<Option<Outcome<T>>>)>;

impl Inner {
    async fn load_many<T: Cacheable>(
        self: &Arc<Self>,
        asked: Vec<Asked>,
        policy: Arc<Policy>,
        mut loader: BatchLoader<T>,
    ) -> Results<T> {
        let mut results = Vec::with_capacity(asked.len());
        let mut missing = asked;
        for _ in 0..ROUNDS {
            missing = self.load_round(missing, &policy, &mut loader, &mut results).await;
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
}
