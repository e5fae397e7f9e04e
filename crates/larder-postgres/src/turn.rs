//! One statement at a time, where a proxy stands between.
//!
//! A PgBouncer in transaction mode hands a session on as soon as all that it counted is answered, and it counts a
//! statement when it has read its end. One that it has read in part while an earlier one is answered goes on in a
//! session that serves someone else by then. So nothing is sent before the whole answer to what was sent last.

use std::sync::Arc;

use futures_util::future::select;
use larder_core::{Spawn, TokioSpawn};
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio_postgres::Row;

use crate::{
    conn::Conn,
    error::Failed,
    parameters::{Encoded, Typed, encoded},
};

/// The right to be the only one who has a statement under way on a connection.
pub(crate) struct Turn {
    conn: Arc<Conn>,
    is_under_way: bool,
    _place: OwnedSemaphorePermit,
}

impl Turn {
    pub(crate) fn new(conn: &Arc<Conn>, place: OwnedSemaphorePermit) -> Self {
        Self { conn: Arc::clone(conn), is_under_way: false, _place: place }
    }

    /// Runs a statement in a task of its own, which reads the whole answer also when the caller goes away.
    pub(crate) async fn run(self, text: &str, parameters: Typed<'_>) -> Result<Vec<Row>, Failed> {
        let (text, parameters) = (text.to_owned(), encoded(parameters).map_err(Failed::Unsent)?);
        let (tell, answer) = oneshot::channel();
        TokioSpawn
            .spawn(Box::pin(async move {
                let conn = Arc::clone(&self.conn);
                let (work, retired) = (self.read(&text, parameters, tell), conn.retired());
                futures_util::pin_mut!(work, retired);
                // One that nobody looks after any more is given up with what is under way on it.
                let _ = select(work, retired).await;
            }))
            .map_err(Failed::Unsent)?;
        // Gone without an answer: the connection was given up, or the runtime has ended.
        answer.await.map_err(|_| Failed::Lost)?.map_err(Failed::Client)
    }

    async fn read(
        mut self,
        text: &str,
        parameters: Vec<Encoded>,
        tell: oneshot::Sender<Result<Vec<Row>, tokio_postgres::Error>>,
    ) {
        self.is_under_way = true;
        let answer = self.conn.planned(text, parameters).await;
        if answer.is_ok() {
            self.is_under_way = false;
            drop(self);
            // Whoever asked may be gone, here and below.
            let _ = tell.send(answer);
        } else {
            let _ = tell.send(answer);
            // The client stops at the error, the end of the answer comes behind it, and before the answer to this.
            self.is_under_way = self.conn.say_nothing().await.is_err();
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if self.is_under_way {
            self.conn.condemn();
        }
    }
}
