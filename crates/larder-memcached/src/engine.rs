//! What moves a connection: its driver, or a read that has the connection for itself.
//!
//! Most reads find their connection at rest, and nobody beside them. Such a read needs no queue, no plan of a trip and no
//! channel for its answer. It is kept here and not in its caller, so that whoever has the role polls it to its end: the
//! caller may go away at any moment.

use std::{
    sync::Arc,
    task::{Context, Poll, Waker, ready},
};

use larder_core::{BoxFuture, Error, Result, Timestamp};

use crate::{
    alarm::Alarm,
    connect::Connection,
    driver::drive,
    error::{self, Broken, Reach},
    item::Item,
    replies::Reply,
    settings::Settings,
    shared::Shared,
    wire::Wire,
};

/// In place of a caller that went away.
const NO_CALLER: u64 = 0;

pub(crate) struct Engine {
    shared: Arc<Shared>,
    driver: BoxFuture<'static, ()>,
    taken: Option<Taken>,
    alone: Option<Alone>,
    /// Of whoever waits for the read, or waited for the last one: most come again, and need not be made known anew.
    waker: Waker,
    alarm: Alarm,
}

/// The connection, once a read has had it for itself, until the driver wants it.
struct Taken {
    connection: Connection,
    /// Taken out of its line.
    wire: Wire,
}

/// A read that has the connection for itself.
struct Alone {
    /// The number of its caller.
    caller: u64,
    state: State,
}

enum State {
    /// On its way. The driver is not polled meanwhile.
    Asked {
        ends: Timestamp,
    },
    Answered(Result<Option<Item>>),
}

