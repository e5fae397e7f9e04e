//! Many keys in one call: as few round trips as there are slots, and nothing that crosses them.

use std::collections::HashMap;

use bytes::Bytes;
use foldhash::fast::RandomState;
use fred::{types::Value as Answer, util::redis_keyslot};
use futures_util::{StreamExt as _, stream};
use larder_core::{Error, Expiry, Key, Result, Value};

use crate::{
    command::Command, deadline::Deadline, engine::Engine, error, lane::Lane, trust::Trust, wire::Found,
};

/// How many keys one command asks for, at most.
const KEYS: usize = 512;
/// How many commands of a batch are in flight at once, at most.
const COMMANDS: usize = 256;

/// Whether an answer of so many values can be one that the client takes for news of a channel, as its first value is `message`,
/// `subscribe` or the like. It drops such an answer; each later caller then gets the answer to another one's command. Any other
/// program can have put such a value under a key.
fn is_like_news(count: usize) -> bool {
    (3..=5).contains(&count)
}

/// A group as it may be asked for.
fn apart(group: &[usize]) -> impl Iterator<Item = Vec<usize>> {
    let size = if is_like_news(group.len()) { 2 } else { group.len().max(1) };
    group.chunks(size).map(<[usize]>::to_vec)
}

/// The value of an answer, if it is an entry that may be served.
fn served(answer: Answer, trust: &Trust) -> Option<Value> {
    let found = answer.into_bytes().and_then(|bytes| Found::new(bytes, trust.mark));
    found.map(Found::into_value)
}

impl Engine {
    pub(crate) async fn get_many(&self, keys: &[Key]) -> Vec<Result<Option<Value>>> {
        let (lane, deadline) = (&*self.lane(), self.deadline());
        for _ in 0..3 {
            let trust = match self.trust(lane, &deadline).await {
                Ok(trust) => trust,
                Err(error) => return keys.iter().map(|_| Err(error.clone())).collect(),
            };
            let read = self.read_many(lane, keys, &trust, &deadline).await;
            if trust.holds(lane) {
                return read;
            }
        }
        keys.iter().map(|_| Err(error::restless())).collect()
    }

    async fn read_many(
        &self,
        lane: &Lane,
        keys: &[Key],
        trust: &Trust,
        deadline: &Deadline<'_>,
    ) -> Vec<Result<Option<Value>>> {
        if !self.topology.is_cluster() && (1..=KEYS).contains(&keys.len()) && !is_like_news(keys.len()) {
            return match self.read_group(lane, keys.iter(), deadline).await {
                Ok(values) => values.into_iter().map(|value| Ok(served(value, trust))).collect(),
                Err(error) => keys.iter().map(|_| Err(error.clone())).collect(),
            };
        }
        Box::pin(self.read_groups(lane, keys, trust, deadline)).await
    }

