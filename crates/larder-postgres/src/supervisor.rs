//! Looks after one connection: makes it, watches it, and makes the next one.

use std::{sync::Arc, time::Duration};

use backon::{BackoffBuilder, ExponentialBuilder};
use futures_util::{
    FutureExt as _,
    future::{Either, select},
};
use larder_core::{Clock, Error, ErrorKind, Result, Spawn, SystemClock, TokioSpawn};
use tokio::sync::{oneshot, watch};

use crate::{conn::Conn, hub::Hub};

/// The first and the longest rest between attempts to connect.
const RESTS: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(500));
/// The rest where settings or the table are wrong, which no waiting mends.
const LONG_REST: Duration = Duration::from_secs(2);
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
        loop {
            let (conn, ended) = self.connect(&clock).await;
            let conn = Arc::new(conn);
            self.hub.publish(self.lane, Some(Arc::clone(&conn)));
            watch(&conn, ended, &clock).await;
            self.hub.publish(self.lane, None);
        }
    }

    async fn connect(&self, clock: &SystemClock) -> (Conn, Option<oneshot::Receiver<()>>) {
        let (shortest, longest) = RESTS;
        let backoff = ExponentialBuilder::default()
            .with_min_delay(shortest)
            .with_max_delay(longest)
            .without_max_times();
        let mut rests = backoff.build();
        loop {
            if self.lane != 0 {
                self.hub.after_first().await;
            }
            let epoch = self.hub.epoch();
            let retry = self.hub.retry.notified();
            futures_util::pin_mut!(retry);
            // From here on a call to try again is not missed.
            retry.as_mut().enable();
            match self.attempt(clock).await {
                Ok(made) => return made,
                Err(error) => {
                    let usual = rests.next().unwrap_or(longest);
                    let rest = if error.kind() == ErrorKind::Config { LONG_REST } else { usual };
                    self.hub.failed(epoch, error);
                    let _ = select(retry, clock.sleep(rest)).await;
                }
            }
        }
    }

    async fn attempt(&self, clock: &SystemClock) -> Result<(Conn, Option<oneshot::Receiver<()>>)> {
        let limit = self.hub.connector.settings.connect_timeout;
        let open = self.hub.connector.open(self.hub.role(self.lane));
        futures_util::pin_mut!(open);
        match select(open, clock.sleep(limit)).await {
            Either::Left((made, _)) => made,
            Either::Right(_) => {
                let server = self.hub.connector.server.name();
                Err(Error::new(ErrorKind::Unavailable, format!("no connection to {server} within {limit:?}")))
            }
        }
    }
}

/// Until the connection has ended, or is of no use.
async fn watch(conn: &Conn, ended: Option<oneshot::Receiver<()>>, clock: &SystemClock) {
    // A pool's connection does not tell its end, and is only looked at.
    let ended = match ended {
        Some(ended) => ended.map(drop).left_future(),
        None => futures_util::future::pending().right_future(),
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
