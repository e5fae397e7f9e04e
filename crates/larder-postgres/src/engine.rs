//! Runs one operation: a place, a connection, a deadline, and the error where it fails.

use std::{pin::pin, sync::Arc, time::Duration};

use futures_util::future::{Either, join_all, select};
use larder_core::{BoxFuture, Clock, Error, ErrorKind, Result, SystemClock};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_postgres::Row;

use crate::{
    conn::Conn,
    error::{self, Effect, Failed},
    hub::{Hub, Route},
    parameters::{Parameters, Typed},
    sql::Sql,
    turn::Turn,
};

/// What operations share.
#[derive(Clone)]
pub(crate) struct Engine {
    pub(crate) hub: Arc<Hub>,
    places: Arc<Semaphore>,
    clock: Arc<SystemClock>,
}

/// When an operation must have ended.
pub(crate) struct Deadline {
    limit: Duration,
    reached: BoxFuture<'static, ()>,
}

impl Engine {
    pub(crate) fn new(hub: Arc<Hub>) -> Self {
        let places = Arc::new(Semaphore::new(hub.connector.settings.max_in_flight));
        Self { hub, places, clock: Arc::new(SystemClock::new()) }
    }

    pub(crate) fn deadline(&self, limit: Duration) -> Deadline {
        Deadline { limit, reached: self.clock.sleep(limit) }
    }

    /// A place among the operations that are under way. Whoever walks holds one from the first step to the last.
    pub(crate) fn place(&self) -> Result<SemaphorePermit<'_>> {
        self.places.try_acquire().map_err(|_| {
            let limit = self.hub.connector.settings.max_in_flight;
            Error::new(
                ErrorKind::Overloaded,
                format!("`max_in_flight = {limit}` operations are under way already"),
            )
        })
    }

    /// The row of a point operation.
    pub(crate) async fn row(
        &self,
        sql: Sql,
        route: Route,
        effect: Effect,
        parameters: Parameters<'_>,
    ) -> Result<Option<Row>> {
        let connector = &self.hub.connector;
        let _place = self.place()?;
        let mut deadline = self.operation_deadline();
        self.run(route, effect, &mut deadline, async move |conn: &Conn, turn| {
            conn.row(turn, connector, sql, parameters).await
        })
        .await
    }

    /// When an operation must have ended that starts now.
    pub(crate) fn operation_deadline(&self) -> Deadline {
        self.deadline(self.hub.connector.settings.operation_timeout)
    }

    /// The rows of a part of a batch, which has its place already.
    pub(crate) async fn rows(
        &self,
        deadline: &mut Deadline,
        sql: Sql,
        route: Route,
        effect: Effect,
        parameters: Parameters<'_>,
    ) -> Result<Vec<Row>> {
        let connector = &self.hub.connector;
        self.run(route, effect, deadline, async move |conn: &Conn, turn| {
            conn.rows(turn, connector, sql, parameters).await
        })
        .await
    }

    /// The rows of one step of a walk.
    pub(crate) async fn walk(
        &self,
        effect: Effect,
        deadline: &mut Deadline,
        text: &str,
        parameters: Typed<'_>,
    ) -> Result<Vec<Row>> {
        self.run(Route::Walk, effect, deadline, async move |conn: &Conn, turn| {
            conn.text(turn, text, parameters).await
        })
        .await
    }

    /// Waits until all writes that were sent before have happened, those that nobody waits for any more included: what
    /// goes by another connection than theirs would not come after them.
    pub(crate) async fn catch_up(&self, deadline: &mut Deadline) -> Result<()> {
        let all = self.hub.points().map(|conn| async move { conn.catch_up().await });
        let Deadline { limit, reached } = deadline;
        match select(pin!(join_all(all)), reached).await {
            Either::Left(_) => Ok(()),
            Either::Right(_) => {
                let server = self.hub.connector.server.name();
                let what = format!("what was sent before to {server} has not happened within {limit:?}");
                Err(Error::new(ErrorKind::Unavailable, what))
            }
        }
    }

    async fn run<T>(
        &self,
        route: Route,
        effect: Effect,
        deadline: &mut Deadline,
        work: impl AsyncFnOnce(&Conn, Option<Turn>) -> Result<T, Failed>,
    ) -> Result<T> {
        let (conn, turn) = match self.hub.pick(route) {
            Some(conn) if !conn.takes_turns() => (conn, None),
            // Boxed, as a rare part of what would be moved about each time.
            picked => Box::pin(self.reach(picked, route, deadline)).await?,
        };
        let Deadline { limit, reached } = deadline;
        let _waiting = conn.wait();
        let work = pin!(work(&conn, turn));
        match select(work, reached).await {
            Either::Left((Ok(answer), _)) => {
                conn.answered(None);
                Ok(answer)
            }
            Either::Left((Err(Failed::Client(cause)), _)) => {
                conn.answered(Some(&cause));
                Err(error::of_statement(cause, effect))
            }
            Either::Left((Err(Failed::Unsent(error)), _)) => Err(error),
            Either::Left((Err(Failed::Lost), _)) => Err(error::lost(effect)),
            Either::Right(_) => {
                conn.strike();
                let kind = if effect == Effect::None { ErrorKind::Timeout } else { ErrorKind::Ambiguous };
                Err(Error::new(
                    kind,
                    format!("no answer from {} within {limit:?}", self.hub.connector.server.name()),
                ))
            }
        }
    }

    /// Waits for a connection, and for its turn on it.
    async fn reach(
        &self,
        mut picked: Option<Arc<Conn>>,
        route: Route,
        deadline: &mut Deadline,
    ) -> Result<(Arc<Conn>, Option<Turn>)> {
        let Deadline { limit, reached } = deadline;
        let too_late = |what: &str| {
            let server = self.hub.connector.server.name();
            Err(Error::new(ErrorKind::Unavailable, format!("{what} {server} within {limit:?}")))
        };
        loop {
            let conn = match picked.take() {
                Some(conn) => conn,
                None => match select(pin!(self.hub.wait(route)), &mut *reached).await {
                    Either::Left((conn, _)) => conn?,
                    Either::Right(_) => return too_late("no connection to"),
                },
            };
            let _waiting = conn.wait();
            match select(pin!(conn.turn()), &mut *reached).await {
                Either::Left((turn, _)) if conn.is_usable() => return Ok((Arc::clone(&conn), turn)),
                Either::Left(_) => {}
                Either::Right(_) => {
                    conn.strike();
                    return too_late("no turn on a connection to");
                }
            }
        }
    }
}

impl Engine {
    /// Makes the table, and has every connection look again.
    pub(crate) async fn migrate(&self) -> Result<()> {
        let limit = self.hub.connector.settings.walk_timeout;
        let migrate = self.hub.connector.migrate();
        futures_util::pin_mut!(migrate);
        match select(migrate, self.clock.sleep(limit)).await {
            Either::Left((done, _)) => done?,
            Either::Right(_) => {
                return Err(Error::new(
                    ErrorKind::Timeout,
                    format!("the table was not made within {limit:?}"),
                ));
            }
        }
        self.hub.start_over();
        Ok(())
    }
}
