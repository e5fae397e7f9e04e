//! A TCP proxy whose faults can be switched while it runs.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep, sleep_until};

use crate::ports::Port;

/// More connections than this are closed as they come.
const CONNECTIONS: usize = 1024;
const CHUNK: usize = 16 * 1024;
/// Chunks of answers on their way, for each connection.
const CHUNKS: usize = 64;

/// What the proxy does to answers. It holds for connections that are open and for those to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Nothing.
    None,
    /// Each piece comes that much later.
    Delay(Duration),
    /// After so many more bytes, the connection is closed, in the middle of an answer or not.
    CutAfter(usize),
    /// They come in pieces of so many bytes, with a pause after each.
    Trickle {
        /// The size of a piece.
        bytes: usize,
        /// The pause.
        every: Duration,
    },
    /// The proxy ends its sending side of each connection, and goes on to pass requests.
    HalfClose,
    /// The port is closed, and with it every connection.
    Refuse,
    /// Requests pass, and answers wait until the fault is over: what a partition looks like.
    Stall,
}

/// A proxy in front of one server, on a port of 127.0.0.1. Dropping it closes everything.
#[derive(Debug)]
pub struct Proxy {
    port: Port,
    fault: watch::Sender<Fault>,
    counts: Arc<Counts>,
    task: AbortHandle,
}

#[derive(Debug, Default)]
struct Counts {
    open: AtomicUsize,
    accepted: AtomicU64,
}

impl Proxy {
    /// Passes everything on, until told otherwise. Needs a Tokio runtime.
    pub async fn start(upstream: SocketAddr) -> Result<Self> {
        let port = Port::reserve()?;
        let listener = TcpListener::bind(port.address()).await.context("the proxy has no port")?;
        let (fault, faults) = watch::channel(Fault::None);
        let counts = Arc::new(Counts::default());
        let task = tokio::spawn(serve(listener, port.address(), upstream, faults, Arc::clone(&counts)));
        Ok(Self { port, fault, counts, task: task.abort_handle() })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// From now on this fault, and no other.
    pub fn set(&self, fault: Fault) {
        self.fault.send_replace(fault);
    }

    /// How many connections it has.
    pub fn open_connections(&self) -> usize {
        self.counts.open.load(Ordering::SeqCst)
    }

    /// How many connections it ever took.
    pub fn accepted(&self) -> u64 {
        self.counts.accepted.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    listener: TcpListener,
    address: SocketAddr,
    upstream: SocketAddr,
    mut faults: watch::Receiver<Fault>,
    counts: Arc<Counts>,
) {
    let mut listener = Some(listener);
    let mut connections = JoinSet::new();
    loop {
        if *faults.borrow_and_update() == Fault::Refuse {
            listener = None;
            if faults.changed().await.is_err() {
                return;
            }
            continue;
        }
        if listener.is_none() {
            // The port is reserved, but the kernel may need a moment.
            listener = TcpListener::bind(address).await.ok();
        }
        let Some(listening) = &listener else {
            sleep(Duration::from_millis(5)).await;
            continue;
        };
        tokio::select! {
            changed = faults.changed() => if changed.is_err() { return },
            Some(_) = connections.join_next() => {}
            accepted = listening.accept() => {
                let Ok((client, _)) = accepted else { continue };
                if connections.len() < CONNECTIONS {
                    counts.accepted.fetch_add(1, Ordering::SeqCst);
                    connections.spawn(pass(client, upstream, faults.clone(), Open::new(&counts)));
                }
            }
        }
    }
}

/// Counts a connection while it lives, also when its task is aborted.
struct Open(Arc<Counts>);

impl Open {
    fn new(counts: &Arc<Counts>) -> Self {
        counts.open.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(counts))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

/// One connection, until either side or a fault ends it.
async fn pass(client: TcpStream, upstream: SocketAddr, faults: watch::Receiver<Fault>, _open: Open) {
    // Without a server there is nothing to say to the client but the end of the connection.
    let Ok(server) = TcpStream::connect(upstream).await else { return };
    if client.set_nodelay(true).and(server.set_nodelay(true)).is_err() {
        return;
    }
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    let (sender, answers) = mpsc::channel(CHUNKS);
    let mut requests = pin!(requests(from_client, to_server));
    let mut answered = pin!(answer(to_client, answers, faults));
    let mut read = pin!(read(from_server, sender));
    let (mut requests_ended, mut read_ended) = (false, false);
    loop {
        tokio::select! {
            () = &mut answered => return,
            () = &mut requests, if !requests_ended => requests_ended = true,
            () = &mut read, if !read_ended => read_ended = true,
        }
    }
}

/// From the client to the server, to the client's end. An error ends that direction, as the end does.
async fn requests(mut client: OwnedReadHalf, mut server: OwnedWriteHalf) {
    let _ = tokio::io::copy(&mut client, &mut server).await;
    let _ = server.shutdown().await;
}

/// From the server, with the time each chunk came.
async fn read(mut server: OwnedReadHalf, answers: mpsc::Sender<(Instant, Bytes)>) {
    let mut buffer = BytesMut::with_capacity(CHUNK);
    while server.read_buf(&mut buffer).await.is_ok_and(|read| read > 0) {
        if answers.send((Instant::now(), buffer.split().freeze())).await.is_err() {
            return;
        }
        buffer.reserve(CHUNK);
    }
}

/// To the client, as the fault of the moment has it; the connection ends with this.
async fn answer(
    mut client: OwnedWriteHalf,
    mut answers: mpsc::Receiver<(Instant, Bytes)>,
    mut faults: watch::Receiver<Fault>,
) {
    let (mut came, mut pending) = (Instant::now(), Bytes::new());
    let mut fault = *faults.borrow_and_update();
    loop {
        if faults.has_changed().unwrap_or(false) {
            fault = *faults.borrow_and_update();
        }
        let (due, most, pause) = match fault {
            Fault::Refuse | Fault::CutAfter(0) => return,
            Fault::HalfClose => {
                // A client that is gone has nothing to end. What the server still says is taken, so that it can.
                let _ = client.shutdown().await;
                while answers.recv().await.is_some() {}
                return;
            }
            Fault::Stall => {
                if faults.changed().await.is_err() {
                    return;
                }
                fault = *faults.borrow_and_update();
                continue;
            }
            Fault::None => (None, usize::MAX, None),
            Fault::Delay(delay) => (Some(came + delay), usize::MAX, None),
            Fault::CutAfter(rest) => (None, rest, None),
            Fault::Trickle { bytes, every } => (None, bytes.max(1), Some(every)),
        };
        if pending.is_empty() {
            tokio::select! {
                next = answers.recv() => match next {
                    Some(next) => (came, pending) = next,
                    None => return,
                },
                Ok(()) = faults.changed() => fault = *faults.borrow_and_update(),
            }
            continue;
        }
        if let Some(due) = due {
            tokio::select! {
                () = sleep_until(due) => {}
                Ok(()) = faults.changed() => {
                    fault = *faults.borrow_and_update();
                    continue;
                }
            }
        }
        let piece = pending.split_to(most.min(pending.len()));
        if client.write_all(&piece).await.is_err() {
            return;
        }
        if let Fault::CutAfter(rest) = &mut fault {
            *rest -= piece.len();
        }
        if let Some(pause) = pause {
            tokio::select! {
                () = sleep(pause) => {}
                Ok(()) = faults.changed() => fault = *faults.borrow_and_update(),
            }
        }
    }
}
