//! One connection, shared by many callers at once.

use std::{
    fmt,
    sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering},
};

use tokio::sync::Notify;
use tokio_postgres::{
    Error, Row, Statement,
    types::{ToSql, Type},
};

use crate::{
    error,
    session::{Connector, Link},
    sql::Sql,
};

/// The parameters of a statement.
pub(crate) type Parameters<'a> = &'a [&'a (dyn ToSql + Sync)];

/// A connection on which any number of statements may be under way: they are answered in order, and a caller that goes
/// away leaves its answer to be thrown away.
pub(crate) struct Conn {
    link: Link,
    /// In the order of [`Sql::ALL`]; none behind a proxy that forgets them.
    statements: Option<Box<[Statement]>>,
    /// How many callers wait for it.
    waiting: AtomicUsize,
    /// How many statements had no answer in time since the last answer.
    strikes: AtomicU32,
    condemned: AtomicBool,
    doubt: Notify,
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
    pub(crate) fn new(link: Link, statements: Option<Box<[Statement]>>) -> Self {
        Self {
            link,
            statements,
            waiting: AtomicUsize::new(0),
            strikes: AtomicU32::new(0),
            condemned: AtomicBool::new(false),
            doubt: Notify::new(),
        }
    }

    /// Runs a statement that returns a row at most.
    pub(crate) async fn row(
        &self,
        connector: &Connector,
        sql: Sql,
        parameters: Parameters<'_>,
    ) -> Result<Option<Row>, Error> {
        match &self.statements {
            Some(statements) => self.link.query_opt(&statements[sql as usize], parameters).await,
            None => Ok(self.rows(connector, sql, parameters).await?.into_iter().next()),
        }
    }

    pub(crate) async fn rows(
        &self,
        connector: &Connector,
        sql: Sql,
        parameters: Parameters<'_>,
    ) -> Result<Vec<Row>, Error> {
        if let Some(statements) = &self.statements {
            return self.link.query(&statements[sql as usize], parameters).await;
        }
        let typed: Vec<_> = parameters.iter().copied().zip(sql.types().iter().cloned()).collect();
        self.text(connector.text(sql), &typed).await
    }

    /// Runs a statement that is planned each time.
    pub(crate) async fn text(
        &self,
        text: &str,
        parameters: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<Vec<Row>, Error> {
        self.link.query_typed(text, parameters).await
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

    fn condemn(&self) {
        self.condemned.store(true, Ordering::Relaxed);
        self.doubt.notify_one();
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
