//! A node's way to the server: messages that are sent, carried out in the order they were sent in, and answered, each with
//! delays, and each of which may get lost.

use std::{fmt, future::pending, sync::Arc, time::Duration};

use bytes::Bytes;
use larder_core::{
    CacheStore, Capabilities, Error, ErrorKind, Expiry, Key, Namespace, Operations, Result, Value, Version,
    async_trait,
};
use tokio::sync::{mpsc, oneshot};

use super::{
    executor::{Owner, dawdle},
    server::Server,
    setup::Broken,
    world::World,
};

/// What becomes of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Fine,
    /// The server refuses it; nothing happens.
    Refused,
    /// It gets lost on its way; the caller is told nothing.
    LostRequest,
    /// It is carried out, sooner or later; the caller is told that this is unknown.
    LostAnswer,
    /// It is carried out after longer than the caller is going to wait.
    Slow,
}

struct Message {
    /// When it arrives, unless one that was sent before it is later.
    arrives: Duration,
    execute: Box<dyn FnOnce(&mut Server) + Send>,
}

pub(super) struct Connection {
    world: Arc<World>,
    node: usize,
    lane: mpsc::UnboundedSender<Message>,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Connection of node {}", self.node)
    }
}

impl Connection {
    pub(super) fn new(world: &Arc<World>, node: usize) -> Self {
        let (lane, mut messages) = mpsc::unbounded_channel::<Message>();
        let server = Arc::clone(world);
        // Not the node's: what was sent before a crash arrives after it.
        let deliver = Box::pin(async move {
            while let Some(message) = messages.recv().await {
                server.time().sleep(message.arrives.saturating_sub(server.time().now())).await;
                server.execute(message.execute);
            }
        });
        world.executor.start(Owner::World, deliver).unwrap();
        Self { world: Arc::clone(world), node, lane }
    }

    fn fate(&self) -> Fate {
        let dice = self.world.dice();
        if !dice.chance(self.world.weather()) {
            return Fate::Fine;
        }
        [Fate::Refused, Fate::LostRequest, Fate::LostAnswer, Fate::Slow][dice.pick(4)]
    }

    async fn call<T: Send + 'static>(
        &self,
        what: String,
        writes: bool,
        execute: impl FnOnce(&mut Server) -> T + Send + 'static,
    ) -> Result<T> {
        let (world, dice) = (&self.world, self.world.dice());
        dawdle(dice).await;
        let fate = self.fate();
        let remark = if fate == Fate::Fine { String::new() } else { format!(" ({fate:?})") };
        world.note(format_args!("node {}: sends {what}{remark}", self.node));
        match fate {
            Fate::Refused => return Err(Error::new(ErrorKind::Unavailable, "refused")),
            Fate::LostRequest => return pending().await,
            Fate::Fine | Fate::LostAnswer | Fate::Slow => {}
        }
        let delay = match fate {
            Fate::Slow => dice.millis(200, 3_000),
            _ if dice.chance(50) => dice.millis(0, 3),
            _ => Duration::ZERO,
        };
        let (answer, answered) = oneshot::channel();
        let (told, node) = (Arc::clone(world), self.node);
        let execute = Box::new(move |server: &mut Server| {
            let result = execute(server);
            told.note(format_args!("server: did {what} of node {node}"));
            // Nobody listens where the caller went away.
            let _ = answer.send(result);
        });
        let arrives = world.time().now() + delay;
        self.lane
            .send(Message { arrives, execute })
            .map_err(|_| Error::new(ErrorKind::Unavailable, "gone"))?;
        if fate == Fate::LostAnswer {
            world.time().sleep(dice.millis(0, 20)).await;
            let kind = if writes { ErrorKind::Ambiguous } else { ErrorKind::Unavailable };
            return Err(Error::new(kind, "the connection broke"));
        }
        let result = answered.await.map_err(|_| Error::new(ErrorKind::Ambiguous, "the server is gone"))?;
        if dice.chance(30) {
            world.time().sleep(dice.millis(0, 3)).await;
        }
        dawdle(dice).await;
        Ok(result)
    }

    /// Until when the server keeps what it is to keep for so long.
    fn until(&self, expiry: Expiry) -> Expiry {
        // One that is past already is a way of deleting.
        if self.world.setup.broken == Broken::NeverExpires && !expiry.is_past() {
            Expiry::Never
        } else {
            expiry
        }
    }

    /// What a server keeps, noting until when the entry of a load is to be served.
    fn kept(&self, value: &Value) -> Result<Bytes> {
        self.world.sent(self.node, value);
        value.to_wire()
    }

    /// Whether a broken server only says that it deletes.
    fn lies(&self) -> bool {
        self.world.setup.broken == Broken::DeletesLie && self.world.dice().chance(25)
    }
}

