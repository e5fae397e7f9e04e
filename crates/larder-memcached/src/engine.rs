//! What moves a connection: its driver, or a read that has the connection for itself.
//!
//! Most reads find their connection at rest, and nobody beside them. Such a read needs no queue, no plan of a trip and no
//! channel for its answer. It is kept here and not in its caller, so that whoever has the role polls it to its end: the
//! caller may go away at any moment.

use std::{
    sync::Arc,
    task::{Context, Poll, Waker, ready},
};

use larder_core::{BoxFuture, Result, Timestamp};

use crate::{
    alarm::Alarm,
    connect::Connection,
    driver::drive,
    error::{self, Broken, Reach},
    item::Item,
    replies::Reply,
    settings::Settings,
    shared::Shared,
    wire::Line,
};

/// In place of a caller that went away.
const NO_CALLER: u64 = 0;

pub(crate) struct Engine {
    shared: Arc<Shared>,
    driver: BoxFuture<'static, ()>,
    /// The connection, once a read has had it for itself, until the driver wants it.
    connection: Option<Connection>,
    alone: Option<Alone>,
    alarm: Alarm,
}

/// A read that has the connection for itself.
struct Alone {
    /// The number of its caller.
    caller: u64,
    waker: Waker,
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
        Self { shared, driver, connection: None, alone: None, alarm }
    }

    /// Begins a read, if the connection is there, at rest, and nobody waits for it. Otherwise `false`.
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
        if self.connection.is_none() {
            self.connection = self.shared.rest().take();
        }
        let Some(connection) = &self.connection else { return false };
        {
            let mut wire = connection.line.wire();
            if !wire.is_quiet(context) {
                drop(wire);
                // Looking may have taken a stray byte away: nobody else must look at this one and find it well.
                self.connection = None;
                return false;
            }
            wire.begin();
            wire.get(key);
        }
        self.shared.read_begins();
        self.alone = Some(Alone { caller, waker: context.waker().clone(), state: State::Asked { ends } });
        true
    }

    /// Moves on what is under way, for the one with this number. Ready only if the driver ended, which it never does.
    pub(crate) fn poll(&mut self, by: u64, context: &mut Context<'_>) -> Poll<()> {
        if let Some(Alone { caller, state: State::Asked { ends }, .. }) = &self.alone {
            let own = *caller == by;
            let line = self.connection.as_ref().map(|connection| &connection.line);
            let answer = ready!(poll_answer(line, *ends, &self.shared.settings, &mut self.alarm, context));
            if answer.is_err() {
                self.connection = None;
                self.shared.hang_up();
            }
            self.answer(by, answer);
            if own {
                // What waits is for whoever has the role next.
                return Poll::Pending;
            }
        }
        if let Some(connection) = self.connection.take() {
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
            alone.waker.clone_from(context.waker());
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
            alone.waker.clone_from(Waker::noop());
            if matches!(alone.state, State::Answered(_)) {
                self.alone = None;
            }
        }
    }

    /// Begins anew: what was under way is lost, and with it the connection.
    pub(crate) fn reset(&mut self) {
        self.connection = None;
        *self.shared.rest() = None;
        self.driver = Box::pin(drive(Arc::clone(&self.shared)));
        self.alarm = Alarm::new(&self.shared.settings.timer);
        if matches!(self.alone, Some(Alone { state: State::Asked { .. }, .. })) {
            self.answer(NO_CALLER, Err(error::cut_off(&self.shared.settings.name, Reach::Read)));
        }
        self.shared.abandon();
    }

    /// Ends the read that is under way.
    fn answer(&mut self, by: u64, answer: Result<Option<Item>>) {
        let Some(alone) = &mut self.alone else { return };
        // Whoever is answered must find the place free.
        self.shared.read_ends();
        alone.state = State::Answered(answer);
        if alone.caller == NO_CALLER {
            self.alone = None;
        } else if alone.caller != by {
            alone.waker.wake_by_ref();
        }
    }
}

/// Reads on until the answer is there, or cannot come any more.
fn poll_answer(
    line: Option<&Line>,
    ends: Timestamp,
    settings: &Settings,
    alarm: &mut Alarm,
    context: &mut Context<'_>,
) -> Poll<Result<Option<Item>>> {
    let Some(line) = line else { return Poll::Ready(Err(error::cut_off(&settings.name, Reach::Read))) };
    let mut wire = line.wire();
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
    let reach = if wire.has_sent() { Reach::Read } else { Reach::Waiting };
    Poll::Ready(match answered {
        Ok(found) => Ok(found.and_then(Item::parse)),
        Err(broken) => Err(error::lost(&settings.name, reach, &broken)),
    })
}
