//! Looking at every key there is, in bounded steps: `clear`, `keys` and `len`.

use std::{
    collections::HashSet,
    hash::{BuildHasher as _, RandomState},
    time::Duration,
};

use bytes::Bytes;
use fred::types::config::Server;
use futures_util::{StreamExt as _, future, stream};
use larder_core::{Key, Namespace, Result};

use crate::{
    command::Command,
    deadline::Deadline,
    engine::{Engine, unconfirmed},
    error::Effect,
    lane::Lane,
    rounds::{Rounds, Step, Walk},
    trust::Trust,
};

/// What one step may take, at least.
const STEP_TIME: Duration = Duration::from_secs(5);
/// How many keys one command removes, at most.
const REMOVED: usize = 500;
const COMMANDS: usize = 64;

impl Engine {
    fn scan_deadline(&self) -> Deadline<'_> {
        Deadline::after(self.clock(), self.settings.scan_timeout)
    }

    /// What one step of a long operation may take.
    pub(crate) fn step_time(&self, deadline: &Deadline<'_>) -> Duration {
        deadline.left().unwrap_or_default().min(self.settings.operation_timeout.max(STEP_TIME))
    }

    /// Removes what is in a namespace.
    pub(crate) async fn clear(&self, namespace: &Namespace) -> Result<()> {
        let (lanes, deadline) = (self.write_lanes(), self.scan_deadline());
        let (lane, others) = lanes.split_first().expect("a store has at least one connection");
        // So what was written over them and never answered is there before it is looked for.
        let step = Deadline::after(self.clock(), self.step_time(&deadline));
        future::try_join_all(others.iter().map(|other| self.ping_over(other, &step))).await?;
        let mut rounds = Rounds::new(self, lane, namespace, &deadline);
        while let Some(mut walk) = rounds.next().await? {
            loop {
                match walk.step().await? {
                    Step::Keys(keys) => self.remove_all(lane, keys, &deadline).await?,
                    Step::Interrupted => {
                        rounds.interrupt();
                        break;
                    }
                    Step::Done => {
                        if self.confirm_all(&walk).await? {
                            rounds.end().await?;
                        } else {
                            rounds.interrupt();
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
    async fn confirm_all(&self, walk: &Walk<'_>) -> Result<bool> {
        if self.settings.wait_replicas > 0 {
            for server in &walk.servers {
                if !self.await_replicas_of(walk.lane, server.as_ref(), walk.deadline).await? {
                    return Ok(false);
                }
            }
        }
        Ok(walk.holds())
    }

    /// Waits until a server's replicas have what was removed; false: it was not this server that answered. It asks several times,
    /// and not once for all of the time: a connection on which nothing is answered for long is given up.
    async fn await_replicas_of(
        &self,
        lane: &Lane,
        server: Option<&Server>,
        deadline: &Deadline<'_>,
    ) -> Result<bool> {
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
                Ok(Some(answer)) => answer.as_i64().unwrap_or(0),
                Ok(None) => return Ok(false),
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
        Ok(true)
    }

    pub(crate) async fn keys(&self, namespace: &Namespace) -> Result<Vec<Key>> {
        let (lane, deadline) = (&*self.lane(), self.scan_deadline());
        let mut found = HashSet::new();
        let mut rounds = Rounds::new(self, lane, namespace, &deadline);
        while let Some(mut walk) = rounds.next().await? {
            let trust = self.trust(lane, &deadline).await?;
            loop {
                match walk.step().await? {
                    Step::Keys(keys) => found.extend(self.trusted_keys(lane, keys, &trust).await?),
                    Step::Interrupted => {
                        found.clear();
                        rounds.begin_again();
                        break;
                    }
                    Step::Done => {
                        rounds.end().await?;
                        break;
                    }
                }
            }
        }
        Ok(found.into_iter().collect())
    }

    pub(crate) async fn len(&self) -> Result<u64> {
        let (lane, deadline) = (&*self.lane(), self.scan_deadline());
        // A key can be seen twice. Of each only a hash is kept: eight bytes for an entry.
        let (hasher, mut seen) = (RandomState::new(), HashSet::new());
        let mut rounds = Rounds::new(self, lane, &Namespace::root(), &deadline);
        while let Some(mut walk) = rounds.next().await? {
            let trust = self.trust(lane, &deadline).await?;
            loop {
                match walk.step().await? {
                    Step::Keys(keys) => {
                        let keys = self.trusted_keys(lane, keys, &trust).await?;
                        seen.extend(keys.iter().map(|key| hasher.hash_one(key)));
                    }
                    Step::Interrupted => {
                        seen.clear();
                        rounds.begin_again();
                        break;
                    }
                    Step::Done => {
                        rounds.end().await?;
                        break;
                    }
                }
            }
        }
        Ok(seen.len() as u64)
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
