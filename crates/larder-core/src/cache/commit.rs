//! Running a loader, and keeping what it returned.

use std::{
    any::Any,
    future::{Future, poll_fn, ready},
    panic::AssertUnwindSafe,
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use futures_util::{FutureExt as _, future::Either};
use tokio::sync::SemaphorePermit;

use super::{
    begin::Start,
    chain::{Chain, Depends, Keys},
    inner::Inner,
    ops::{Operation, may_have_run},
    prepare::{Prepared, Write},
};
use crate::{
    BoxFuture, Cacheable, Error, ErrorKind, Expiry, Kept, Key, Loaded, NotKept, Result, Timestamp, Value,
    flight::{CommitGuard, Landing, LeaderGuard},
    policy::Policy,
};

/// How long a load took, and when it ended.
#[derive(Clone, Copy)]
pub(super) struct Took {
    pub(super) time: Duration,
    pub(super) ended: Timestamp,
}

/// What a loader returned, how long it ran, and what it read meanwhile.
pub(super) struct Ran<L> {
    pub(super) result: Result<L>,
    pub(super) took: Took,
    pub(super) depends: Depends,
}

impl Inner {
    /// Runs the loader of `keys` when it is its turn, as part of `chain`. A panic becomes an error.
    pub(super) async fn run_loader<'a, L>(
        &self,
        guards: &[&LeaderGuard],
        keys: Keys,
        chain: Chain,
        loader: impl FnOnce() -> BoxFuture<'a, Result<L>>,
    ) -> Ran<L> {
        // A load within a load has its outer load's turn: waiting for another could be waiting for itself.
        let turn = if chain.is_nested() {
            None
        } else if let Ok(turn) = self.loads.try_acquire() {
            Some(turn)
        } else {
            Box::pin(self.turn(guards)).await
        };
        let started = self.clock.now();
        // What the loader leaves behind when it panics is its own; nothing of ours is shared with it.
        let load = AssertUnwindSafe(async move { loader().await }).catch_unwind();
        let link = chain.link(&self.handle.flights, keys);
        let result = link.scope(load).await;
        drop(turn);
        let ended = self.clock.now();
        let took = Took { time: ended.saturating_since(started), ended };
        let result = result.unwrap_or_else(|panic| Err(panicked(&*panic)));
        if let Err(error) = &result {
            for key in link.keys() {
                self.load_failed(key, took.time, error);
            }
        }
        Ran { result, took, depends: link.depends_on() }
    }

    /// Waits for a turn to load. A load that another one, which has its turn, waits for goes on without: else none of them
    /// would ever end.
    async fn turn(&self, guards: &[&LeaderGuard]) -> Option<SemaphorePermit<'_>> {
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

    /// Makes an entry of a loaded value and writes it, in the caller's task. How the flight is to land.
    pub(super) fn keep<'a, T: Cacheable>(
        self: &'a Arc<Self>,
        guard: &'a LeaderGuard,
        start: Start,
        loaded: Loaded<T>,
        policy: &'a Policy,
        took: Took,
        depends: Depends,
    ) -> impl Future<Output = Landing> + Send + 'a {
        // Outside of the future, which is a part of each load's task: it would keep room for all of these.
        let prepared = self.prepare(guard, start, loaded, policy, took, depends);
        async move {
            let Prepared { value, expiry, write, late } = prepared.await;
            let kept = self.write(write, guard.key(), value.clone(), expiry).await;
            landing(value, kept, late)
        }
    }

    /// As [`keep`](Self::keep), carried to its end even if the caller goes away.
    pub(super) async fn keep_to_the_end<T: Cacheable>(
        self: &Arc<Self>,
        guard: &LeaderGuard,
        start: Start,
        loaded: Loaded<T>,
        policy: &Policy,
        took: Took,
        depends: Depends,
    ) -> Landing {
        let Prepared { value, expiry, write, late } =
            self.prepare(guard, start, loaded, policy, took, depends).await;
        let (inner, key, entry) = (Arc::clone(self), guard.key().clone(), value.clone());
        let work = async move { Ok(inner.write(write, &key, entry, expiry).await) };
        // It fails where no task can be started or the runtime goes away; the write's guard, dropped unfinished, then
        // leaves the key in doubt.
        let kept = self.to_the_end(work).await.unwrap_or(Kept::No(NotKept::StoreFailed));
        landing(value, kept, late)
    }

    fn write<'a>(
        &'a self,
        write: Result<Write, NotKept>,
        key: &'a Key,
        value: Value,
        expiry: Expiry,
    ) -> impl Future<Output = Kept> + Send + 'a {
        let otherwise: BoxFuture<'a, Kept> = match write {
            Ok(Write::Set(guard)) => {
                let call = self.handle.store.set(key, value, expiry);
                return Either::Left(async move {
                    written(guard, &self.point(Operation::idempotent("set"), call).await)
                });
            }
            Ok(Write::Lease(lease)) => Box::pin(async move {
                match lease.commit(value, expiry).await {
                    Ok(true) => Kept::Yes,
                    Ok(false) => Kept::No(NotKept::Invalidated),
                    Err(error) => Kept::No(not_written(&error)),
                }
            }),
            Ok(Write::Unfenced) => Box::pin(async move {
                let call = self.handle.store.set(key, value, expiry);
                match self.point(Operation::idempotent("set"), call).await {
                    Ok(()) => Kept::Yes,
                    Err(error) => Kept::No(not_written(&error)),
                }
            }),
            Err(why) => Box::pin(ready(Kept::No(why))),
        };
        Either::Right(otherwise)
    }

    /// Writes what a batch load found, plain entries in one call to the store. One answer for each, in order.
    pub(super) async fn write_many(self: &Arc<Self>, writes: Vec<(Key, Prepared)>) -> Vec<Landing> {
        let (mut guards, mut entries, mut rest) = (Vec::new(), Vec::new(), Vec::new());
        let mut landings: Vec<Option<Landing>> = Vec::with_capacity(writes.len());
        for (at, (key, Prepared { value, expiry, write, late })) in writes.into_iter().enumerate() {
            landings.push(None);
            match write {
                Ok(Write::Set(guard)) => {
                    entries.push((key, value.clone(), expiry));
                    guards.push((at, guard, value));
                }
                write => {
                    let inner = Arc::clone(self);
                    rest.push(async move {
                        let kept = inner.write(write, &key, value.clone(), expiry).await;
                        (at, landing(value, kept, late))
                    });
                }
            }
        }
        if !guards.is_empty() {
            let call = self.handle.store.set_many(entries);
            let results = self.batched(Operation::idempotent("set_many"), guards.len(), call).await;
            for ((at, guard, value), result) in guards.into_iter().zip(&results) {
                landings[at] = Some(landing(value, written(guard, result), false));
            }
        }
        for (at, landed) in futures_util::future::join_all(rest).await {
            landings[at] = Some(landed);
        }
        landings.into_iter().map(|landed| landed.expect("each is of one of the two kinds")).collect()
    }
}

fn landing(value: Value, kept: Kept, late: bool) -> Landing {
    match kept {
        Kept::No(why) if late => Landing::Late(value, why),
        kept => Landing::Value(value, kept),
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
            Kept::No(not_written(error))
        }
    }
}

fn not_written(error: &Error) -> NotKept {
    if error.kind() == ErrorKind::TooLarge { NotKept::TooLarge } else { NotKept::StoreFailed }
}

pub(super) fn loader_failed(source: impl Into<crate::BoxError>) -> Error {
    Error::new(ErrorKind::Load, "the loader failed").with_source(source)
}

pub(super) fn panicked(panic: &(dyn Any + Send)) -> Error {
    let said =
        panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    Error::new(ErrorKind::Load, format!("the loader panicked: {}", said.unwrap_or("with no message")))
}
