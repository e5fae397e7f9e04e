//! The looks at every server that make up one operation on all keys.

use std::time::Duration;

use bytes::Bytes;
use fred::types::{Value as Answer, config::Server};
use larder_core::{Error, ErrorKind, Key, Namespace, Result};

use crate::{
    command::Command, deadline::Deadline, engine::Engine, error::Effect, lane::Lane, slots::Unseen,
    survey::Survey,
};

/// How many keys the server looks at in one step.
const STEP: i64 = 1_000;

/// How often everything is looked at until every slot of a cluster was seen as a whole.
const ROUNDS: u32 = 5;
/// How long slots that move have to arrive, before everything is looked at again.
const REST: Duration = Duration::from_millis(100);

/// The looks at every server that make up one operation. One is enough, but for a cluster whose slots move.
///
/// A key that goes from one server to another can be on neither when it is looked at. So all servers of a cluster are asked for their
/// slots before and after each look, and it counts for those slots alone that stayed where they were.
pub(crate) struct Rounds<'a> {
    engine: &'a Engine,
    pub(crate) lane: &'a Lane,
    pub(crate) deadline: &'a Deadline<'a>,
    pattern: String,
    unseen: Unseen,
    /// What the servers said last.
    survey: Option<Survey>,
    ended: u32,
    is_done: bool,
}

impl<'a> Rounds<'a> {
    pub(crate) fn new(
        engine: &'a Engine,
        lane: &'a Lane,
        namespace: &Namespace,
        deadline: &'a Deadline<'a>,
    ) -> Self {
        let pattern = format!("{}*", escape(&format!("{}{}", engine.settings.prefix, namespace.as_str())));
        let unseen = Unseen::everything();
        Self { engine, lane, deadline, pattern, unseen, survey: None, ended: 0, is_done: false }
    }

    /// The next look, if one is needed.
    pub(crate) async fn next(&mut self) -> Result<Option<Walk<'a>>> {
        if self.is_done {
            return Ok(None);
        }
        let (engine, lane, deadline) = (self.engine, self.lane, self.deadline);
        lane.ready(Effect::None, deadline).await?;
        let (mut servers, mut connections) = (vec![None], lane.connections());
        if engine.topology.is_cluster() {
            if self.ended >= ROUNDS {
                return Err(Error::new(
                    ErrorKind::Unavailable,
                    "slots of the cluster are on the move: not all of its keys were seen (`redis-cli --cluster check` tells which)",
                )
                .with_retryable(true));
            }
            let known = self.survey.take().filter(|survey| survey.connections == connections);
            let survey = if let Some(survey) = known {
                survey
            } else {
                self.unseen.interrupt();
                engine.survey(lane, deadline).await?
            };
            servers = survey.servers.iter().cloned().map(Some).collect();
            connections = survey.connections;
            self.survey = Some(survey);
        }
        let pattern = self.pattern.clone();
        Ok(Some(Walk { engine, lane, deadline, pattern, servers, seen: 0, cursor: None, connections }))
    }

    /// A look has come to its end.
    pub(crate) async fn end(&mut self) -> Result<()> {
        let Some(before) = self.survey.take() else {
            self.is_done = true;
            return Ok(());
        };
        let after = self.engine.survey(self.lane, self.deadline).await?;
        if after.connections == before.connections {
            self.unseen.count(&before.slots, &after.slots);
        } else {
            self.unseen.interrupt();
        }
        self.survey = Some(after);
        self.ended += 1;
        self.is_done = self.unseen.is_empty();
        if !self.is_done && self.ended < ROUNDS {
            self.engine.rest(self.deadline, REST).await;
        }
        Ok(())
    }

    /// The last look counts for nothing.
    pub(crate) fn interrupt(&mut self) {
        self.survey = None;
    }

    /// All looks count for nothing.
    pub(crate) fn begin_again(&mut self) {
        (self.unseen, self.survey) = (Unseen::everything(), None);
    }
}

/// One look at every server, key by key.
pub(crate) struct Walk<'a> {
    engine: &'a Engine,
    pub(crate) lane: &'a Lane,
    pub(crate) deadline: &'a Deadline<'a>,
    pattern: String,
    /// `None` stands for the only one.
    pub(crate) servers: Vec<Option<Server>>,
    /// How many of them it is done with.
    seen: usize,
    cursor: Option<Bytes>,
    connections: u64,
}

pub(crate) enum Step {
    Keys(Vec<(Bytes, Key)>),
    /// A cursor means nothing to another server: begin again.
    Interrupted,
    Done,
}

impl Walk<'_> {
    pub(crate) async fn step(&mut self) -> Result<Step> {
        let Some(server) = self.servers.get(self.seen) else { return Ok(Step::Done) };
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
        if !self.holds() {
            return Ok(Step::Interrupted);
        }
        let Some(answer) = answer? else { return Ok(Step::Interrupted) };
        let (cursor, found) = match answer {
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
            self.seen += 1;
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

    /// Whether the connections are still those of the beginning.
    pub(crate) fn holds(&self) -> bool {
        self.lane.connections() == self.connections
    }
}

fn out_of_time() -> Error {
    Error::new(ErrorKind::Timeout, "not done in time (`scan_timeout`)")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_means_what_it_says() {
        assert_eq!(escape("shop:1/a%2A/"), "shop:1/a%2A/");
        assert_eq!(escape("a*?[^]\\b"), "a\\*\\?\\[\\^\\]\\\\b");
    }
}
