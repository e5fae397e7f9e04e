//! Looking at every key there is, in bounded steps: `clear`, `keys` and `len`.

use std::{
    collections::HashSet,
    hash::{BuildHasher as _, RandomState},
    time::Duration,
};

use bytes::Bytes;
use fred::{
    interfaces::ClusterInterface as _,
    types::{Value as Answer, config::Server},
};
use futures_util::{StreamExt as _, stream};
use larder_core::{Error, ErrorKind, Key, Namespace, Result};

use crate::{
    command::Command,
    deadline::Deadline,
    engine::{Engine, unconfirmed},
    error::Effect,
    lane::Lane,
    trust::Trust,
};

/// How many keys the server looks at in one step.
const STEP: i64 = 1_000;
/// What one step may take, at least.
const STEP_TIME: Duration = Duration::from_secs(5);
/// How many keys one command removes, at most.
const REMOVED: usize = 500;
const COMMANDS: usize = 64;

/// One look at every server, key by key.
struct Walk<'a> {
    engine: &'a Engine,
    lane: &'a Lane,
    deadline: &'a Deadline<'a>,
    pattern: String,
    /// Those not yet seen, the present one last. `None` stands for the only one.
    servers: Vec<Option<Server>>,
    cursor: Option<Bytes>,
    connections: u64,
}

enum Step {
    Keys(Vec<(Bytes, Key)>),
    /// A cursor means nothing to another server: begin again.
    Interrupted,
    Done,
}

impl<'a> Walk<'a> {
    async fn new(
        engine: &'a Engine,
        lane: &'a Lane,
        namespace: &Namespace,
        deadline: &'a Deadline<'a>,
    ) -> Result<Self> {
        lane.ready(Effect::None, deadline).await?;
        let connections = lane.connections();
        let servers = if engine.topology.is_cluster() {
            let primaries = primaries(lane);
            if primaries.is_empty() {
                return Err(lane.down());
            }
            primaries.into_iter().map(Some).collect()
        } else {
            vec![None]
        };
        let pattern = format!("{}*", escape(&format!("{}{}", engine.settings.prefix, namespace.as_str())));
        Ok(Self { engine, lane, deadline, pattern, servers, cursor: None, connections })
    }

    async fn step(&mut self) -> Result<Step> {
        let Some(server) = self.servers.last() else { return Ok(Step::Done) };
        if self.deadline.left().is_none() {
            return Err(out_of_time());
        }
        let command = Command::bare("SCAN")
            .arg(self.cursor.take().unwrap_or_else(|| Bytes::from_static(b"0")))
            .arg("MATCH")
            .arg(self.pattern.as_str())
            .arg("COUNT")
            .arg(STEP);
        let step = Deadline::after(self.deadline.clock, self.engine.step_time(self.deadline));
        let answer = self.engine.exec_at(self.lane, &step, server.as_ref(), command).await;
        if self.lane.connections() != self.connections {
            return Ok(Step::Interrupted);
        }
        let (cursor, found) = match answer? {
            Answer::Array(parts) => match <[Answer; 2]>::try_from(parts) {
                Ok([cursor, Answer::Array(found)]) => (cursor.into_bytes(), found),
                _ => (None, Vec::new()),
            },
            _ => (None, Vec::new()),
        };
        let Some(cursor) = cursor else {
            return Err(Error::new(ErrorKind::Corrupt, "the server answered SCAN with something else"));
        };
        if &cursor[..] == b"0" {
            self.servers.pop();
        } else {
            self.cursor = Some(cursor);
        }
        let prefix = self.engine.settings.prefix.as_bytes();
        let ours = found.into_iter().filter_map(|name| {
            let name = name.into_bytes()?;
            let key = Key::parse(std::str::from_utf8(name.strip_prefix(prefix)?).ok()?).ok()?;
            Some((name, key))
        });
        Ok(Step::Keys(ours.collect()))
    }
}

fn out_of_time() -> Error {
    Error::new(ErrorKind::Timeout, "not done in time (`scan_timeout`)")
}

/// The primaries of a cluster.
pub(crate) fn primaries(lane: &Lane) -> Vec<Server> {
    lane.client().cached_cluster_state().map(|state| state.unique_primary_nodes()).unwrap_or_default()
}

/// A pattern that matches this text alone.
fn escape(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len() + 1);
    for part in text.chars() {
        if matches!(part, '*' | '?' | '[' | ']' | '\\' | '^') {
            pattern.push('\\');
        }
        pattern.push(part);
    }
    pattern
}

