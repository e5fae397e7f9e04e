//! Many keys in one call: as few round trips as there are slots, and nothing that crosses them.

use std::collections::HashMap;

use bytes::Bytes;
use foldhash::fast::RandomState;
use fred::{interfaces::ClientLike as _, types::Value as Answer, util::redis_keyslot};
use futures_util::{StreamExt as _, stream};
use larder_core::{Error, Expiry, Key, Result, Value};

use crate::{
    command::Command,
    deadline::Deadline,
    engine::{self, Engine},
    error::{self, Effect},
    lane::Lane,
    trust::Trust,
    wire::Found,
};

/// How many keys one command asks for, at most.
const KEYS: usize = 512;
/// How many commands of a batch are in flight at once, at most.
const COMMANDS: usize = 256;

impl Engine {
    pub(crate) async fn get_many(&self, keys: &[Key]) -> Vec<Result<Option<Value>>> {
        let (lane, deadline) = (self.lane(), self.deadline());
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
        keys.iter().map(|_| Err(lane.down())).collect()
    }

    async fn read_many(
        &self,
        lane: &Lane,
        keys: &[Key],
        trust: &Trust,
        deadline: &Deadline<'_>,
    ) -> Vec<Result<Option<Value>>> {
        let groups = self.groups(keys);
        let mut results: Vec<Result<Option<Value>>> = keys.iter().map(|_| Ok(None)).collect();
        let asked: Vec<_> = groups.iter().map(|group| self.read_group(lane, keys, group, deadline)).collect();
        // In order, so that the first are sent first; what is behind the bound is sent as answers come.
        let mut answers = stream::iter(asked).buffered(COMMANDS);
        let mut group = groups.iter();
        while let (Some(answer), Some(group)) = (answers.next().await, group.next()) {
            match answer {
                Ok(values) => {
                    for (at, value) in group.iter().zip(values) {
                        let found = value.into_bytes().and_then(|bytes| Found::new(bytes, trust.mark));
                        results[*at] = Ok(found.map(Found::into_value));
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
            return positions.chunks(KEYS).map(<[usize]>::to_vec).collect();
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
        groups
    }

    async fn read_group(
        &self,
        lane: &Lane,
        keys: &[Key],
        group: &[usize],
        deadline: &Deadline<'_>,
    ) -> Result<Vec<Answer>> {
        let _inside = self.gate.enter(1)?;
        let mut own = group.iter().map(|at| Answer::Bytes(self.key(&keys[*at])));
        let mut command = Command::bare("MGET");
        if let Some(Answer::Bytes(first)) = own.next() {
            command = Command::new("MGET", first);
        }
        command.arguments.extend(own);
        match self.exec_read(lane, deadline, command).await? {
            Answer::Array(values) if values.len() == group.len() => Ok(values),
            // A single value is not always in a list.
            value if group.len() == 1 => Ok(vec![value]),
            _ => Err(Error::new(
                larder_core::ErrorKind::Corrupt,
                "the server answered for another number of keys",
            )),
        }
    }

    pub(crate) async fn set_many(&self, entries: Vec<(Key, Value, Expiry)>) -> Vec<Result<()>> {
        let (lane, deadline) = (self.write_lane(), self.deadline());
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
                self.set(lane, key, value, *expiry, deadline).await
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
        let (lane, deadline) = (self.write_lane(), self.deadline());
        let deletes = keys.iter().map(|key| {
            let deadline = &deadline;
            async move {
                let _inside = self.gate.enter(1)?;
                self.remove(lane, self.key(key), deadline).await
            }
        });
        let deletes: Vec<_> = deletes.collect();
        stream::iter(deletes).buffered(COMMANDS).collect().await
    }

    pub(crate) async fn set(
        &self,
        lane: &Lane,
        key: &Key,
        value: &Value,
        expiry: Expiry,
        deadline: &Deadline<'_>,
    ) -> Result<()> {
        let key: Bytes = self.key(key);
        if expiry.is_past() {
            // Refused like any other, so that what is too large is always said to be.
            self.entry(None, value)?;
            return self.remove(lane, key, deadline).await.map(drop);
        }
        self.store(lane, key, value, expiry, false, deadline).await.map(drop)
    }

    /// Sends a reading command to where reads go.
    async fn exec_read(&self, lane: &Lane, deadline: &Deadline<'_>, command: Command) -> Result<Answer> {
        if let (Some(replicas), true) = (lane.replicas(), lane.reader().is_some()) {
            let answer = replicas.custom(command.command.clone(), command.arguments.clone()).await;
            if !answer.as_ref().is_err_and(error::is_redirection) {
                return engine::settle(lane, answer, Effect::None);
            }
        }
        self.exec(lane, Effect::None, deadline, command).await
    }
}
