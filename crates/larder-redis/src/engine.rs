//! What all clones of a store share: its clients, its bounds, and how a command is sent.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use bytes::{BufMut as _, Bytes, BytesMut};
use fred::{
    clients::{Client, WithOptions},
    interfaces::{ClientLike as _, KeysInterface as _},
    types::{Value as Answer, config::Server},
};
use larder_core::{Error, ErrorKind, Expiry, Key, Result, SystemClock, Value};
use tokio::sync::watch;

use crate::{
    address::Topology,
    command::Command,
    config::Settings,
    deadline::Deadline,
    error::{self, Effect},
    gate::Gate,
    lane::Lane,
    random::Nonces,
    scripts::Script,
    trust::Trust,
    wire::{Head, Mark},
};

/// How often a command follows a key to another server.
const FOLLOWED: u32 = 4;

pub(crate) struct Engine {
    pub(crate) settings: Settings,
    pub(crate) topology: Topology,
    pub(crate) gate: Gate,
    pub(crate) nonces: Nonces,
    clock: Arc<SystemClock>,
    lanes: Vec<Lane>,
    /// A connection of its own for writes that wait for replicas: the server answers nothing else on it meanwhile.
    waiting: Option<Lane>,
    next: AtomicUsize,
    /// Dropped with the engine: then the connections close, and the tasks behind them end.
    _running: Option<watch::Sender<()>>,
}

impl Engine {
    pub(crate) fn new(
        settings: Settings,
        topology: Topology,
        clock: Arc<SystemClock>,
        lanes: Vec<Lane>,
        waiting: Option<Lane>,
        running: Option<watch::Sender<()>>,
    ) -> Result<Self> {
        Ok(Self {
            gate: Gate::new(settings.max_in_flight),
            settings,
            topology,
            nonces: Nonces::new()?,
            clock,
            lanes,
            waiting,
            next: AtomicUsize::new(0),
            _running: running,
        })
    }

    pub(crate) fn clock(&self) -> &SystemClock {
        &self.clock
    }