impl Engine {
    fn scan_deadline(&self) -> Deadline<'_> {
        Deadline::after(self.clock(), self.settings.scan_timeout)
    }

    /// What one step of a long operation may take.
    fn step_time(&self, deadline: &Deadline<'_>) -> Duration {
        deadline.left().unwrap_or_default().min(self.settings.operation_timeout.max(STEP_TIME))
    }

    /// Removes what is in a namespace. A key on its way from one server of a cluster to another can be on neither when it
    /// is looked at, so that a cluster is looked at twice.
    pub(crate) async fn clear(&self, namespace: &Namespace) -> Result<()> {
        let (lane, deadline) = (self.write_lane(), self.scan_deadline());
        let mut passes = if self.topology.is_cluster() { 2 } else { 1 };
        while passes > 0 {
            let trust = Trust::over(lane);
            let mut walk = Walk::new(self, lane, namespace, &deadline).await?;
            loop {
                match walk.step().await? {
                    Step::Keys(keys) => self.remove_all(lane, keys, &deadline).await?,
                    Step::Interrupted => break,
                    Step::Done => {
                        if self.confirm_all(lane, &trust, &deadline).await? {
                            passes -= 1;
                        }
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    async fn remove_all(&self, lane: &Lane, keys: Vec<(Bytes, Key)>, deadline: &Deadline<'_>) -> Result<()> {
        let mut names: Vec<Bytes> = keys.into_iter().map(|(name, _)| name).collect();
        let slot =
            |name: &Bytes| if self.topology.is_cluster() { fred::util::redis_keyslot(name) } else { 0 };
        names.sort_by_key(slot);
        let groups = names.chunk_by(|a, b| slot(a) == slot(b)).flat_map(|group| group.chunks(REMOVED));
        let commands: Vec<_> = groups
            .map(|group| {
                let command = Command::Unlink(group.to_vec());
                async move {
                    let step = Deadline::after(deadline.clock, self.step_time(deadline));
                    self.exec(lane, Effect::Possible, &step, command).await
                }
            })
            .collect();
        let mut answers = stream::iter(commands).buffer_unordered(COMMANDS);
        while let Some(answer) = answers.next().await {
            answer?;
        }
        Ok(())
    }

    /// Whether what was removed is gone from as many replicas as asked, and over the connections there were at first.
    async fn confirm_all(&self, lane: &Lane, trust: &Trust, deadline: &Deadline<'_>) -> Result<bool> {
        if self.settings.wait_replicas > 0 {
            let servers = if self.topology.is_cluster() {
                primaries(lane).into_iter().map(Some).collect()
            } else {
                vec![None]
            };
            for server in servers {
                self.await_replicas_of(lane, server.as_ref(), deadline).await?;
            }
        }
        Ok(trust.holds(lane))
    }

    /// Waits until a server's replicas have what was removed. It asks several times, and not once for all of the time: a connection
    /// on which nothing is answered for long is given up.
    async fn await_replicas_of(
        &self,
        lane: &Lane,
        server: Option<&Server>,
        deadline: &Deadline<'_>,
    ) -> Result<()> {
        let wanted = i64::from(self.settings.wait_replicas);
        let all = Deadline::after(deadline.clock, self.step_time(deadline));
        let mut reached = 0;
        while let (true, Some(left)) = (reached < wanted, all.left()) {
            let time = left.min(self.settings.operation_timeout);
            let millis = i64::try_from(time.as_millis() * 9 / 10).unwrap_or(i64::MAX).max(1);
            let command = Command::bare("WAIT").arg(wanted).arg(millis);
            // The server looks at the time ten times a second.
            let step = Deadline::after(deadline.clock, time + self.settings.operation_timeout);
            reached = match self.exec_at(lane, &step, server, command).await {
                Ok(answer) => answer.as_i64().unwrap_or(0),
                Err(error) => {
                    return Err(unconfirmed("the replicas did not confirm the removal").with_source(error));
                }
            };
        }
        if reached < wanted {
            return Err(unconfirmed(format!(
                "{reached} replicas confirmed the removal in time, `wait_replicas` is {wanted}"
            )));
        }
        Ok(())
    }

    pub(crate) async fn keys(&self, namespace: &Namespace) -> Result<Vec<Key>> {
        let (lane, deadline) = (self.lane(), self.scan_deadline());
        'again: loop {
            let trust = self.trust(lane, &deadline).await?;
            let mut walk = Walk::new(self, lane, namespace, &deadline).await?;
            let mut found = HashSet::new();
            loop {
                match walk.step().await? {
                    Step::Keys(keys) => found.extend(self.trusted_keys(lane, keys, &trust).await?),
                    Step::Interrupted => continue 'again,
                    Step::Done => return Ok(found.into_iter().collect()),
                }
            }
        }
    }

    pub(crate) async fn len(&self) -> Result<u64> {
        let (lane, deadline) = (self.lane(), self.scan_deadline());
        'again: loop {
            let trust = self.trust(lane, &deadline).await?;
            let mut walk = Walk::new(self, lane, &Namespace::root(), &deadline).await?;
            // A key can be seen twice. Of each only a hash is kept: eight bytes for an entry.
            let (hasher, mut seen) = (RandomState::new(), HashSet::new());
            loop {
                match walk.step().await? {
                    Step::Keys(keys) => {
                        let keys = self.trusted_keys(lane, keys, &trust).await?;
                        seen.extend(keys.iter().map(|key| hasher.hash_one(key)));
                    }
                    Step::Interrupted => continue 'again,
                    Step::Done => return Ok(seen.len() as u64),
                }
            }
        }
    }

    /// Those of the keys whose entries may be served.
    async fn trusted_keys(&self, lane: &Lane, keys: Vec<(Bytes, Key)>, trust: &Trust) -> Result<Vec<Key>> {
        if trust.mark.is_none() {
            return Ok(keys.into_iter().map(|(_, key)| key).collect());
        }
        let look = |(name, key)| async move {
            let deadline = self.deadline();
            self.holds_entry(lane, name, trust, &deadline).await.map(|is_there| is_there.then_some(key))
        };
        let looks: Vec<_> = keys.into_iter().map(look).collect();
        let mut looks = stream::iter(looks).buffer_unordered(COMMANDS);
        let mut found = Vec::new();
        while let Some(look) = looks.next().await {
            found.extend(look?);
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_means_what_it_says() {
        assert_eq!(escape("shop:1/a%2A/"), "shop:1/a%2A/");
        assert_eq!(escape("a*?[^]\\b"), "a\\*\\?\\[\\^\\]\\\\b");
    }
}
