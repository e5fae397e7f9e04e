//! How a command is sent, and what became of it.

use bytes::Bytes;
use fred::types::{Value as Answer, config::Server};
use larder_core::{Error, ErrorKind, Result};

use crate::{
    command::Command,
    deadline::Deadline,
    engine::Engine,
    error::{self, Effect},
    lane::{Lane, ReadReplicas},
    scripts::Script,
    survey,
};

/// How often a command follows a key to another server.
const FOLLOWED: u32 = 4;

impl Engine {
    /// Sends a reading command to where reads go.
    pub(crate) async fn exec_read(
        &self,
        lane: &Lane,
        deadline: &Deadline<'_>,
        command: Command,
    ) -> Result<Answer> {
        match lane.replicas() {
            Some(ReadReplicas::OfCluster) if lane.reader().is_some() => {
                let client = lane.ready(Effect::None, deadline).await?;
                let answer = command.clone().send(&client.replicas()).await;
                if !answer.as_ref().is_err_and(error::is_redirection) {
                    return settle(lane, answer, Effect::None);
                }
            }
            Some(ReadReplicas::Of(replica)) => {
                if let Some(replica) = replica.lane() {
                    let client = replica.ready(Effect::None, deadline).await?;
                    let answer = command.clone().send(&*client).await;
                    match settle(&replica, answer, Effect::None) {
                        // It has gone, or is not ready to answer: the primary is.
                        Err(error) if error.kind() == ErrorKind::Unavailable => {}
                        answer => return answer,
                    }
                }
            }
            _ => {}
        }
        self.exec(lane, Effect::None, deadline, command).await
    }

    /// Sends a command, and follows its key to another server where it was refused because of that.
    pub(crate) async fn exec(
        &self,
        lane: &Lane,
        effect: Effect,
        deadline: &Deadline<'_>,
        command: Command,
    ) -> Result<Answer> {
        if self.topology.is_cluster() {
            return Box::pin(self.exec_and_follow(lane, effect, deadline, command)).await;
        }
        let client = lane.ready(effect, deadline).await?;
        let answer = command.send(&*client).await;
        settle(lane, answer, effect)
    }

    pub(crate) async fn exec_and_follow(
        &self,
        lane: &Lane,
        effect: Effect,
        deadline: &Deadline<'_>,
        command: Command,
    ) -> Result<Answer> {
        let client = lane.ready(effect, deadline).await?;
        let mut answer = command.clone().send(&*client).await;
        for followed in 0..FOLLOWED {
            match &answer {
                // Once: a key that is on its way has the client learn nothing new.
                Err(said) if error::is_unread_redirection(said) && followed == 0 => {
                    self.look_for_primaries(lane, deadline).await?;
                }
                Err(said) if error::is_redirection(said) => {}
                _ => break,
            }
            // The client has learned by now where the key is. One refused again is on its way there, and cannot be had until it has
            // arrived: see what `connect` says of `max_redirections`.
            let client = lane.within(effect, deadline)?;
            answer = command.clone().send(&client).await;
        }
        lane.notice(&answer, || command.slot());
        settle(lane, answer, effect)
    }

    /// Sends a command to one server of a cluster, or to the only one. `None`: meanwhile the client has learned that the server's
    /// slots are elsewhere, and so the answer may be another server's.
    ///
    /// It goes by a slot of the server's, and not by its name: for a server that it is not connected to any more, the client would
    /// look in an endless loop, which stops the thread it runs on.
    pub(crate) async fn exec_at(
        &self,
        lane: &Lane,
        deadline: &Deadline<'_>,
        server: Option<&Server>,
        command: Command,
    ) -> Result<Option<Answer>> {
        lane.ready(Effect::None, deadline).await?;
        let client = lane.within(Effect::None, deadline)?;
        let Some(server) = server else {
            let answer = command.send(&client).await;
            return settle(lane, answer, Effect::None).map(Some);
        };
        let Some(slot) = survey::slot_of(lane, server) else { return Ok(None) };
        let answer = command.by_way_of(slot).send(&client).await;
        lane.notice(&answer, || Some(slot));
        let answer = settle(lane, answer, Effect::None);
        if survey::is_owner(lane, server, slot) { answer.map(Some) } else { Ok(None) }
    }

    /// Runs a script, by its name where the server knows it.
    pub(crate) async fn run(
        &self,
        lane: &Lane,
        deadline: &Deadline<'_>,
        script: &'static Script,
        key: &Bytes,
        arguments: Vec<Answer>,
    ) -> Result<Answer> {
        let command = |whole| Command::script(script, whole, key.clone(), &arguments);
        match self.exec(lane, Effect::Possible, deadline, command(false)).await {
            Err(error) if is_forgotten(&error) => {
                self.exec(lane, Effect::Possible, deadline, command(true)).await
            }
            answer => answer,
        }
    }
}

fn is_forgotten(error: &Error) -> bool {
    let said = error.downcast_ref::<fred::error::Error>();
    said.is_some_and(|said| error::first_word(said.details()) == "NOSCRIPT")
}

/// What became of a command.
pub(crate) fn settle(
    lane: &Lane,
    answer: Result<Answer, fred::error::Error>,
    effect: Effect,
) -> Result<Answer> {
    match answer {
        Ok(answer) => {
            lane.answered();
            Ok(answer)
        }
        Err(said) => Err(failed(lane, &said, effect)),
    }
}

/// The error of a command that failed, and what follows from it for the connection.
#[cold]
pub(crate) fn failed(lane: &Lane, said: &fred::error::Error, effect: Effect) -> Error {
    if *said.kind() == fred::error::ErrorKind::Timeout {
        lane.unanswered();
    }
    let is_no_answer =
        matches!(said.kind(), fred::error::ErrorKind::Protocol | fred::error::ErrorKind::Parse);
    let is_no_answer = is_no_answer && !error::is_redirection(said);
    if is_no_answer || error::first_word(said.details()) == "READONLY" {
        lane.give_up_connection();
    }
    let in_doubt = match effect {
        Effect::None => None,
        Effect::Possible => lane.handed_around.error(said),
    };
    in_doubt.unwrap_or_else(|| error::failed(said, effect))
}
