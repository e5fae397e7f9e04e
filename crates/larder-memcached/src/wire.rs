//! A connection's stream: what is written waits until something is read, then questions and answers go in one trip.

use std::{
    collections::VecDeque,
    future::{Future as _, poll_fn},
    io,
    pin::{Pin, pin},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

use bytes::{Buf as _, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf},
    task::unconstrained,
};

use crate::{
    passage::Passage,
    replies::{Expected, Reply, out_of_step},
};

/// TCP, a Unix socket, or TLS over one.
pub(crate) trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Socket for S {}

/// Buffers above this are given back once they are empty.
const KEPT: usize = 256 * 1024;

/// There is room for so much before anything is read, and never for less than the second number: an answer that fits should
/// come in one piece.
const ROOM: usize = 8 * 1024;
const LEAST_ROOM: usize = 1_024;

/// The stream that memcache-async speaks over. Commands of our own are put before its own; the answers to them are read here, before
/// it sees any.
pub(crate) struct Wire {
    socket: Box<dyn Socket>,
    out: Vec<u8>,
    sent: usize,
    /// Where commands begin in what is to be sent, the first one apart: over TLS, each is sent by itself. What lies behind
    /// a value in the same TLS record is in the server's hands without its noticing (memcached 1.6.18): it would wait for
    /// more to arrive, and we for its answer.
    ends: Option<VecDeque<usize>>,
    input: BytesMut,
    expected: VecDeque<Expected>,
    /// The key that is read alone.
    asked: String,
    replies: Vec<Reply>,
    /// What the client crate may be given.
    values: Passage,
    /// Whether any byte of this trip has left.
    has_sent: bool,
}

impl Wire {
    pub(crate) fn new(socket: Box<dyn Socket>, is_tls: bool) -> Self {
        Self {
            socket,
            out: Vec::new(),
            sent: 0,
            ends: is_tls.then(VecDeque::new),
            input: BytesMut::new(),
            expected: VecDeque::new(),
            asked: String::new(),
            replies: Vec::new(),
            values: Passage::default(),
            has_sent: false,
        }
    }

    /// Begins a trip.
    pub(crate) fn begin(&mut self) {
        self.has_sent = false;
        self.replies.clear();
    }

    /// Where a command of our own is written, with what answers it.
    pub(crate) fn command(&mut self, answers: Expected) -> &mut Vec<u8> {
        self.mark_end();
        self.expected.push_back(answers);
        &mut self.out
    }

    /// Asks for the value under a key: for one in a trip.
    pub(crate) fn get(&mut self, key: &str) {
        self.ask("get ", key);
        self.asked.clear();
        self.asked.push_str(key);
        self.expected.push_back(Expected::Value);
    }

    /// Asks for the value under a key, and the number of its state.
    pub(crate) fn gets(&mut self, key: String) {
        self.ask("gets ", &key);
        self.expected.push_back(Expected::Item(key));
    }

    fn ask(&mut self, verb: &str, key: &str) {
        self.mark_end();
        for part in [verb, key, "\r\n"] {
            self.out.extend_from_slice(part.as_bytes());
        }
    }

    /// The client crate is about to ask for values.
    pub(crate) fn begin_values(&mut self) {
        self.mark_end();
        self.values.open();
    }

    /// Ends the last command, before the client crate or we write another.
    fn mark_end(&mut self) {
        if let Some(ends) = &mut self.ends {
            ends.push_back(self.out.len());
        }
    }

    /// Whether more was read than was asked for.
    pub(crate) fn has_more(&self) -> bool {
        !self.input.is_empty()
    }

    /// Whether a byte has left since the trip began: before that nothing can have had an effect.
    pub(crate) fn has_sent(&self) -> bool {
        self.has_sent
    }

    pub(crate) fn take_replies(&mut self) -> Vec<Reply> {
        std::mem::take(&mut self.replies)
    }

    /// The answer to the last command of our own.
    pub(crate) fn take_reply(&mut self) -> Option<Reply> {
        self.replies.pop()
    }