impl Engine {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let driver = Box::pin(drive(Arc::clone(&shared)));
        let alarm = Alarm::new(&shared.settings.timer);
        Self { shared, driver, taken: None, alone: None, waker: Waker::noop().clone(), alarm }
    }

    /// Begins a read, if the connection is there, at rest, and nobody waits for it. Otherwise `false`. Once it has begun,
    /// `context` is told when to poll.
    pub(crate) fn begin(
        &mut self,
        caller: u64,
        key: &str,
        ends: Timestamp,
        context: &mut Context<'_>,
    ) -> bool {
        if self.alone.is_some() || self.shared.is_busy() || !self.shared.has_place() {
            return false;
        }
        if self.taken.is_none() {
            let connection = self.shared.rest().take();
            self.taken = connection.map(|connection| Taken { wire: connection.line.take(), connection });
        }
        let Some(Taken { wire, .. }) = &mut self.taken else { return false };
        if self.alarm.poll_at(ends, context).is_ready() {
            return false;
        }
        if !wire.is_quiet(context) {
            // Looking may have taken a stray byte away: nobody else must look at this one and find it well.
            self.taken = None;
            return false;
        }
        wire.begin();
        wire.get(key);
        // There is nothing to read yet, and whoever has just looked is told when there is: no need to look again.
        let sent = wire.poll_send(context);
        let has_sent = wire.has_sent();
        self.waker.clone_from(context.waker());
        self.shared.read_begins();
        self.alone = Some(Alone { caller, state: State::Asked { ends } });
        if let Err(cause) = sent {
            let error = lost(&self.shared.settings, has_sent, &cause.into());
            self.end(caller, Err(error));
        }
        true
    }

    /// Moves on what is under way, for the one with this number. Ready only if the driver ended, which it never does.
    pub(crate) fn poll(&mut self, by: u64, context: &mut Context<'_>) -> Poll<()> {
        if let Some(Alone { caller, state: State::Asked { ends }, .. }) = &self.alone {
            let own = *caller == by;
            let wire = self.taken.as_mut().map(|taken| &mut taken.wire);
            let answer = ready!(poll_answer(wire, *ends, &self.shared.settings, &mut self.alarm, context));
            self.end(by, answer);
            if own {
                // What waits is for whoever has the role next.
                return Poll::Pending;
            }
        }
        if let Some(Taken { connection, wire }) = self.taken.take() {
            connection.line.put(wire);
            *self.shared.rest() = Some(connection);
        }
        self.driver.as_mut().poll(context)
    }

    /// The answer to the read of this caller. Until there is one, `context` is told when to look again.
    pub(crate) fn collect(&mut self, caller: u64, context: &Context<'_>) -> Poll<Result<Option<Item>>> {
        let cut_off = || Err(error::cut_off(&self.shared.settings.name, Reach::Read));
        let Some(alone) = self.alone.as_mut().filter(|alone| alone.caller == caller) else {
            return Poll::Ready(cut_off());
        };
        if matches!(alone.state, State::Asked { .. }) {
            self.waker.clone_from(context.waker());
            return Poll::Pending;
        }
        match self.alone.take() {
            Some(Alone { state: State::Answered(answer), .. }) => Poll::Ready(answer),
            _ => Poll::Ready(cut_off()),
        }
    }

    /// The caller went away. Its read goes on, or the next answer on the connection would be taken for another's.
    pub(crate) fn forget(&mut self, caller: u64) {
        if let Some(alone) = self.alone.as_mut().filter(|alone| alone.caller == caller) {
            alone.caller = NO_CALLER;
            if matches!(alone.state, State::Answered(_)) {
                self.alone = None;
            }
        }
    }

    /// Begins anew: what was under way is lost, and with it the connection.
    pub(crate) fn reset(&mut self) {
        self.taken = None;
        *self.shared.rest() = None;
        self.driver = Box::pin(drive(Arc::clone(&self.shared)));
        self.alarm = Alarm::new(&self.shared.settings.timer);
        if matches!(self.alone, Some(Alone { state: State::Asked { .. }, .. })) {
            self.answer(NO_CALLER, Err(error::cut_off(&self.shared.settings.name, Reach::Read)));
        }
        self.shared.abandon();
    }

    /// Ends the read that is under way, and, where it failed, the connection.
    fn end(&mut self, by: u64, answer: Result<Option<Item>>) {
        if answer.is_err() {
            self.taken = None;
            self.shared.hang_up();
        }
        self.answer(by, answer);
    }

    /// Tells the caller of the read that is under way.
    fn answer(&mut self, by: u64, answer: Result<Option<Item>>) {
        let Some(alone) = &mut self.alone else { return };
        // Whoever is answered must find the place free.
        self.shared.read_ends();
        alone.state = State::Answered(answer);
        if alone.caller == NO_CALLER {
            self.alone = None;
        } else if alone.caller != by {
            self.waker.wake_by_ref();
        }
    }
}

fn lost(settings: &Settings, has_sent: bool, broken: &Broken) -> Error {
    error::lost(&settings.name, if has_sent { Reach::Read } else { Reach::Waiting }, broken)
}

/// Reads on until the answer is there, or cannot come any more.
fn poll_answer(
    wire: Option<&mut Wire>,
    ends: Timestamp,
    settings: &Settings,
    alarm: &mut Alarm,
    context: &mut Context<'_>,
) -> Poll<Result<Option<Item>>> {
    let Some(wire) = wire else { return Poll::Ready(Err(error::cut_off(&settings.name, Reach::Read))) };
    let answered = match wire.poll_answers(context) {
        Poll::Pending => {
            ready!(alarm.poll_at(ends, context));
            Err(Broken::TimedOut(settings.operation_timeout))
        }
        Poll::Ready(Ok(())) => match wire.take_reply() {
            Some(Reply::Value(found)) if !wire.has_more() => Ok(found),
            Some(Reply::Failed(said)) => Err(Broken::Complained(said)),
            _ => Err(Broken::OutOfStep),
        },
        Poll::Ready(Err(cause)) => Err(cause.into()),
    };
    Poll::Ready(match answered {
        Ok(found) => Ok(found.and_then(Item::parse)),
        Err(broken) => Err(lost(settings, wire.has_sent(), &broken)),
    })
}
