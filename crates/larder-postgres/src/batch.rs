//! Many keys in one statement, or, of writes, in one for each connection.

use std::collections::{BTreeMap, HashMap};

use futures_util::future::join_all;
use larder_core::{Error, Expiry, Key, Result, Value};

use crate::{
    engine::{Deadline, Engine},
    error::Effect,
    hub::Route,
    parameters::Parameters,
    rows::{self, Filing, Wire, get},
    sql::Sql,
};

/// How many keys, and how many bytes of values, one statement takes at most.
const KEYS: usize = 1_000;
const BYTES: usize = 8 << 20;

impl Engine {
    pub(crate) async fn get_many(&self, filing: &Filing, keys: &[Key]) -> Vec<Result<Option<Value>>> {
        let _place = match self.place() {
            Ok(place) => place,
            Err(error) => return all_fail(keys.len(), &error),
        };
        let mut results = Vec::with_capacity(keys.len());
        for keys in keys.chunks(KEYS) {
            match self.get_some(&mut self.operation_deadline(), filing, keys).await {
                Ok(some) => results.extend(some.into_iter().map(Ok)),
                Err(error) => results.extend(keys.iter().map(|_| Err(error.clone()))),
            }
        }
        results
    }

    async fn get_some(
        &self,
        deadline: &mut Deadline,
        filing: &Filing,
        keys: &[Key],
    ) -> Result<Vec<Option<Value>>> {
        let filed: Vec<_> = keys.iter().map(|key| filing.key(key)).collect();
        let mut asked: Vec<&[u8]> = filed.iter().map(AsRef::as_ref).collect();
        asked.sort_unstable();
        asked.dedup();
        let mut found: Vec<Option<Value>> = vec![None; asked.len()];
        for row in self.rows(deadline, Sql::GetMany, Route::Any, Effect::None, &[&asked]).await? {
            if let Ok(at) = asked.binary_search(&get::<&[u8]>(&row, 0)?) {
                found[at] = rows::value(row, 1)?;
            }
        }
        let find = |key: &[u8]| asked.binary_search(&key).ok().and_then(|at| found[at].clone());
        Ok(filed.iter().map(|key| find(key)).collect())
    }

    pub(crate) async fn set_many(
        &self,
        filing: &Filing,
        entries: Vec<(Key, Value, Expiry)>,
        salt: i64,
    ) -> Vec<Result<()>> {
        let _place = match self.place() {
            Ok(place) => place,
            Err(error) => return all_fail(entries.len(), &error),
        };
        let parts = self.split(filing, entries, |(key, ..)| key);
        let done = parts
            .into_iter()
            .map(|part| async move { (part.places, self.set_part(filing, part.items, salt).await) });
        together(join_all(done).await)
    }

    async fn set_part(
        &self,
        filing: &Filing,
        entries: Vec<(Key, Value, Expiry)>,
        salt: i64,
    ) -> Vec<Result<()>> {
        let limit = self.hub.connector.settings.max_value_bytes;
        let mut results: Vec<Result<()>> = Vec::with_capacity(entries.len());
        // Sorted, and of duplicates the last: a statement touches no row twice, and locks in the order of the keys.
        let mut last: BTreeMap<Vec<u8>, (usize, Wire, Expiry)> = BTreeMap::new();
        let mut of_key = Vec::with_capacity(entries.len());
        for (at, (key, value, expiry)) in entries.into_iter().enumerate() {
            let filed = filing.key(&key).into_owned();
            match Wire::of(value, limit) {
                Ok(wire) => {
                    last.insert(filed.clone(), (at, wire, expiry));
                    results.push(Ok(()));
                }
                Err(error) => results.push(Err(error)),
            }
            of_key.push((filed, key));
        }
        let gone: Vec<_> = last
            .iter()
            .filter(|(_, (_, _, expiry))| expiry.is_past())
            .map(|(_, (at, ..))| of_key[*at].1.clone())
            .collect();
        let mut failed: HashMap<Vec<u8>, Error> = HashMap::new();
        // What takes two statements has no more time for it than what takes one.
        let mut deadline = self.operation_deadline();
        for (key, deleted) in gone.iter().zip(self.delete_until(&mut deadline, filing, &gone).await) {
            if let Err(error) = deleted {
                failed.insert(filing.key(key).into_owned(), error);
            }
        }
        last.retain(|_, (_, _, expiry)| !expiry.is_past());
        let mut last = last.into_iter().peekable();
        while last.peek().is_some() {
            let (mut some, mut bytes) = (Vec::new(), 0);
            while let Some((key, (_, wire, expiry))) = last.next_if(|(_, (_, wire, _))| {
                some.is_empty() || (some.len() < KEYS && bytes + wire.len() <= BYTES)
            }) {
                bytes += wire.len();
                some.push((key, wire, rows::millis(expiry)));
            }
            if let Err(error) = self.set_some(&mut deadline, &some, salt).await {
                failed.extend(some.into_iter().map(|(key, ..)| (key, error.clone())));
            }
            deadline = self.operation_deadline();
        }
        for (result, (key, _)) in results.iter_mut().zip(&of_key) {
            if let (Ok(()), Some(error)) = (&result, failed.get(key)) {
                *result = Err(error.clone());
            }
        }
        results
    }

