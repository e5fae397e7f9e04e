//! Looks after one connection: makes it, watches it, and makes the next one.

use std::{pin::pin, sync::Arc, time::Duration};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use futures_util::{
    FutureExt as _, StreamExt as _,
    future::{Either, pending, ready, select},
    stream::FuturesUnordered,
};
use larder_core::{BoxFuture, Clock, Error, ErrorKind, Result, Spawn, SystemClock, TokioSpawn};
use tokio::sync::{oneshot, watch};

use crate::{
    conn::Conn,
    hub::{Hub, Route},
    session::Role,
};

/// The first and the longest rest between attempts to connect. A connection that lasted for the longest ends the row.
const FIRST_REST: Duration = Duration::from_millis(50);
const LONGEST_REST: Duration = Duration::from_millis(500);
/// The rest where settings or the table are wrong, which no waiting mends.
const LONG_REST: Duration = Duration::from_secs(2);
/// How many attempts of one lane may hang at once, besides one whose time ends as the next begins: each begins such a
/// share of `connect_timeout` after the one before.
const ABREAST: u32 = 4;
/// How often a connection is looked at.
const LOOK: Duration = Duration::from_millis(250);
/// After so many looks in a row at a connection that gives no answers, another is made: two seconds.
const SILENT_LOOKS: u32 = 8;

/// Starts a task for each lane; they end when the sender of `closing` is dropped.
pub(crate) fn start(hub: &Arc<Hub>, closing: &watch::Receiver<()>) -> Result<()> {
    for lane in 0..hub.lanes() {
        let (hub, closing) = (Arc::clone(hub), closing.clone());
        TokioSpawn.spawn(Box::pin(async move {
            let seat = Seat { hub, lane };
            until_closed(closing, seat.look_after()).await;
        }))?;
    }
    Ok(())
}

/// Runs a task that never ends until the store is gone.
pub(crate) async fn until_closed(mut closing: watch::Receiver<()>, task: impl Future<Output = ()>) {
    // Nothing is ever sent: a change is the sender's end.
    let closed = closing.changed();
    futures_util::pin_mut!(closed, task);
    let _ = select(closed, task).await;
}

fn rests() -> ExponentialBackoff {
    let rests = ExponentialBuilder::default().with_min_delay(FIRST_REST).with_max_delay(LONGEST_REST);
    rests.without_max_times().build()
}

/// A connection, and what tells its end, where something does.
type Made = (Conn, Option<oneshot::Receiver<()>>);

/// One lane, while its task runs.
struct Seat {
    hub: Arc<Hub>,
    lane: usize,
}

/// The task ended: the store is gone, or the runtime in which it was built.
impl Drop for Seat {
    fn drop(&mut self) {
        self.hub.failed(
            self.hub.epoch(),
            Error::new(ErrorKind::Unavailable, "the Tokio runtime in which the store was built has ended"),
        );
        self.hub.publish(self.lane, None);
    }
}

impl Seat {
    async fn look_after(&self) {
        let clock = SystemClock::new();
        let mut rests = rests();
        let mut due: BoxFuture<'static, ()> = Box::pin(ready(()));
        loop {
            let (conn, ended) = self.connect(&clock, &mut rests, due).await;
            let (conn, made) = (Arc::new(conn), clock.now());
            self.hub.publish(self.lane, Some(Arc::clone(&conn)));
            watch(&conn, ended, &clock).await;
            self.hub.publish(self.lane, None);
            due = if clock.now().saturating_since(made) >= LONGEST_REST {
                rests = self::rests();
                Box::pin(ready(()))
            } else {
                // What takes each connection and cuts it is no better than what takes none.
                clock.sleep(rests.next().unwrap_or(LONGEST_REST))
            };
        }
    }

