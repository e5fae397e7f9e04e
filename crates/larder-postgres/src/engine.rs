//! Runs one operation: a place, a connection, a deadline, and the error where it fails.

use std::{sync::Arc, time::Duration};

use futures_util::future::{Either, select};
use larder_core::{BoxFuture, Clock, Error, ErrorKind, Result, SystemClock};
use tokio::sync::Semaphore;
use tokio_postgres::{
    Row,
    types::{ToSql, Type},
};

use crate::{
    conn::{Conn, Parameters},
    error::{self, Effect},
    hub::{Hub, Route},
    sql::Sql,
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

    /// The row of a point operation.
    pub(crate) async fn row(
        &self,
        sql: Sql,
        route: Route,
        effect: Effect,
        parameters: Parameters<'_>,
    ) -> Result<Option<Row>> {
        let connector = &self.hub.connector;
        let mut deadline = self.deadline(connector.settings.operation_timeout);
        self.run(route, effect, &mut deadline, async move |conn: Arc<Conn>| {
            conn.row(connector, sql, parameters).await
        })
        .await
    }

    /// The rows of a batch.
    pub(crate) async fn rows(
        &self,
        sql: Sql,
        route: Route,
        effect: Effect,
        parameters: Parameters<'_>,
    ) -> Result<Vec<Row>> {
        let connector = &self.hub.connector;
        let mut deadline = self.deadline(connector.settings.operation_timeout);
        self.run(route, effect, &mut deadline, async move |conn: Arc<Conn>| {
            conn.rows(connector, sql, parameters).await
        })
        .await
    }

    /// The rows of one step of a walk.
    pub(crate) async fn walk(
        &self,
        effect: Effect,
        deadline: &mut Deadline,
        text: &str,
        parameters: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<Vec<Row>> {
        self.run(Route::Walk, effect, deadline, async move |conn: Arc<Conn>| {
            conn.text(text, parameters).await
        })
        .await
    }

    async fn run<T>(
        &self,
        route: Route,
        effect: Effect,
        deadline: &mut Deadline,
        work: impl AsyncFnOnce(Arc<Conn>) -> Result<T, tokio_postgres::Error>,
    ) -> Result<T> {
        let _place = self.places.try_acquire().map_err(|_| {
            let limit = self.hub.connector.settings.max_in_flight;
            Error::new(
                ErrorKind::Overloaded,
                format!("`max_in_flight = {limit}` operations are under way already"),
            )
        })?;
        let Deadline { limit, reached } = deadline;
        let conn = if let Some(conn) = self.hub.pick(route) {
            conn
        } else {
            let wait = self.hub.wait(route);
            futures_util::pin_mut!(wait);
            match select(wait, &mut *reached).await {
                Either::Left((conn, _)) => conn?,
                Either::Right(_) => {
                    return Err(Error::new(
                        ErrorKind::Unavailable,
                        format!("no connection to {} within {limit:?}", self.hub.connector.server.name()),
                    ));
                }
            }
        };
        let _waiting = conn.wait();
        let work = work(Arc::clone(&conn));
        futures_util::pin_mut!(work);
        match select(work, reached).await {
            Either::Left((Ok(answer), _)) => {
                conn.answered(None);
                Ok(answer)
            }
            Either::Left((Err(cause), _)) => {
                conn.answered(Some(&cause));
                Err(error::of_statement(cause, effect))
            }
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
