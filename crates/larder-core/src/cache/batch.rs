//! Many keys in one call.

use std::{collections::HashMap, sync::Arc, time::Duration};

use futures_util::future::{join, join_all};

use super::{
    Cache,
    inner::Inner,
    look::Fencing,
    ops::{Operation, is_trouble},
};
use crate::{
    Cacheable, EntryMeta, EntryOptions, Error, ErrorKind, Expiry, IntoKey, Key, Result, Value, entry::Stamp,
    flight::Fence, value::Opened,
};

impl Cache {
    /// [`get`](Cache::get) for each key: the values in the order of the keys, duplicates kept. A key that fails is an error
    /// of its own.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() { example(|cache| async move {
    /// cache.set("a", 1_u8).await?;
    /// let found = cache.get_many::<u8>(["a", "b"]).await;
    /// assert_eq!(found[0].as_ref().unwrap().as_deref(), Some(&1));
    /// assert!(found[1].as_ref().unwrap().is_none());
    /// # Ok(()) }) }
    /// ```
    pub async fn get_many<T: Cacheable>(
        &self,
        keys: impl IntoIterator<Item: IntoKey>,
    ) -> Vec<Result<Option<Arc<T>>>> {
        let keys: Vec<Result<Key>> = keys.into_iter().map(|key| self.key(key)).collect();
        let valid: Vec<Key> = keys.iter().filter_map(|key| key.as_ref().ok()).cloned().collect();
        let mut found = self.inner.read_many(&valid).await.into_iter();
        keys.into_iter()
            .map(|key| {
                let key = key?;
                let opened = found.next().expect("one result for each valid key");
                let value =
                    self.inner.explicit(opened, || None)?.and_then(|opened| self.inner.typed(&key, opened));
                if value.is_none() {
                    self.inner.miss(&key);
                }
                Ok(value)
            })
            .collect()
    }

    /// The keys that were found, with their values. The first failing key is the error of the whole.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() { example(|cache| async move {
    /// cache.set("a", 1_u8).await?;
    /// let found = cache.get_map::<u8>(["a", "b"]).await?;
    /// assert_eq!(found.len(), 1);
    /// assert_eq!(*found["a"], 1);
    /// # Ok(()) }) }
    /// ```
    pub async fn get_map<T: Cacheable>(
        &self,
        keys: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Result<HashMap<String, Arc<T>>> {
        let keys: Vec<String> = keys.into_iter().map(|key| key.as_ref().to_owned()).collect();
        let found = self.get_many(&keys).await;
        keys.into_iter()
            .zip(found)
            .filter_map(|(key, value)| Some(value.transpose()?.map(|value| (key, value))))
            .collect()
    }

    /// [`set`](Cache::set) for each entry. One result for each, in order.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() { example(|cache| async move {
    /// let stored = cache.set_many([("a", 1_u8), ("b", 2_u8)]).await;
    /// assert!(stored.iter().all(Result::is_ok));
    /// # Ok(()) }) }
    /// ```
    pub async fn set_many<K: IntoKey, T: Cacheable>(
        &self,
        entries: impl IntoIterator<Item = (K, T)>,
    ) -> Vec<Result<()>> {
        self.set_many_with(entries, EntryOptions::new()).await
    }

    /// As [`set_many`](Cache::set_many), with a timeout or other options of its own.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() { example(|cache| async move {
    /// use larder_core::Timeout;
    /// let stored = cache.set_many_with([("a", 1_u8), ("b", 2_u8)], Timeout::Never).await;
    /// assert_eq!(stored.len(), 2);
    /// # Ok(()) }) }
    /// ```
    pub async fn set_many_with<K: IntoKey, T: Cacheable>(
        &self,
        entries: impl IntoIterator<Item = (K, T)>,
        options: impl Into<EntryOptions>,
    ) -> Vec<Result<()>> {
        let policy = self.inner.policy(&options.into());
        let given: Vec<_> =
            entries.into_iter().map(|(key, value)| (self.key(key), Arc::new(value))).collect();
        let mut entries: Vec<Result<(Key, (Value, Expiry))>> = Vec::with_capacity(given.len());
        // Keys of one namespace hold the same stamps.
        let mut known: Option<(String, Result<Vec<Stamp>>)> = None;
        for (key, value) in given {
            let (Ok(key), Ok(policy)) = (&key, &policy) else {
                entries.push(Err(key.err().or(policy.as_ref().err().cloned()).expect("one of them is")));
                continue;
            };
            if known.as_ref().is_none_or(|(path, _)| path != key.namespace()) {
                known = Some((key.namespace().to_owned(), self.inner.stamps_to_write(key, policy).await));
            }
            let stamps = known.as_ref().expect("filled just now").1.clone();
            let (now, taken) = (self.inner.clock.now(), Duration::ZERO);
            entries.push(
                stamps.map(|stamps| (key.clone(), self.inner.entry(value, policy, now, taken, stamps))),
            );
        }
        let invalid: Vec<Option<Error>> = entries.iter().map(|entry| entry.as_ref().err().cloned()).collect();
        let valid: Vec<(Key, Value, Expiry)> =
            entries.into_iter().flatten().map(|(key, (value, expiry))| (key, value, expiry)).collect();
        let keys: Vec<Key> = valid.iter().map(|(key, ..)| key.clone()).collect();
        let inner = Arc::clone(&self.inner);
        let write = async move {
            Ok(inner
                .fenced_many(Operation::idempotent("set_many"), keys, inner.handle.store.set_many(valid))
                .await)
        };
        merge(invalid, self.inner.to_the_end(write).await)
    }

    /// [`delete`](Cache::delete) for each key. One result for each, in order.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() { example(|cache| async move {
    /// cache.set("a", 1_u8).await?;
    /// let gone = cache.delete_many(["a", "b"]).await;
    /// assert_eq!((*gone[0].as_ref().unwrap(), *gone[1].as_ref().unwrap()), (true, false));
    /// # Ok(()) }) }
    /// ```
    #[must_use = "a failed invalidation leaves old data: handle its error"]
    pub fn delete_many(
        &self,
        keys: impl IntoIterator<Item: IntoKey>,
    ) -> impl Future<Output = Vec<Result<bool>>> + Send {
        let keys: Vec<Result<Key>> = keys.into_iter().map(|key| self.key(key)).collect();
        let inner = Arc::clone(&self.inner);
        async move {
            let invalid = keys.iter().map(|key| key.as_ref().err().cloned()).collect();
            let valid: Vec<Key> = keys.into_iter().flatten().collect();
            let work = Arc::clone(&inner);
            merge(invalid, inner.to_the_end(async move { Ok(work.invalidate_many(&valid).await) }).await)
        }
    }
}

impl Inner {
    /// Reads many entries in one call to the store.
    pub(super) async fn read_many(self: &Arc<Self>, keys: &[Key]) -> Vec<Result<Option<Opened>>> {
        let served = if self.handle.flights.quarantine.is_empty() {
            vec![true; keys.len()]
        } else {
            // At once, not one after the other: a store that hangs takes one timeout, not one for each key.
            join_all(keys.iter().map(|key| self.is_served(key))).await
        };
        let call = self.handle.store.get_many(keys);
        let found = self.batched(Operation::idempotent("get_many"), keys.len(), call).await;
        let now = self.clock.now();
        let opened: Vec<Result<Option<Opened>>> = keys
            .iter()
            .zip(found)
            .zip(served)
            .map(|((key, value), served)| {
                Ok(value?.filter(|_| served).and_then(|value| self.judge(key, now, value)))
            })
            .collect();
        let metas = opened.iter().map(|opened| opened.as_ref().ok()?.as_ref()?.meta());
        let stamps = metas.map(|meta| meta.map(EntryMeta::stamps).unwrap_or_default());
        let entries: Vec<_> = keys.iter().zip(stamps).collect();
        let valid = self.all_stamps_hold(&entries).await;
        opened
            .into_iter()
            .zip(valid)
            .map(|(opened, valid)| match opened? {
                Some(opened) => Ok(valid?.then_some(opened)),
                None => Ok(None),
            })
            .collect()
    }

