//! One client, with its connections: when it is up, how often it was made anew, and whose data it speaks to.

use std::{
    borrow::Cow,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use fred::{
    clients::{Client, WithOptions},
    error::{Error as Said, ErrorKind as Kind},
    interfaces::{ClientLike as _, EventInterface as _},
    types::config::{Options, Server},
};
use futures_util::{
    FutureExt as _,
    future::{self, BoxFuture},
};
use larder_core::{Clock as _, Error, Result, SystemClock, Timestamp};
use tokio::sync::broadcast::{Receiver, error::TryRecvError};

use crate::{
    deadline::Deadline,
    error::{self, Effect, HandedAround},
    hanging::Hanging,
    replica::Replica,
    settings::Settings,
    trust::Known,
};

/// How often an operation that waits for a connection looks for itself.
const LOOK: Duration = Duration::from_millis(20);
/// How often the client may send a read again.
const READ_ATTEMPTS: u32 = 2;
/// How long the client may take until it does what it was told.
const DEAF: Duration = Duration::from_secs(1);

pub(crate) struct Lane {
    client: Client,
    read: WithOptions<Client>,
    write: WithOptions<Client>,
    replicas: Option<ReadReplicas>,
    reconnects: Mutex<Counted>,
    errors: Mutex<Heard>,
    pub(crate) handed_around: HandedAround,
    /// The count of connections at which the last one was given up by force.
    forced: AtomicU64,
    /// Since when nothing is answered, in nanoseconds; 0: everything is.
    silent_since: AtomicU64,
    /// Those of a cluster's servers that answer nothing.
    hanging: Arc<Hanging>,
    /// That it is to connect anew because of that.
    told: Mutex<Option<Told>>,
    clock: Arc<SystemClock>,
    /// How long nothing may be answered.
    patience: Duration,
    pub(crate) known: Mutex<Option<Known>>,
    /// How long an operation may take.
    timeout: Duration,
}

/// How a lane reads from replicas.
#[derive(Clone, Debug)]
pub(crate) enum ReadReplicas {
    /// The client knows those of a cluster.
    OfCluster,
    Of(Arc<Replica>),
}

/// Counts the connections made: a receiver that never receives.
struct Counted {
    before: u64,
    receiver: Receiver<Server>,
}

/// The last thing that went wrong with the connections.
struct Heard {
    receiver: Receiver<(Said, Option<Server>)>,
    last: Option<Said>,
}

/// That a client was told to connect anew.
struct Told {
    when: Timestamp,
    /// Ends when it has tried to.
    under_way: Option<BoxFuture<'static, ()>>,
}

impl Told {
    fn now(client: &Client, when: Timestamp) -> Self {
        let client = client.clone();
        let connecting = async move {
            // What comes of it the next operations see.
            let _ = client.force_reconnection().await;
        };
        let mut told = Self { when, under_way: Some(connecting.boxed()) };
        // Polled once, it has told the client.
        told.is_done();
        told
    }

    fn is_done(&mut self) -> bool {
        if self.under_way.as_mut().is_some_and(|connecting| connecting.now_or_never().is_some()) {
            self.under_way = None;
        }
        self.under_way.is_none()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn options(effect: Effect, timeout: Duration) -> Options {
    let mut options = Options { timeout: Some(timeout), ..Options::default() };
    options.max_attempts = Some(match effect {
        Effect::None => READ_ATTEMPTS,
        // One whose connection is lost may have run.
        Effect::Possible => 1,
    });
    options
}

impl Lane {
    pub(crate) fn new(
        client: Client,
        settings: &Settings,
        clock: Arc<SystemClock>,
        replicas: Option<ReadReplicas>,
    ) -> Self {
        let timeout = settings.operation_timeout;
        let read = client.with_options(&options(Effect::None, timeout));
        Self {
            write: client.with_options(&options(Effect::Possible, timeout)),
            replicas,
            read,
            reconnects: Mutex::new(Counted { before: 0, receiver: client.reconnect_rx() }),
            errors: Mutex::new(Heard { receiver: client.error_rx(), last: None }),
            handed_around: HandedAround::by(client.connection_config()),
            forced: AtomicU64::new(u64::MAX),
            silent_since: AtomicU64::new(0),
            hanging: Arc::default(),
            told: Mutex::new(None),
            clock,
            patience: settings.patience(),
            known: Mutex::new(None),
            timeout,
            client,
        }
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// The client that reads go through while there is a connection: the common case, at no cost.
    #[inline]
    pub(crate) fn reader(&self) -> Option<&WithOptions<Client>> {
        self.client.is_connected().then_some(&self.read)
    }

    /// The client that writes go through while there is a connection.
    #[inline]
    pub(crate) fn writer(&self) -> Option<&WithOptions<Client>> {
        self.client.is_connected().then_some(&self.write)
    }

    #[inline]
    pub(crate) fn replicas(&self) -> Option<&ReadReplicas> {
        self.replicas.as_ref()
    }

    /// The client to send with, once there is a connection. Nothing is handed to it before: it would keep commands without
    /// bound, and send them late.
    #[inline]
    pub(crate) async fn ready(
        &self,
        effect: Effect,
        deadline: &Deadline<'_>,
    ) -> Result<Cow<'_, WithOptions<Client>>> {
        if self.client.is_connected() {
            // Only the first command of an operation has all of its time.
            if deadline.is_young(self.timeout) {
                return Ok(Cow::Borrowed(match effect {
                    Effect::None => &self.read,
                    Effect::Possible => &self.write,
                }));
            }
            return self.within(effect, deadline).map(Cow::Owned);
        }
        Box::pin(self.connected(deadline)).await?;
        self.within(effect, deadline).map(Cow::Owned)
    }

    async fn connected(&self, deadline: &Deadline<'_>) -> Result<()> {
        while !self.client.is_connected() {
            let Some(left) = deadline.left() else { return Err(self.down()) };
            let look = deadline.clock.sleep(left.min(LOOK));
            let connected = Box::pin(self.client.wait_for_connect());
            if let future::Either::Left((Err(_), look)) = future::select(connected, look).await {
                look.await;
            }
        }
        Ok(())
    }

    /// The client to send with in what is left of the time.
    pub(crate) fn within(&self, effect: Effect, deadline: &Deadline<'_>) -> Result<WithOptions<Client>> {
        let left = deadline.left().ok_or_else(error::too_late)?;
        Ok(self.client.with_options(&options(effect, left)))
    }

    /// The error of an operation that found no connection.
    pub(crate) fn down(&self) -> Error {
        error::no_connection(self.last_error().as_ref())
    }

    fn last_error(&self) -> Option<Said> {
        let mut heard = lock(&self.errors);
        loop {
            match heard.receiver.try_recv() {
                Ok((said, _)) => heard.last = Some(said),
                Err(TryRecvError::Lagged(_)) => {}
                Err(TryRecvError::Closed) => {
                    heard.receiver = self.client.error_rx();
                    break;
                }
                Err(TryRecvError::Empty) => break,
            }
        }
        heard.last.clone()
    }

    /// How many connections were made. The client counts one before it sends anything over it, so two equal counts
    /// mean that what was answered between them was answered over the connections there were before.
    pub(crate) fn connections(&self) -> u64 {
        let mut counted = lock(&self.reconnects);
        if counted.receiver.is_closed() {
            counted.before += counted.receiver.len() as u64 + 1;
            counted.receiver = self.client.reconnect_rx();
        }
        counted.before + counted.receiver.len() as u64
    }

    /// Makes the client connect anew, once for each connection: it speaks to a server that is no primary any more.
    pub(crate) fn give_up_connection(&self) {
        let connections = self.connections();
        if self.forced.swap(connections, Ordering::Relaxed) != connections {
            self.connect_anew();
        }
    }

    fn connect_anew(&self) {
        // Polled once, it has told the client; what comes of it the next operation sees.
        let _ = self.client.force_reconnection().now_or_never();
    }

    /// Something was answered.
    #[inline]
    pub(crate) fn answered(&self) {
        if self.silent_since.load(Ordering::Relaxed) != 0 {
            self.silent_since.store(0, Ordering::Relaxed);
            *lock(&self.told) = None;
        }
    }

    /// Something was not answered in time. When nothing was for a while, the client connects anew; by itself it waits
    /// for ever for a silent server, as long as there is something to send to it. The client of a cluster looks for the slots
    /// anew, and closes no connection that is in order.
    pub(crate) fn unanswered(&self) {
        let now = self.clock.now().as_nanos();
        let since = self.silent_since.load(Ordering::Relaxed);
        if since == 0 {
            self.silent_since.store(now, Ordering::Relaxed);
        } else if u128::from(now.saturating_sub(since)) >= self.patience.as_nanos()
            && self.silent_since.compare_exchange(since, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        {
            let mut told = lock(&self.told);
            if told.as_mut().is_none_or(Told::is_done) {
                *told = Some(Told::now(&self.client, self.clock.now()));
            }
        }
    }

    /// What became of a command for the server of a cluster that has this slot.
    #[inline]
    pub(crate) fn notice<T>(
        &self,
        answer: &std::result::Result<T, Said>,
        slot: impl FnOnce() -> Option<u16>,
    ) {
        match answer {
            Ok(_) if self.hanging.is_any() => {
                if let Some(slot) = slot() {
                    self.hanging.answered(slot);
                }
            }
            Err(said) if *said.kind() == Kind::Timeout => {
                if let Some(slot) = slot() {
                    self.hanging.unanswered(&self.read, slot, self.clock.now(), self.patience);
                }
            }
            _ => {}
        }
    }

    /// Whether it was told to connect anew a while ago, and has not done so yet.
    pub(crate) fn is_deaf(&self, now: Timestamp) -> bool {
        let mut told = lock(&self.told);
        told.as_mut().is_some_and(|told| now.saturating_since(told.when) >= DEAF && !told.is_done())
    }

    /// What another lane heard last of what goes wrong, so that operations can still tell it.
    pub(crate) fn remembering(self, other: &Self) -> Self {
        lock(&self.errors).last = other.last_error();
        self
    }
}

impl fmt::Debug for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lane").field("connected", &self.client.is_connected()).finish_non_exhaustive()
    }
}