    async fn set_some(
        &self,
        deadline: &mut Deadline,
        some: &[(Vec<u8>, Wire, Option<f64>)],
        salt: i64,
    ) -> Result<()> {
        let keys: Vec<&[u8]> = some.iter().map(|(key, ..)| &key[..]).collect();
        let bytes: Vec<Option<&[u8]>> = some.iter().map(|(_, wire, _)| wire.bytes.as_deref()).collect();
        let ints: Vec<Option<i64>> = some.iter().map(|(_, wire, _)| wire.int).collect();
        let millis: Vec<Option<f64>> = some.iter().map(|(.., millis)| *millis).collect();
        let route = Route::Of(keys.first().map_or(0, |key| hash(key)));
        let parameters: Parameters<'_> = &[&keys, &bytes, &ints, &millis, &salt];
        self.rows(deadline, Sql::SetMany, route, Effect::Possible, parameters).await.map(drop)
    }

    pub(crate) async fn delete_many(&self, filing: &Filing, keys: &[Key]) -> Vec<Result<bool>> {
        let _place = match self.place() {
            Ok(place) => place,
            Err(error) => return all_fail(keys.len(), &error),
        };
        let parts = self.split(filing, keys.to_vec(), |key| key);
        let done = parts.into_iter().map(|part| async move {
            let mut deadline = self.operation_deadline();
            (part.places, self.delete_until(&mut deadline, filing, &part.items).await)
        });
        together(join_all(done).await)
    }

    /// Splits a batch of writes by the connection that the writes of each key take: on another one it would not come
    /// after those that were sent before, nor before those that are sent later, whose callers may be gone.
    fn split<T>(&self, filing: &Filing, items: Vec<T>, key: impl Fn(&T) -> &Key) -> Vec<Part<T>> {
        let mut parts: BTreeMap<usize, Part<T>> = BTreeMap::new();
        for (place, item) in items.into_iter().enumerate() {
            let lane = self.hub.lane_of(hash(&filing.key(key(&item))));
            let part = parts.entry(lane).or_insert_with(|| Part { places: Vec::new(), items: Vec::new() });
            part.places.push(place);
            part.items.push(item);
        }
        parts.into_values().collect()
    }

    /// The deadline is that of the first statement, and then of the last.
    async fn delete_until(
        &self,
        deadline: &mut Deadline,
        filing: &Filing,
        keys: &[Key],
    ) -> Vec<Result<bool>> {
        let mut results = Vec::with_capacity(keys.len());
        for (at, keys) in keys.chunks(KEYS).enumerate() {
            if at > 0 {
                *deadline = self.operation_deadline();
            }
            match self.delete_some(deadline, filing, keys).await {
                Ok(some) => results.extend(some.into_iter().map(Ok)),
                Err(error) => results.extend(keys.iter().map(|_| Err(error.clone()))),
            }
        }
        results
    }

    async fn delete_some(&self, deadline: &mut Deadline, filing: &Filing, keys: &[Key]) -> Result<Vec<bool>> {
        let filed: Vec<_> = keys.iter().map(|key| filing.key(key)).collect();
        let mut asked: Vec<&[u8]> = filed.iter().map(AsRef::as_ref).collect();
        asked.sort_unstable();
        asked.dedup();
        let route = Route::Of(asked.first().map_or(0, |key| hash(key)));
        let mut was_there = vec![false; asked.len()];
        for row in self.rows(deadline, Sql::DeleteMany, route, Effect::Possible, &[&asked]).await? {
            if let Ok(at) = asked.binary_search(&get::<&[u8]>(&row, 0)?) {
                was_there[at] = get(&row, 1)?;
            }
        }
        // The first of duplicates removes the entry, the others find nothing.
        let mut take =
            |key: &[u8]| asked.binary_search(&key).is_ok_and(|at| std::mem::take(&mut was_there[at]));
        Ok(filed.iter().map(|key| take(key)).collect())
    }
}

/// What of a batch goes by one connection, and which places it has in the batch.
struct Part<T> {
    places: Vec<usize>,
    items: Vec<T>,
}

/// The results of all parts, in the order of the batch.
fn together<T>(parts: Vec<(Vec<usize>, Vec<Result<T>>)>) -> Vec<Result<T>> {
    let mut all: Vec<_> = parts.into_iter().flat_map(|(places, done)| places.into_iter().zip(done)).collect();
    all.sort_unstable_by_key(|(place, _)| *place);
    all.into_iter().map(|(_, done)| done).collect()
}

fn all_fail<T>(count: usize, error: &Error) -> Vec<Result<T>> {
    (0..count).map(|_| Err(error.clone())).collect()
}

/// Which connection a key's writes take.
pub(crate) fn hash(key: &[u8]) -> u64 {
    use std::hash::BuildHasher as _;
    foldhash::fast::FixedState::with_seed(0).hash_one(key)
}
