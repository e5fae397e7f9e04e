//! Asking the servers of a cluster for their slots.

use std::time::Duration;

use fred::{interfaces::ClusterInterface as _, types::config::Server};
use futures_util::future::{self, Either};
use larder_core::{Error, ErrorKind, Result};

use crate::{
    command::Command,
    deadline::Deadline,
    engine::Engine,
    error::{self, Effect},
    lane::Lane,
    slots::Map,
};

/// How often the servers are asked until all have spoken who have a slot.
const TRIES: u32 = 5;
/// How long they have to tell each other of a slot that moved, before they are asked again.
const REST: Duration = Duration::from_millis(100);

/// Who has which slots.
pub(crate) struct Survey {
    /// Who was asked, always in the same order.
    pub(crate) servers: Vec<Server>,
    pub(crate) slots: Map,
    /// The count of connections over which they were asked.
    pub(crate) connections: u64,
}

/// The primaries of a cluster as the client last learned of them: it asks for them anew only when a key has gone to another server.
pub(crate) fn primaries(lane: &Lane) -> Vec<Server> {
    lane.client().cached_cluster_state().map(|state| state.unique_primary_nodes()).unwrap_or_default()
}

/// A slot that the client holds to be this server's.
pub(crate) fn slot_of(lane: &Lane, server: &Server) -> Option<u16> {
    let state = lane.client().cached_cluster_state()?;
    state.slots().iter().find(|range| range.primary == *server).map(|range| range.start)
}

/// Whether the client holds a slot to be this server's.
pub(crate) fn is_owner(lane: &Lane, server: &Server, slot: u16) -> bool {
    lane.client().cached_cluster_state().is_some_and(|state| state.get_server(slot) == Some(server))
}

impl Engine {
    /// Asks all primaries for their slots, also those that the client did not know of.
    pub(crate) async fn survey(&self, lane: &Lane, deadline: &Deadline<'_>) -> Result<Survey> {
        for tried in 0..TRIES {
            if tried > 0 {
                // At first somebody new may just be unknown to the client.
                self.rest(deadline, REST * (tried - 1)).await;
                self.look_for_primaries(lane, deadline).await?;
            }
            lane.ready(Effect::None, deadline).await?;
            let connections = lane.connections();
            let servers = primaries(lane);
            if servers.is_empty() {
                return Err(lane.down());
            }
            let step = Deadline::after(deadline.clock, self.step_time(deadline));
            let ask = |server| self.exec_at(lane, &step, Some(server), Command::bare("CLUSTER").arg("NODES"));
            let answers = future::try_join_all(servers.iter().map(ask)).await?;
            let answers: Option<Vec<_>> = answers.into_iter().collect();
            let Some(answers) = answers.filter(|_| lane.connections() == connections) else { continue };
            let texts: Vec<_> =
                answers.into_iter().map(|answer| answer.into_bytes().unwrap_or_default()).collect();
            let texts: Option<Vec<_>> = texts.iter().map(|text| std::str::from_utf8(text).ok()).collect();
            let slots = texts.and_then(Map::new).ok_or_else(|| {
                Error::new(ErrorKind::Corrupt, "the server answered CLUSTER NODES with something else")
            })?;
            if slots.is_complete() {
                return Ok(Survey { servers, slots, connections });
            }
        }
        let why = "slots of the cluster are with nobody or with a server that cannot be asked, or the servers do not agree who has them";
        Err(Error::new(ErrorKind::Unavailable, why).with_retryable(true))
    }

    /// Makes the client ask for the owners of the slots, and connect to those that are new.
    pub(crate) async fn look_for_primaries(&self, lane: &Lane, deadline: &Deadline<'_>) -> Result<()> {
        let time_out = deadline.clock.sleep(self.step_time(deadline));
        let learned = Box::pin(lane.client().sync_cluster());
        match future::select(learned, time_out).await {
            Either::Left((learned, _)) => learned.map_err(|said| error::failed(&said, Effect::None)),
            Either::Right(_) => Err(error::too_late()),
        }
    }

    pub(crate) async fn rest(&self, deadline: &Deadline<'_>, time: Duration) {
        deadline.clock.sleep(deadline.left().unwrap_or_default().min(time)).await;
    }
}