    pub(crate) fn deadline(&self) -> Deadline<'_> {
        Deadline::after(&*self.clock, self.settings.operation_timeout)
    }

    /// The lane of the next operation.
    #[inline]
    pub(crate) fn lane(&self) -> &Lane {
        match self.lanes.as_slice() {
            [one] => one,
            lanes => &lanes[self.next.fetch_add(1, Ordering::Relaxed) % lanes.len()],
        }
    }

    /// The lane of the next write.
    #[inline]
    pub(crate) fn write_lane(&self) -> &Lane {
        self.waiting.as_ref().unwrap_or_else(|| self.lane())
    }

    /// The key as the server knows it.
    #[inline]
    pub(crate) fn key(&self, key: &Key) -> Bytes {
        let (prefix, key) = (self.settings.prefix.as_bytes(), key.as_str().as_bytes());
        if prefix.is_empty() {
            return Bytes::copy_from_slice(key);
        }
        let mut whole = BytesMut::with_capacity(prefix.len() + key.len());
        whole.put_slice(prefix);
        whole.put_slice(key);
        whole.freeze()
    }

    /// A new head, and the entry it stands before.
    pub(crate) fn entry(&self, mark: Option<Mark>, value: &Value) -> Result<(Head, Bytes)> {
        let head = Head::new(mark, self.nonces.next());
        let limit = self.settings.max_value_bytes;
        // What has a length need not be copied to be refused.
        if let Value::Bytes(bytes) = value {
            self.check(bytes.len())?;
        }
        let entry = head.entry(value)?;
        if entry.len() > limit {
            self.check(entry.len() - (head.bytes().len() + 1))?;
        }
        Ok((head, entry))
    }

    fn check(&self, length: usize) -> Result<()> {
        let limit = self.settings.max_value_bytes;
        if length <= limit {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::TooLarge,
            format!("a value of {length} bytes, the limit is {limit} (`max_value_bytes`)"),
        ))
    }

    /// What lies under a key, whatever it is; nothing where that is no string.
    ///
    /// The common case is kept small, because its future is: what is rare has a box of its own.
    #[inline]
    pub(crate) async fn read(&self, lane: &Lane, key: Bytes) -> Result<Option<Bytes>> {
        let reader = match lane.reader() {
            Some(reader) if lane.replicas().is_none() => reader,
            _ => return Box::pin(self.read_elsewhere(lane, key)).await,
        };
        if self.topology.is_cluster() {
            return Box::pin(self.read_and_follow(lane, reader, key)).await;
        }
        match reader.get(key).await {
            Ok(found) => {
                lane.answered();
                Ok(found)
            }
            Err(said) => absent_or(failed(lane, &said, Effect::None)),
        }
    }

    /// A read that goes after its key.
    async fn read_and_follow(
        &self,
        lane: &Lane,
        reader: &WithOptions<Client>,
        key: Bytes,
    ) -> Result<Option<Bytes>> {
        let deadline = self.deadline();
        match reader.get(key.clone()).await {
            Err(said) if error::is_redirection(&said) => {}
            Err(said) => return absent_or(failed(lane, &said, Effect::None)),
            Ok(found) => {
                lane.answered();
                return Ok(found);
            }
        }
        match self.exec_and_follow(lane, Effect::None, &deadline, Command::new("GET", key)).await {
            Ok(answer) => Ok(answer.into_bytes()),
            Err(error) => absent_or(error),
        }
    }

    /// A read from a replica, or once there is a connection.
    async fn read_elsewhere(&self, lane: &Lane, key: Bytes) -> Result<Option<Bytes>> {
        let deadline = self.deadline();
        let reader = lane.ready(Effect::None, &deadline).await?;
        let got: fred::prelude::FredResult<_> = match lane.replicas() {
            Some(replicas) => replicas.get(key.clone()).await,
            None => reader.get(key.clone()).await,
        };
        if self.topology.is_cluster() && got.as_ref().is_err_and(error::is_redirection) {
            let followed =
                self.exec_and_follow(lane, Effect::None, &deadline, Command::new("GET", key)).await;
            return followed.map_or_else(absent_or, |answer| Ok(answer.into_bytes()));
        }
        got.or_else(|said| absent_or(failed(lane, &said, Effect::None)))
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
        let answer = client.custom(command.command, command.arguments).await;
        settle(lane, answer, effect)
    }

    async fn exec_and_follow(
        &self,
        lane: &Lane,
        effect: Effect,
        deadline: &Deadline<'_>,
        command: Command,
    ) -> Result<Answer> {
        let client = lane.ready(effect, deadline).await?;
        let mut answer = client.custom(command.command.clone(), command.arguments.clone()).await;
        for _ in 0..FOLLOWED {
            match &answer {
                Err(said) if error::is_redirection(said) => {}
                _ => break,
            }
            // The client has learned by now where the key is. One refused again is on its way there, and cannot be had until it has
            // arrived: see what `connect` says of `max_redirections`.
            let client = lane.special(effect, deadline, None)?;
            answer = client.custom(command.command.clone(), command.arguments.clone()).await;
        }
        settle(lane, answer, effect)
    }

    /// Sends a command to one server of a cluster, or to the only one.
    pub(crate) async fn exec_at(
        &self,
        lane: &Lane,
        deadline: &Deadline<'_>,
        server: Option<&Server>,
        command: Command,
    ) -> Result<Answer> {
        lane.ready(Effect::None, deadline).await?;
        let client = lane.special(Effect::None, deadline, server.cloned())?;
        let answer = client.custom(command.command, command.arguments).await;
        settle(lane, answer, Effect::None)
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
        let command = |whole| {
            let mut command = Command::script(script, whole, key.clone());
            command.arguments.extend(arguments.iter().cloned());
            command
        };
        match self.exec(lane, Effect::Possible, deadline, command(false)).await {
            Err(error) if is_forgotten(&error) => {
                self.exec(lane, Effect::Possible, deadline, command(true)).await
            }
            answer => answer,
        }
    }

    /// Ends a write: it counts only if it went to the server it was meant for, and reached as many replicas as asked.
    pub(crate) async fn confirm(
        &self,
        lane: &Lane,
        trust: &Trust,
        key: &[u8],
        deadline: &Deadline<'_>,
    ) -> Result<()> {
        if self.settings.wait_replicas > 0 {
            Box::pin(self.await_replicas(lane, key, deadline)).await?;
        }
        if trust.holds(lane) {
            Ok(())
        } else {
            Err(unconfirmed("the connection was made anew meanwhile: the write may be on another server"))
        }
    }

    async fn await_replicas(&self, lane: &Lane, key: &[u8], deadline: &Deadline<'_>) -> Result<()> {
        let wanted = self.settings.wait_replicas;
        let left = deadline.left().map_or(1, |left| left.as_millis() * 9 / 10).max(1);
        let command =
            Command::near("WAIT", key).arg(i64::from(wanted)).arg(i64::try_from(left).unwrap_or(i64::MAX));
        let reached = match self.exec(lane, Effect::Possible, deadline, command).await {
            Ok(answer) => answer.as_i64().unwrap_or(0),
            Err(error) => {
                return Err(unconfirmed("the replicas did not confirm the write").with_source(error));
            }
        };
        if reached < i64::from(wanted) {
            return Err(unconfirmed(format!(
                "{reached} replicas confirmed the write in time, `wait_replicas` is {wanted}"
            )));
        }
        Ok(())
    }

    /// An entry's removal.
    pub(crate) async fn remove(&self, lane: &Lane, key: Bytes, deadline: &Deadline<'_>) -> Result<bool> {
        let trust = self.trust_of_write(lane, deadline).await?;
        let command = Command::new("UNLINK", key.clone());
        let gone = self.exec(lane, Effect::Possible, deadline, command).await?;
        self.confirm(lane, &trust, &key, deadline).await?;
        Ok(gone.as_i64() == Some(1))
    }

    /// What a removal needs: no mark, but to know the connection.
    pub(crate) async fn trust_of_write(&self, lane: &Lane, deadline: &Deadline<'_>) -> Result<Trust> {
        if self.settings.wait_replicas == 0 && !self.settings.distrusts {
            return Ok(Trust::ANY);
        }
        // Waits for a connection before it counts them.
        lane.ready(Effect::Possible, deadline).await?;
        Ok(Trust::over(lane))
    }

    /// An entry's storing; `None` if `only_new` and something is there.
    pub(crate) async fn store(
        &self,
        lane: &Lane,
        key: Bytes,
        value: &Value,
        expiry: Expiry,
        only_new: bool,
        deadline: &Deadline<'_>,
    ) -> Result<Option<Head>> {
        let trust = self.trust(lane, deadline).await?;
        let (head, entry) = self.entry(trust.mark, value)?;
        let mut command = Command::new("SET", key.clone()).arg(entry).expiring(expiry);
        if only_new {
            command = command.arg("NX");
        }
        let stored = self.exec(lane, Effect::Possible, deadline, command).await?;
        if stored.is_null() {
            return Ok(None);
        }
        self.confirm(lane, &trust, &key, deadline).await?;
        Ok(Some(head))
    }
}

fn unconfirmed(why: impl Into<String>) -> Error {
    Error::new(ErrorKind::Ambiguous, why)
}

/// What lies there is no string: to a reader, nothing.
pub(crate) fn absent_or<T>(error: Error) -> Result<Option<T>> {
    if error.kind() == ErrorKind::WrongType { Ok(None) } else { Err(error) }
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
    if error::first_word(said.details()) == "READONLY" {
        lane.give_up_connection();
    }
    error::failed(said, effect)
}
