//! Whose entries are believed: under `on_rollback = distrust`, those written under the server's present run alone.
//!
//! A run is named by the server's `run_id`, which is new with each start, and its replication id, which is new with each
//! promotion. What comes back from a snapshot, or with a replica that took over, was written under another run.

use std::time::Duration;

use fred::types::Value as Answer;
use larder_core::{Clock as _, Error, ErrorKind, Result, Timestamp};

use crate::{
    command::Command,
    deadline::Deadline,
    engine::Engine,
    error::{self, Effect},
    lane::Lane,
    wire::Mark,
};

/// How long a mark is good enough to reject an entry by, before the server is asked again.
const RECENT: Duration = Duration::from_secs(1);
const TRIES: u32 = 3;

/// The run that a lane speaks to, as of some count of connections.
#[derive(Clone, Copy)]
pub(crate) struct Known {
    connections: u64,
    mark: Mark,
    asked: Timestamp,
}

/// What an operation may believe, and until when.
#[derive(Clone, Copy)]
pub(crate) struct Trust {
    pub(crate) mark: Option<Mark>,
    connections: Option<u64>,
    asked: Timestamp,
}

impl Trust {
    /// Believes any run, over any connection.
    pub(crate) const ANY: Self = Self { mark: None, connections: None, asked: Timestamp::MAX };

    /// Believes any run, over the present connections.
    pub(crate) fn over(lane: &Lane) -> Self {
        Self { connections: Some(lane.connections()), ..Self::ANY }
    }

    /// Whether the connections are still those of the beginning, where that matters.
    pub(crate) fn holds(&self, lane: &Lane) -> bool {
        self.connections.is_none_or(|connections| connections == lane.connections())
    }

    /// Whether an entry of another run is reason to ask the server for its run again.
    pub(crate) fn is_old(&self, engine: &Engine) -> bool {
        self.mark.is_some() && engine.clock().now().saturating_since(self.asked) > RECENT
    }
}

impl Engine {
    /// What an operation that begins now may believe.
    pub(crate) async fn trust(&self, lane: &Lane, deadline: &Deadline<'_>) -> Result<Trust> {
        if !self.settings.distrusts {
            return self.trust_of_write(lane, deadline).await;
        }
        let known = *lane.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match known {
            Some(known) if known.connections == lane.connections() => {
                Ok(Trust { mark: Some(known.mark), connections: Some(known.connections), asked: known.asked })
            }
            _ => self.ask(lane, deadline).await,
        }
    }

    /// Asks the server which run it is in.
    pub(crate) async fn ask(&self, lane: &Lane, deadline: &Deadline<'_>) -> Result<Trust> {
        for _ in 0..TRIES {
            // Waits for a connection before it counts them.
            lane.ready(Effect::None, deadline).await?;
            let (connections, asked) = (lane.connections(), self.clock().now());
            let of_server = self.info(lane, deadline, "server").await?;
            let of_replication = self.info(lane, deadline, "replication").await?;
            if lane.connections() != connections {
                continue;
            }
            if field(&of_replication, "role") != Some("master") {
                lane.give_up_connection();
                return Err(Error::new(ErrorKind::Unavailable, "the server is a replica now; reconnecting"));
            }
            let mark = hex(field(&of_server, "run_id"))
                .zip(hex(field(&of_replication, "master_replid")))
                .map(|(run, replication)| (run.rotate_left(1) ^ replication).to_be_bytes())
                .ok_or_else(|| {
                    Error::new(
                        ErrorKind::Config,
                        "`on_rollback` is `distrust`, and the server does not tell its run (`INFO`)",
                    )
                })?;
            let known = Known { connections, mark, asked };
            *lane.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(known);
            return Ok(Trust { mark: Some(mark), connections: Some(connections), asked });
        }
        Err(error::restless())
    }

    async fn info(&self, lane: &Lane, deadline: &Deadline<'_>, section: &'static str) -> Result<String> {
        match self.exec(lane, Effect::None, deadline, Command::bare("INFO").arg(section)).await? {
            Answer::String(text) => Ok(text.to_string()),
            _ => Ok(String::new()),
        }
    }
}

fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

fn hex(text: Option<&str>) -> Option<u64> {
    u64::from_str_radix(text?.get(..16)?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_read_from_what_the_server_tells() {
        let info = "# Server\r\nredis_version:7.0.15\r\nrun_id:00000000000000ff112233445566778899aabbcc\r\n";
        assert_eq!(hex(field(info, "run_id")), Some(255));
        assert_eq!(field(info, "run"), None);
        assert_eq!(hex(Some("short")), None);
        assert_eq!(hex(Some("not hexadecimal at all, but long")), None);
    }
}
