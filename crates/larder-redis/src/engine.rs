//! What all clones of a store share: its clients and its bounds; and the commands that every read and write is made of.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use bytes::{BufMut as _, Bytes, BytesMut};
use fred::{
    clients::{Client, WithOptions},
    interfaces::KeysInterface as _,
    types::{Expiration, Value as Answer},
    util::redis_keyslot,
};
use larder_core::{Error, ErrorKind, Expiry, Key, Result, SystemClock, Value};
use tokio::sync::watch;

use crate::{
    address::Topology,
    command::{self, Command},
    deadline::Deadline,
    error::{self, Effect},
    gate::Gate,
    lane::Lane,
    place::Place,
    random::Nonces,
    send::failed,
    settings::Settings,
    trust::Trust,
    wire::{Head, Mark},
};

pub(crate) struct Engine {
    pub(crate) settings: Settings,
    pub(crate) topology: Topology,
    pub(crate) gate: Gate,
    pub(crate) nonces: Nonces,
    clock: Arc<SystemClock>,
    lanes: Vec<Arc<Place>>,
    /// A connection of its own for writes that wait for replicas: the server answers nothing else on it meanwhile.
    waiting: Option<Arc<Place>>,
    next: AtomicUsize,
    /// Dropped with the engine: then the connections close, and the tasks behind them end.
    _running: Option<watch::Sender<()>>,
}

impl Engine {
    pub(crate) fn new(
        settings: Settings,
        topology: Topology,
        clock: Arc<SystemClock>,
        lanes: Vec<Arc<Place>>,
        waiting: Option<Arc<Place>>,
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

    /// The lane of the next operation that changes nothing.
    #[inline]
    pub(crate) fn lane(&self) -> Arc<Lane> {
        match self.lanes.as_slice() {
            [one] => one.lane(),
            lanes => lanes[self.next.fetch_add(1, Ordering::Relaxed) % lanes.len()].lane(),
        }
    }

    /// The lane of all writes to a key. Over another one, the removal of a write that was never answered could come before it.
    #[inline]
    pub(crate) fn write_lane(&self, key: &[u8]) -> Arc<Lane> {
        match (&self.waiting, self.lanes.as_slice()) {
            (Some(waiting), _) => waiting.lane(),
            (None, [one]) => one.lane(),
            (None, lanes) => lanes[usize::from(redis_keyslot(key)) % lanes.len()].lane(),
        }
    }

    /// The lanes of all writes.
    pub(crate) fn write_lanes(&self) -> Vec<Arc<Lane>> {
        let places = self.waiting.as_ref().map_or(self.lanes.as_slice(), std::slice::from_ref);
        places.iter().map(|place| place.lane()).collect()
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

    /// The same for many keys, which then share their memory.
    pub(crate) fn keys_of<'k>(&self, keys: impl Iterator<Item = &'k Key> + Clone) -> Vec<Bytes> {
        let prefix = self.settings.prefix.as_bytes();
        let length = keys.clone().map(|key| prefix.len() + key.as_str().len()).sum();
        let mut all = BytesMut::with_capacity(length);
        for key in keys.clone() {
            all.put_slice(prefix);
            all.put_slice(key.as_str().as_bytes());
        }
        let mut all = all.freeze();
        keys.map(|key| all.split_to(prefix.len() + key.as_str().len())).collect()
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
        let answer = reader.get(key.clone()).await;
        lane.notice(&answer, || Some(redis_keyslot(&key)));
        match answer {
            Err(said) if error::is_redirection(&said) => {}
            Err(said) => return absent_or(failed(lane, &said, Effect::None)),
            Ok(found) => {
                lane.answered();
                return Ok(found);
            }
        }
        match self.exec_and_follow(lane, Effect::None, &deadline, Command::Get(key)).await {
            Ok(answer) => Ok(answer.into_bytes()),
            Err(error) => absent_or(error),
        }
    }

    /// A read from a replica, or once there is a connection.
    async fn read_elsewhere(&self, lane: &Lane, key: Bytes) -> Result<Option<Bytes>> {
        let answer = self.exec_read(lane, &self.deadline(), Command::Get(key)).await;
        answer.map_or_else(absent_or, |answer| Ok(answer.into_bytes()))
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
        let command = Command::Unlink(vec![key.clone()]);
        let Answer::Integer(gone) = self.exec(lane, Effect::Possible, deadline, command).await? else {
            return Err(confused(lane));
        };
        self.confirm(lane, &trust, &key, deadline).await?;
        Ok(gone == 1)
    }

    /// What a removal needs: no mark, but to know the connection.
    pub(crate) async fn trust_of_write(&self, lane: &Lane, deadline: &Deadline<'_>) -> Result<Trust> {
        if !self.confirms() {
            return Ok(Trust::ANY);
        }
        // Waits for a connection before it counts them.
        lane.ready(Effect::Possible, deadline).await?;
        Ok(Trust::over(lane))
    }

    /// An entry's storing, the common case: small, for the same reason as [`read`](Self::read).
    #[inline]
    pub(crate) async fn put(&self, lane: &Lane, key: Bytes, value: &Value, expiry: Expiry) -> Result<()> {
        let writer = match lane.writer() {
            Some(writer) if !self.confirms() && !self.topology.is_cluster() => writer,
            _ => {
                let deadline = self.deadline();
                let stored = Box::pin(self.store(lane, key, value, expiry, false, &deadline)).await;
                return stored.map(drop);
            }
        };
        let (_, entry) = self.entry(None, value)?;
        let expiry = command::millis(expiry).map(Expiration::PX);
        match writer.set(key, Answer::Bytes(entry), expiry, None, false).await {
            Ok(Answer::String(text)) if text == "OK" => {
                lane.answered();
                Ok(())
            }
            Ok(_) => Err(confused(lane)),
            Err(said) => Err(failed(lane, &said, Effect::Possible)),
        }
    }

    /// Whether a write takes more than its own command.
    #[inline]
    fn confirms(&self) -> bool {
        self.settings.wait_replicas > 0 || self.settings.distrusts
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
        let command = Command::Set { key: key.clone(), entry, millis: command::millis(expiry), only_new };
        let stored = self.exec(lane, Effect::Possible, deadline, command).await?;
        match stored {
            Answer::Null if only_new => return Ok(None),
            Answer::String(text) if text == "OK" => {}
            _ => return Err(confused(lane)),
        }
        self.confirm(lane, &trust, &key, deadline).await?;
        Ok(Some(head))
    }
}

pub(crate) fn unconfirmed(why: impl Into<String>) -> Error {
    Error::new(ErrorKind::Ambiguous, why)
}

/// The error of a write whose answer is not one that it can have: it is the answer to something else.
#[cold]
pub(crate) fn confused(lane: &Lane) -> Error {
    lane.give_up_connection();
    unconfirmed("the answer is not one to this command; reconnecting")
}

/// What lies there is no string: to a reader, nothing.
pub(crate) fn absent_or<T>(error: Error) -> Result<Option<T>> {
    if error.kind() == ErrorKind::WrongType { Ok(None) } else { Err(error) }
}
