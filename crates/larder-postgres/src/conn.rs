//! One connection, shared by many callers at once.

use std::{
    fmt,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering},
    },
};

use futures_util::{TryStreamExt as _, future::select};
use tokio::sync::{Notify, Semaphore, watch};
use tokio_postgres::{Error, Row, RowStream, Statement};

use crate::{
    error::{self, Failed},
    parameters::{Encoded, Hidden, Parameters, Typed},
    session::{Connector, Link},
    sql::Sql,
    turn::Turn,
};

/// A connection on which any number of statements may be under way: they are answered in order, and a caller that goes
/// away leaves its answer to be thrown away. Behind a proxy it is one at a time.
pub(crate) struct Conn {
    link: Link,
    /// In the order of [`Sql::ALL`]; none behind a proxy that forgets them.
    statements: Option<Box<[Statement]>>,
    /// Whose turn it is, behind a proxy.
    turns: Option<Arc<Semaphore>>,
    /// How many callers wait for it.
    waiting: AtomicUsize,
    /// How many statements had no answer in time since the last answer.
    strikes: AtomicU32,
    condemned: AtomicBool,
    doubt: Notify,
    retired: watch::Sender<bool>,
}

impl fmt::Debug for Conn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Conn")
            .field("usable", &self.is_usable())
            .field("strikes", &self.strikes)
            .finish_non_exhaustive()
    }
}

impl Conn {
    pub(crate) fn new(link: Link, statements: Option<Box<[Statement]>>, one_at_a_time: bool) -> Self {
        Self {
            link,
            statements,
            turns: one_at_a_time.then(|| Arc::new(Semaphore::new(1))),
            waiting: AtomicUsize::new(0),
            strikes: AtomicU32::new(0),
            condemned: AtomicBool::new(false),
            doubt: Notify::new(),
            retired: watch::Sender::new(false),
        }
    }

    pub(crate) fn takes_turns(&self) -> bool {
        self.turns.is_some()
    }

    /// Waits for its turn, where statements go one at a time: in the order of those who wait.
    pub(crate) async fn turn(self: &Arc<Self>) -> Option<Turn> {
        let turns = Arc::clone(self.turns.as_ref()?);
        Some(Turn::new(self, turns.acquire_owned().await.ok()?))
    }

    /// Runs a statement that returns a row at most.
    pub(crate) async fn row(
        &self,
        turn: Option<Turn>,
        connector: &Connector,
        sql: Sql,
        parameters: Parameters<'_>,
    ) -> Result<Option<Row>, Failed> {
        let Some(statements) = &self.statements else {
            return Ok(self.whole(turn, connector, sql, parameters).await?.into_iter().next());
        };
        let mut rows = pin!(self.prepared(&statements[sql as usize], parameters).await?);
        let mut first = None;
        // Only the end of the answer says that it is committed; and behind it there is nothing to be read.
        while let Some(row) = rows.try_next().await? {
            first.get_or_insert(row);
        }
        Ok(first)
    }

    pub(crate) async fn rows(
        &self,
        turn: Option<Turn>,
        connector: &Connector,
        sql: Sql,
        parameters: Parameters<'_>,
    ) -> Result<Vec<Row>, Failed> {
        let Some(statements) = &self.statements else {
            return self.whole(turn, connector, sql, parameters).await;
        };
        Ok(self.prepared(&statements[sql as usize], parameters).await?.try_collect().await?)
    }

    async fn prepared(&self, statement: &Statement, parameters: Parameters<'_>) -> Result<RowStream, Error> {
        self.link.query_raw(statement, parameters.iter().copied().map(Hidden)).await
    }

    async fn whole(
        &self,
        turn: Option<Turn>,
        connector: &Connector,
        sql: Sql,
        parameters: Parameters<'_>,
    ) -> Result<Vec<Row>, Failed> {
        let typed: Vec<_> = parameters.iter().copied().zip(sql.types().iter().cloned()).collect();
        self.text(turn, connector.text(sql), &typed).await
    }

    /// Runs a statement that is planned each time.
    pub(crate) async fn text(
        &self,
        turn: Option<Turn>,
        text: &str,
        parameters: Typed<'_>,
    ) -> Result<Vec<Row>, Failed> {
        match turn {
            Some(turn) => turn.run(text, parameters).await,
            None => Ok(self.link.query_typed(text, parameters).await?),
        }
    }

    /// The same, with parameters that borrow nothing.
    pub(crate) async fn planned(&self, text: &str, parameters: Vec<Encoded>) -> Result<Vec<Row>, Error> {
        let parameters = parameters.into_iter().map(Encoded::typed);
        self.link.query_typed_raw(text, parameters).await?.try_collect().await
    }

    /// Until the server has answered everything.
    pub(crate) async fn say_nothing(&self) -> Result<(), Error> {
        self.link.batch_execute("").await
    }

    /// Until all that was sent before has happened, or the connection is given up.
    pub(crate) async fn catch_up(self: &Arc<Self>) {
        let caught_up = async {
            // A connection that fails has nothing more to wait for.
            match &self.turns {
                Some(_) => drop(self.turn().await),
                None => drop(self.say_nothing().await),
            }
        };
        let _ = select(pin!(caught_up), pin!(self.retired())).await;
    }

    pub(crate) fn is_usable(&self) -> bool {
        !self.condemned.load(Ordering::Relaxed) && !self.link.is_closed()
    }

    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Counts a caller until it has its answer, or goes away.
    pub(crate) fn wait(&self) -> Waiting<'_> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        Waiting(&self.waiting)
    }

    /// An answer came, if only a refusal.
    pub(crate) fn answered(&self, refusal: Option<&Error>) {
        if self.strikes.load(Ordering::Relaxed) != 0 {
            self.strikes.store(0, Ordering::Relaxed);
        }
        if refusal.is_some_and(error::is_last_word) {
            self.condemn();
        }
    }

    /// None came in time.
    pub(crate) fn strike(&self) {
        self.strikes.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn is_silent(&self) -> bool {
        self.strikes.load(Ordering::Relaxed) != 0
    }

    /// Nobody is to use it any more.
    pub(crate) fn condemn(&self) {
        self.condemned.store(true, Ordering::Relaxed);
        self.doubt.notify_one();
    }

    /// Nobody looks after it any more.
    pub(crate) fn retire(&self) {
        self.condemn();
        self.retired.send_replace(true);
    }

    pub(crate) async fn retired(&self) {
        // The sender lives as long as this connection.
        let _ = self.retired.subscribe().wait_for(|retired| *retired).await;
    }

    /// Until someone finds that the connection is of no use.
    pub(crate) async fn doubted(&self) {
        self.doubt.notified().await;
    }
}

/// A caller, counted.
pub(crate) struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
