//! Runs one case: on a thread and a runtime of its own, for a bounded time.

use std::{
    any::Any,
    error::Error,
    fmt::Write as _,
    io,
    panic::{self, AssertUnwindSafe},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::Duration,
};

use larder_core::Capabilities;
use tokio::runtime::{Builder, Runtime};

use crate::{case::Case, check::Failure, connect::Connect, model::Plan};

/// How long a case waits for the threads of its runtime, which end at once unless the store blocks one. They are joined: glibc
/// 2.36 may read what was unmapped when a thread is detached while it ends.
const LAST_THREAD: Duration = Duration::from_secs(1);

/// What a case runs on.
#[derive(Clone, Copy)]
enum Flavor {
    CurrentThread,
    MultiThread,
}

impl Flavor {
    fn runtime(self) -> io::Result<Runtime> {
        match self {
            Self::CurrentThread => Builder::new_current_thread().enable_all().build(),
            Self::MultiThread => Builder::new_multi_thread().worker_threads(4).enable_all().build(),
        }
    }
}

/// Runs a case on a store of its own. The error is the failure, as a text.
pub(crate) fn run(case: &'static Case, connect: &Connect, limit: Duration) -> Result<(), String> {
    let flavor = if case.group == "concurrency" { Flavor::MultiThread } else { Flavor::CurrentThread };
    let connect = connect.clone();
    // More sequences may take more time.
    let sequences = connect.plan.as_ref().map_or(1, |plan| plan.cases / Plan::USUAL);
    let limit = if case.group == "model" { limit.saturating_mul(sequences.max(1)) } else { limit };
    let ended = on_a_thread(case.name, limit, move || {
        flavor.runtime().map_err(|error| no_runtime(&error)).and_then(|runtime| {
            let outcome = runtime.block_on(async {
                let subject = connect.subject().await.map_err(|error| no_store(&*error))?;
                (case.run)(&subject).await.map_err(Failure::into_message)
            });
            // What the store left running must not keep the case from ending for long.
            runtime.shutdown_timeout(LAST_THREAD);
            outcome
        })
    });
    ended.map_err(|failure| {
        let rules: Vec<_> = case.rules.iter().map(ToString::to_string).collect();
        format!("{failure}\n  rules in the README of larder-conformance: {}", rules.join(", "))
    })
}

/// What a store of this kind declares.
pub(crate) fn capabilities(connect: &Connect, limit: Duration) -> Result<Capabilities, String> {
    let connect = connect.clone();
    on_a_thread("connect", limit, move || {
        let runtime = Flavor::CurrentThread.runtime().map_err(|error| no_runtime(&error))?;
        let subject = runtime.block_on(connect.subject()).map_err(|error| no_store(&*error))?;
        Ok(subject.capabilities())
    })
}

/// A store that hangs, even one that blocks its thread, fails its case and nothing else: its thread is left behind.
fn on_a_thread<T: Send + 'static>(
    name: &str,
    limit: Duration,
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    let (sender, receiver) = mpsc::channel();
    let started = thread::Builder::new().name(name.to_owned()).spawn(move || {
        let result =
            panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(panicked(&*panic)));
        // Nobody listens where the time was up.
        let _ = sender.send(result);
    });
    let thread = started.map_err(|error| format!("expected a thread to run on, saw: {error}"))?;
    match receiver.recv_timeout(limit) {
        Ok(result) => {
            // It has nothing left to do, and a panic of it was caught.
            let _ = thread.join();
            result
        }
        Err(RecvTimeoutError::Timeout) => {
            Err(format!("expected the case to end within {limit:?}, saw it hang"))
        }
        Err(RecvTimeoutError::Disconnected) => {
            Err("expected the case to end, saw its thread vanish".to_owned())
        }
    }
}

fn no_runtime(error: &io::Error) -> String {
    format!("expected a Tokio runtime, saw: {error}")
}

fn no_store(error: &(dyn Error + Send + Sync)) -> String {
    let mut text = format!("expected a store to test, saw: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        // Writing to a string cannot fail.
        let _ = write!(text, "\n  because: {error}");
        cause = error.source();
    }
    text
}

fn panicked(panic: &(dyn Any + Send)) -> String {
    let message =
        panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(|s| &**s));
    format!("expected no panic, saw: {}", message.unwrap_or("a panic without a message"))
}