    /// Attempts, the first when it is `due`, until one succeeds. One that hangs keeps its whole time, as a slow server needs it, but does not hold up
    /// the next: it may have begun before the server was back, and never be answered, or have met a process of the server's
    /// that waits for a processor. So another begins beside it after the longest rest.
    async fn connect(
        &self,
        clock: &SystemClock,
        rests: &mut ExponentialBackoff,
        mut due: BoxFuture<'static, ()>,
    ) -> Made {
        let share = LONGEST_REST.max(self.hub.connector.settings.connect_timeout / ABREAST);
        let mut attempts = FuturesUnordered::new();
        let mut failed_in = None;
        loop {
            let retry = self.hub.retry.notified();
            futures_util::pin_mut!(retry);
            // From here on a call to try again is not missed.
            retry.as_mut().enable();
            if failed_in.take().is_some_and(|epoch| epoch != self.hub.epoch()) {
                due = Box::pin(ready(()));
            }
            let ended: Option<(u64, Result<Made>)> =
                match select(pin!(next_of(&mut attempts)), select(retry, &mut due)).await {
                    Either::Left((ended, _)) => Some(ended),
                    Either::Right(_) => None,
                };
            match ended {
                Some((_, Ok(made))) => return made,
                Some((epoch, Err(error))) => {
                    let usual = rests.next().unwrap_or(LONGEST_REST);
                    let rest = if error.kind() == ErrorKind::Config { LONG_REST } else { usual };
                    self.hub.failed(epoch, error);
                    failed_in = Some(epoch);
                    let rest = clock.sleep(rest);
                    due = if attempts.is_empty() { rest } else { Box::pin(select(due, rest).map(drop)) };
                }
                None => {
                    if self.may_begin(attempts.len()).await {
                        attempts.push(self.attempt(clock));
                    }
                    due = clock.sleep(share);
                }
            }
        }
    }

    /// Whether to begin an attempt beside so many that hang. Where no connection is to be had, the first lane tries for
    /// all; where one is, only that for walks is in a hurry, as no other does its work.
    async fn may_begin(&self, hanging: usize) -> bool {
        let is_first = self.lane == 0;
        if hanging == 0 {
            if !is_first {
                self.hub.after_first().await;
            }
            return true;
        }
        let is_needed =
            is_first || self.hub.role(self.lane) == Role::Walk && self.hub.pick(Route::Any).is_some();
        is_needed && hanging <= ABREAST as usize
    }

    /// One attempt, and the epoch in which it began.
    async fn attempt(&self, clock: &SystemClock) -> (u64, Result<Made>) {
        let epoch = self.hub.epoch();
        let limit = self.hub.connector.settings.connect_timeout;
        let open = self.hub.connector.open(self.hub.role(self.lane));
        futures_util::pin_mut!(open);
        let ended = match select(open, clock.sleep(limit)).await {
            Either::Left((ended, _)) => ended,
            Either::Right(_) => {
                let server = self.hub.connector.server.name();
                Err(Error::new(ErrorKind::Unavailable, format!("no connection to {server} within {limit:?}")))
            }
        };
        (epoch, ended)
    }
}

/// The first of several to end; where there is none, never.
async fn next_of<F: Future>(several: &mut FuturesUnordered<F>) -> F::Output {
    match several.next().await {
        Some(ended) => ended,
        None => pending().await,
    }
}

/// Until the connection has ended, or is of no use.
async fn watch(conn: &Conn, ended: Option<oneshot::Receiver<()>>, clock: &SystemClock) {
    // A pool's connection does not tell its end, and is only looked at.
    let ended = match ended {
        Some(ended) => ended.map(drop).left_future(),
        None => pending().right_future(),
    };
    let over = select(ended, Box::pin(conn.doubted()));
    let looks = Box::pin(async {
        let mut silent = 0;
        while conn.is_usable() && silent < SILENT_LOOKS {
            clock.sleep(LOOK).await;
            silent = if conn.is_silent() { silent + 1 } else { 0 };
        }
    });
    let _ = select(over, looks).await;
}