    async fn read_groups(
        &self,
        lane: &Lane,
        keys: &[Key],
        trust: &Trust,
        deadline: &Deadline<'_>,
    ) -> Vec<Result<Option<Value>>> {
        let groups = self.groups(keys);
        let mut results: Vec<Result<Option<Value>>> = keys.iter().map(|_| Ok(None)).collect();
        let ask = |group: &'_ Vec<usize>| {
            let group = group.clone();
            async move { self.read_group(lane, group.iter().map(|at| &keys[*at]), deadline).await }
        };
        let asked: Vec<_> = groups.iter().map(ask).collect();
        // In order, so that the first are sent first; what is behind the bound is sent as answers come.
        let mut answers = stream::iter(asked).buffered(COMMANDS);
        let mut group = groups.iter();
        while let (Some(answer), Some(group)) = (answers.next().await, group.next()) {
            match answer {
                Ok(values) => {
                    for (at, value) in group.iter().zip(values) {
                        results[*at] = Ok(served(value, trust));
                    }
                }
                Err(error) => {
                    for at in group {
                        results[*at] = Err(error.clone());
                    }
                }
            }
        }
        results
    }

    /// The positions of keys that one command can ask for.
    fn groups(&self, keys: &[Key]) -> Vec<Vec<usize>> {
        if !self.topology.is_cluster() {
            let positions: Vec<usize> = (0..keys.len()).collect();
            return positions.chunks(KEYS).flat_map(apart).collect();
        }
        let mut slots: HashMap<u16, usize, RandomState> = HashMap::default();
        let mut groups: Vec<Vec<usize>> = Vec::new();
        for (at, key) in keys.iter().enumerate() {
            let group = *slots.entry(redis_keyslot(&self.key(key))).or_insert(groups.len());
            match groups.get_mut(group) {
                Some(group) => group.push(at),
                None => groups.push(vec![at]),
            }
        }
        groups.iter().flat_map(|group| apart(group)).collect()
    }

    async fn read_group<'k>(
        &self,
        lane: &Lane,
        keys: impl ExactSizeIterator<Item = &'k Key> + Clone,
        deadline: &Deadline<'_>,
    ) -> Result<Vec<Answer>> {
        let _inside = self.gate.enter(1)?;
        let count = keys.len();
        let command = Command::GetMany(self.keys_of(keys));
        match self.exec_read(lane, deadline, command).await? {
            Answer::Array(values) if values.len() == count => Ok(values),
            // A single value is not always in a list.
            value if count == 1 => Ok(vec![value]),
            _ => Err(Error::new(
                larder_core::ErrorKind::Corrupt,
                "the server answered for another number of keys",
            )),
        }
    }

    pub(crate) async fn set_many(&self, entries: Vec<(Key, Value, Expiry)>) -> Vec<Result<()>> {
        let deadline = self.deadline();
        // Of entries with one key only the last one is sent: a redirected one would otherwise come after it.
        let mut last: HashMap<&str, usize, RandomState> = HashMap::default();
        for (at, (key, ..)) in entries.iter().enumerate() {
            last.insert(key.as_str(), at);
        }
        let writes = entries.iter().enumerate().map(|(at, (key, value, expiry))| {
            let is_last = last.get(key.as_str()) == Some(&at);
            let deadline = &deadline;
            async move {
                if !is_last {
                    return Ok(());
                }
                let _inside = self.gate.enter(1)?;
                self.set(key, value, *expiry, deadline).await
            }
        });
        let writes: Vec<_> = writes.collect();
        let mut results: Vec<Result<()>> = stream::iter(writes).buffered(COMMANDS).collect().await;
        for at in 0..results.len() {
            let last_one = last.get(entries[at].0.as_str()).copied().unwrap_or(at);
            if last_one != at {
                let decided = results[last_one].clone();
                results[at] = decided;
            }
        }
        results
    }

    pub(crate) async fn delete_many(&self, keys: &[Key]) -> Vec<Result<bool>> {
        let deadline = self.deadline();
        let deletes = keys.iter().map(|key| {
            let deadline = &deadline;
            async move {
                let _inside = self.gate.enter(1)?;
                let key = self.key(key);
                self.remove(&self.write_lane(&key), key.clone(), deadline).await
            }
        });
        let deletes: Vec<_> = deletes.collect();
        stream::iter(deletes).buffered(COMMANDS).collect().await
    }

    /// What is over when it is set: nothing is there afterwards.
    pub(crate) async fn set_past(
        &self,
        lane: &Lane,
        key: Bytes,
        value: &Value,
        deadline: &Deadline<'_>,
    ) -> Result<()> {
        // Refused like any other, so that what is too large is always said to be.
        self.entry(None, value)?;
        self.remove(lane, key, deadline).await.map(drop)
    }

    async fn set(&self, key: &Key, value: &Value, expiry: Expiry, deadline: &Deadline<'_>) -> Result<()> {
        let key: Bytes = self.key(key);
        let lane = &*self.write_lane(&key);
        if expiry.is_past() {
            return self.set_past(lane, key, value, deadline).await;
        }
        self.store(lane, key, value, expiry, false, deadline).await.map(drop)
    }
}