    /// A server that went away has closed it; anything to read means that the two sides are out of step.
    pub(crate) fn is_quiet(&mut self, context: &mut Context<'_>) -> bool {
        let mut byte = [0];
        let mut buffer = ReadBuf::new(&mut byte);
        let socket = &mut self.socket;
        // A task that has used up its turn would be told that there is nothing yet, whatever there is.
        let read =
            pin!(unconstrained(poll_fn(|context| Pin::new(&mut *socket).poll_read(context, &mut buffer))));
        self.input.is_empty() && self.out.is_empty() && read.poll(context).is_pending()
    }

    /// Sends what the socket takes now.
    pub(crate) fn poll_send(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        if self.out.is_empty() {
            return Ok(());
        }
        while self.sent < self.out.len() {
            let mut end = self.out.len();
            if let Some(ends) = &mut self.ends {
                while ends.front().is_some_and(|end| *end <= self.sent) {
                    ends.pop_front();
                }
                end = ends.front().copied().unwrap_or(end);
            }
            match Pin::new(&mut self.socket).poll_write(context, &self.out[self.sent..end])? {
                Poll::Ready(0) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(count) => {
                    self.sent += count;
                    self.has_sent = true;
                }
                Poll::Pending => return Ok(()),
            }
        }
        if Pin::new(&mut self.socket).poll_flush(context)?.is_ready() {
            self.out.clear();
            self.out.shrink_to(KEPT);
            self.ends.iter_mut().for_each(VecDeque::clear);
            self.sent = 0;
        }
        Ok(())
    }

    /// Reading never waits for sending to end: a server that waits for us to read would wait for ever.
    pub(crate) fn poll_answers(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_send(context)?;
        while let Some(next) = self.expected.front() {
            if !self.input.is_empty()
                && let Some(reply) = next.take(&self.asked, &mut self.input)?
            {
                self.replies.push(reply);
                self.expected.pop_front();
                continue;
            }
            if self.input.capacity() - self.input.len() < LEAST_ROOM {
                self.input.reserve(ROOM);
            }
            let read = pin!(self.socket.read_buf(&mut self.input));
            if ready!(read.poll(context))? == 0 {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// The wire as memcache-async holds it, which keeps its stream to itself. Nobody ever waits for the lock.
#[derive(Clone)]
pub(crate) struct Line(Arc<Mutex<Wire>>);

impl Line {
    pub(crate) fn new(wire: Wire) -> Self {
        Self(Arc::new(Mutex::new(wire)))
    }

    pub(crate) fn wire(&self) -> MutexGuard<'_, Wire> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the wire out, for one who has the line for itself and would lock it at every step. What is left in its place is
    /// closed.
    pub(crate) fn take(&self) -> Wire {
        std::mem::replace(&mut *self.wire(), Wire::new(Box::new(tokio::io::empty()), false))
    }

    /// Puts back what was taken out.
    pub(crate) fn put(&self, wire: Wire) {
        *self.wire() = wire;
    }

    /// Sends, and reads the answers to all our own commands.
    pub(crate) async fn answers(&self) -> io::Result<()> {
        poll_fn(|context| self.wire().poll_answers(context)).await
    }

    /// Whether the connection is as it should be between two trips: open, and with nothing to read.
    pub(crate) async fn is_quiet(&self) -> bool {
        poll_fn(|context| Poll::Ready(self.wire().is_quiet(context))).await
    }
}

impl AsyncRead for Line {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let wire = &mut *self.wire();
        ready!(wire.poll_answers(context))?;
        let before = buffer.filled().len();
        if wire.input.is_empty() {
            ready!(Pin::new(&mut wire.socket).poll_read(context, buffer))?;
            let read = &buffer.filled()[before..];
            if read.is_empty() {
                return Poll::Ready(Ok(()));
            }
            let passed = wire.values.let_through(read)?;
            // What is too much stays here, where it is seen, and not in the client's own buffer.
            wire.input.extend_from_slice(&read[passed..]);
            buffer.set_filled(before + passed);
        } else {
            let count = buffer.remaining().min(wire.input.len());
            let passed = wire.values.let_through(&wire.input[..count])?;
            buffer.put_slice(&wire.input[..passed]);
            wire.input.advance(passed);
        }
        if buffer.filled().len() == before {
            // It has its answer, and wants more.
            return Poll::Ready(Err(out_of_step()));
        }
        Poll::Ready(Ok(()))
    }
}

/// Writing only collects, and flushing does not wait: reading sends.
impl AsyncWrite for Line {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.wire().out.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire().socket).poll_shutdown(context)
    }
}