    /// A batch, within the operation timeout: one result for each of its `len` keys, whose errors are counted.
    pub(super) async fn batched<T>(
        &self,
        operation: Operation,
        len: usize,
        batch: impl Future<Output = Vec<Result<T>>>,
    ) -> Vec<Result<T>> {
        let mut results = match self.point(operation, async { Ok(batch.await) }).await {
            Ok(results) => results,
            Err(error) => return (0..len).map(|_| Err(error.clone())).collect(),
        };
        if results.len() != len {
            let is = results.len();
            let broken = format!("the store's `{}` returned {is} results for {len} keys", operation.name);
            let broken = Error::new(ErrorKind::Corrupt, broken);
            // Which result belongs to which key is anyone's guess.
            results = (0..len).map(|_| Err(broken.clone())).collect();
        }
        for error in results.iter().filter_map(|result| result.as_ref().err()) {
            if is_trouble(error) {
                self.store_error(operation.name, error);
            }
        }
        results
    }

    /// `delete` for each key, fenced from running loads.
    async fn invalidate_many(&self, keys: &[Key]) -> Vec<Result<bool>> {
        let delete = self.handle.store.delete_many(keys);
        let delete = self.fenced_many(Operation::idempotent("delete_many"), keys.to_vec(), delete);
        if self.fencing == Fencing::Process {
            return delete.await;
        }
        // As a single `delete` does: a lease alone was nothing.
        let look = self.handle.store.get_many(keys);
        let look = self.batched(Operation::idempotent("get_many"), keys.len(), look);
        let (found, deleted) = join(look, delete).await;
        let was_there = found
            .into_iter()
            .map(|found| !matches!(found.ok().flatten().map(Value::open), Some(Ok(Opened::LeaseOnly(_)))));
        deleted.into_iter().zip(was_there).map(|(deleted, was_there)| Ok(deleted? && was_there)).collect()
    }

    /// A batch of writes, each fenced from running loads of its key.
    async fn fenced_many<T>(
        &self,
        operation: Operation,
        keys: Vec<Key>,
        batch: impl Future<Output = Vec<Result<T>>>,
    ) -> Vec<Result<T>> {
        let mut fences = Vec::with_capacity(keys.len());
        for key in &keys {
            fences.push(Fence::around_key(&self.handle.flights, key).await);
        }
        let results = self.batched(operation, keys.len(), batch).await;
        for (fence, result) in fences.into_iter().zip(&results) {
            super::write::settle(fence, result, true);
        }
        results
    }
}

/// Puts the errors of invalid keys back where those keys stood.
fn merge<T>(invalid: Vec<Option<Error>>, valid: Result<Vec<Result<T>>>) -> Vec<Result<T>> {
    let (mut results, failed) = match valid {
        Ok(results) => (results.into_iter(), None),
        Err(error) => (Vec::new().into_iter(), Some(error)),
    };
    let mut next = || match &failed {
        Some(error) => Err(error.clone()),
        None => results.next().expect("one result for each valid key"),
    };
    invalid.into_iter().map(|invalid| invalid.map_or_else(&mut next, Err)).collect()
}
