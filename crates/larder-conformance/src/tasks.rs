//! Doing several things at once.

use std::{future::Future, sync::Arc};

use larder_core::{BoxFuture, Spawn as _, TokioSpawn};
use tokio::sync::{Barrier, mpsc};

use crate::check::{Failure, Outcome};

/// What one of the tasks that run together does.
pub(crate) type Task<T> = BoxFuture<'static, Result<T, Failure>>;

/// Runs the tasks at the same time, none before all of them stand ready, and returns their results in order.
pub(crate) async fn together<T: Send + 'static>(tasks: Vec<Task<T>>) -> Result<Vec<T>, Failure> {
    let count = tasks.len();
    let ready = Arc::new(Barrier::new(count));
    let (sender, mut results) = mpsc::unbounded_channel();
    for (number, task) in tasks.into_iter().enumerate() {
        let (sender, ready) = (sender.clone(), Arc::clone(&ready));
        TokioSpawn.spawn(Box::pin(async move {
            ready.wait().await;
            // Nobody listens any more where another task failed first.
            let _ = sender.send((number, task.await));
        }))?;
    }
    drop(sender);
    let mut ordered: Vec<Option<T>> = Vec::new();
    ordered.resize_with(count, || None);
    while let Some((number, result)) = results.recv().await {
        ordered[number] = Some(result?);
    }
    ordered
        .into_iter()
        .map(|result| result.ok_or_else(|| Failure::new("expected every task to end, saw one panic")))
        .collect()
}

/// A task, boxed.
pub(crate) fn task<T>(future: impl Future<Output = Result<T, Failure>> + Send + 'static) -> Task<T> {
    Box::pin(future)
}

/// Runs tasks that return nothing.
pub(crate) async fn all(tasks: Vec<Task<()>>) -> Outcome {
    together(tasks).await.map(drop)
}
