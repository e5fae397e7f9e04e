//! Running a loader, and keeping what it returned.

use std::{
    any::Any,
    future::{Future as _, poll_fn},
    panic::AssertUnwindSafe,
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use futures_util::FutureExt as _;
use tokio::sync::SemaphorePermit;

use super::{
    chain::Chain,
    inner::Inner,
    ops::{Operation, may_have_run},
};
use crate::{
    BoxFuture, Cacheable, EntryOptions, Error, ErrorKind, Expiry, Kept, Key, Loaded, NotKept, Result, Value,
    flight::{CommitGuard, LeaderGuard},
    quarantine::Doubt,
};

/// A loader with its types erased, so that the machinery of loads is compiled once per value type.
pub(super) type Loader<'a, L> = Box<dyn FnOnce() -> BoxFuture<'a, Result<L>> + Send + 'a>;

impl Inner {
    /// Runs the loader of `keys` when it is its turn, as part of `chain`. A panic becomes an error. Also says how long it
    /// ran.
    pub(super) async fn run_loader<L>(
        &self,
        guards: &[&LeaderGuard],
        keys: Vec<Key>,
        chain: Chain,
        loader: Loader<'_, L>,
    ) -> (Result<L>, Duration) {
        // A load within a load has its outer load's turn: waiting for another could be waiting for itself.
        let turn = if chain.is_nested() { None } else { self.turn(guards).await };
        let started = self.clock.now();
        // What the loader leaves behind when it panics is its own; nothing of ours is shared with it.
        let load = AssertUnwindSafe(async move { loader().await }).catch_unwind();
        let result = chain.scope(&self.handle.flights, keys.clone(), load).await;
        drop(turn);
        let took = self.clock.now().saturating_since(started);
        let result = result.unwrap_or_else(|panic| Err(panicked(&*panic)));
        if let Err(error) = &result {
            for key in &keys {
                self.load_failed(key, took, error);
            }
        }
        (result, took)
    }

    /// Waits for a turn to load. A load that another one, which has its turn, waits for goes on without: else none of them
    /// would ever end.
    async fn turn(&self, guards: &[&LeaderGuard]) -> Option<SemaphorePermit<'_>> {
        if let Ok(turn) = self.loads.try_acquire() {
            return Some(turn);
        }
        let mut turn = pin!(self.loads.acquire());
        let mut hurried: Vec<_> = guards.iter().map(|guard| Box::pin(guard.flight().hurried())).collect();
        poll_fn(|context| {
            if let Poll::Ready(turn) = turn.as_mut().poll(context) {
                return Poll::Ready(turn.ok());
            }
            if hurried.iter_mut().any(|hurried| hurried.as_mut().poll(context).is_ready()) {
                return Poll::Ready(None);
            }
            Poll::Pending
        })
        .await
    }

    /// Makes an entry of a loaded value and writes it, in the caller's task.
    pub(super) async fn keep<T: Cacheable>(
        self: &Arc<Self>,
        guard: &LeaderGuard,
        loaded: Loaded<T>,
        options: &EntryOptions,
        took: Duration,
    ) -> (Value, Kept) {
        let (value, write) = self.prepare(guard, loaded, options, took);
        let kept = match write {
            Ok((write, expiry)) => {
                Arc::clone(self).write(write, guard.key().clone(), value.clone(), expiry).await
            }
            Err(why) => Kept::No(why),
        };
        self.loaded(guard.key(), took, kept);
        (value, kept)
    }

    /// As [`keep`](Self::keep), carried to its end even if the caller goes away.
    pub(super) async fn keep_to_the_end<T: Cacheable>(
        self: &Arc<Self>,
        guard: &LeaderGuard,
        loaded: Loaded<T>,
        options: &EntryOptions,
        took: Duration,
    ) -> (Value, Kept) {
        let (value, write) = self.prepare(guard, loaded, options, took);
        let kept = match write {
            Ok((write, expiry)) => {
                let work = Arc::clone(self).write(write, guard.key().clone(), value.clone(), expiry);
                // It fails where no task can be started or the runtime goes away; the write's guard, dropped unfinished, then
                // leaves the key in doubt.
                self.to_the_end(async move { Ok(work.await) }).await.unwrap_or(Kept::No(NotKept::StoreFailed))
            }
            Err(why) => Kept::No(why),
        };
        self.loaded(guard.key(), took, kept);
        (value, kept)
    }

    /// The entry of a loaded value, and the right to write it or why there is none.
    pub(super) fn prepare<T: Cacheable>(
        &self,
        guard: &LeaderGuard,
        loaded: Loaded<T>,
        options: &EntryOptions,
        took: Duration,
    ) -> (Value, Result<(CommitGuard, Expiry), NotKept>) {
        let mut options = options.clone();
        if let Some(timeout) = loaded.timeout {
            options.timeout = timeout;
        }
        let (value, expiry) = self.entry(loaded.value, &options, took);
        let write = if !loaded.keep {
            Err(NotKept::Requested)
        } else if self.handle.flights.quarantine.of(guard.key()) != Doubt::None {
            Err(NotKept::InDoubt)
        } else {
            guard.begin_commit().map(|write| (write, expiry)).ok_or(NotKept::Invalidated)
        };
        (value, write)
    }

    async fn write(self: Arc<Self>, write: CommitGuard, key: Key, value: Value, expiry: Expiry) -> Kept {
        let call = self.handle.store.set(&key, value, expiry);
        written(write, &self.point(Operation::idempotent("set"), call).await)
    }

    /// Writes what a batch load found, in one call to the store. One answer for each, in order.
    pub(super) async fn write_many(&self, writes: Vec<(CommitGuard, Key, Value, Expiry)>) -> Vec<Kept> {
        if writes.is_empty() {
            return Vec::new();
        }
        let (guards, entries): (Vec<_>, Vec<_>) =
            writes.into_iter().map(|(write, key, value, expiry)| (write, (key, value, expiry))).unzip();
        let call = self.handle.store.set_many(entries);
        let results = self.batched(Operation::idempotent("set_many"), guards.len(), call).await;
        guards.into_iter().zip(&results).map(|(write, result)| written(write, result)).collect()
    }

    /// The error of a load that ran out of time.
    pub(super) fn load_timed_out(&self) -> Error {
        Error::new(
            ErrorKind::Load,
            format!(
                "the load did not end within {:?} (`load_timeout`); the key is free for another",
                self.load_timeout
            ),
        )
    }
}

/// Ends the write of a loaded value by what the store returned.
fn written(write: CommitGuard, result: &Result<()>) -> Kept {
    match result {
        Ok(()) => {
            write.known();
            Kept::Yes
        }
        Err(error) => {
            // Where nothing was written, nothing is in doubt: a store that is gone leaves no traces of the loads meanwhile.
            if !may_have_run(error) {
                write.known();
            }
            Kept::No(NotKept::StoreFailed)
        }
    }
}

pub(super) fn loader_failed(source: impl Into<crate::BoxError>) -> Error {
    Error::new(ErrorKind::Load, "the loader failed").with_source(source)
}

pub(super) fn panicked(panic: &(dyn Any + Send)) -> Error {
    let said =
        panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    Error::new(ErrorKind::Load, format!("the loader panicked: {}", said.unwrap_or("with no message")))
}