#[async_trait]
impl CacheStore for Connection {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new()
            .with_operations(Operations::ALL)
            .with_shared(self.world.setup.shared)
            .with_remote(true)
    }

    async fn get(&self, key: &Key) -> Result<Option<Value>> {
        let at = key.clone();
        self.call(format!("get {key:?}"), false, move |server| server.get(&at)).await?
    }

    async fn get_many(&self, keys: &[Key]) -> Vec<Result<Option<Value>>> {
        let all = keys.to_vec();
        let get = move |server: &mut Server| all.iter().map(|key| server.get(key)).collect::<Vec<_>>();
        match self.call(format!("get_many {keys:?}"), false, get).await {
            Ok(results) => results,
            Err(error) => keys.iter().map(|_| Err(error.clone())).collect(),
        }
    }

    async fn set(&self, key: &Key, value: Value, expiry: Expiry) -> Result<()> {
        let (at, value, expiry) = (key.clone(), self.kept(&value)?, self.until(expiry));
        self.call(format!("set {key:?}"), true, move |server| server.set(&at, value, expiry)).await
    }

    async fn delete(&self, key: &Key) -> Result<bool> {
        let (at, lies) = (key.clone(), self.lies());
        if self.world.setup.broken == Broken::NeverDeletes {
            return Err(Error::new(ErrorKind::Unavailable, "never"));
        }
        self.call(format!("delete {key:?}"), true, move |server| lies || server.delete(&at)).await
    }

    async fn delete_many(&self, keys: &[Key]) -> Vec<Result<bool>> {
        if self.world.setup.broken == Broken::NeverDeletes {
            return keys.iter().map(|_| Err(Error::new(ErrorKind::Unavailable, "never"))).collect();
        }
        let all = keys.to_vec();
        let delete = move |server: &mut Server| all.iter().map(|key| server.delete(key)).collect::<Vec<_>>();
        match self.call(format!("delete_many {keys:?}"), true, delete).await {
            Ok(results) => results.into_iter().map(Ok).collect(),
            Err(error) => keys.iter().map(|_| Err(error.clone())).collect(),
        }
    }

    async fn get_versioned(&self, key: &Key) -> Result<Option<(Value, Version)>> {
        let at = key.clone();
        self.call(format!("get_versioned {key:?}"), false, move |server| server.get_versioned(&at)).await?
    }

    async fn add(&self, key: &Key, value: Value, expiry: Expiry) -> Result<Option<Version>> {
        let (at, value, expiry) = (key.clone(), self.kept(&value)?, self.until(expiry));
        self.call(format!("add {key:?}"), true, move |server| server.add(&at, value, expiry)).await
    }

    async fn replace(
        &self,
        key: &Key,
        version: &Version,
        value: Value,
        expiry: Expiry,
    ) -> Result<Option<Version>> {
        let (at, value, expiry) = (key.clone(), self.kept(&value)?, self.until(expiry));
        let version = (self.world.setup.broken != Broken::ReplacesAnything).then_some(*version);
        let replace = move |server: &mut Server| server.replace(&at, version.as_ref(), value, expiry);
        self.call(format!("replace {key:?}"), true, replace).await
    }

    async fn increment(&self, key: &Key, delta: i64, expiry: Expiry) -> Result<i64> {
        let at = key.clone();
        self.call(format!("increment {key:?}"), true, move |server| server.increment(&at, delta, expiry))
            .await?
    }

    async fn touch(&self, key: &Key, expiry: Expiry) -> Result<bool> {
        let at = key.clone();
        self.call(format!("touch {key:?}"), true, move |server| server.touch(&at, expiry)).await
    }

    async fn expiry(&self, key: &Key) -> Result<Option<Expiry>> {
        let at = key.clone();
        self.call(format!("expiry {key:?}"), false, move |server| server.expiry(&at)).await
    }

    async fn clear(&self, namespace: &Namespace) -> Result<()> {
        let at = namespace.clone();
        self.call(format!("clear {namespace:?}"), true, move |server| server.clear(&at)).await
    }

    async fn keys(&self, namespace: &Namespace) -> Result<Vec<Key>> {
        let at = namespace.clone();
        self.call(format!("keys {namespace:?}"), false, move |server| server.keys(&at)).await
    }

    async fn len(&self) -> Result<u64> {
        self.call("len".to_owned(), false, |server| server.keys(&Namespace::root()).len() as u64).await
    }
}
