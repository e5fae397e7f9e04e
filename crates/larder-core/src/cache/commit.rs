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
    begin::Start,
    chain::{Chain, Depends},
    inner::Inner,
    look::Fencing,
    ops::{Operation, may_have_run},
    stamps::Confirmed,
};
use crate::{
    BoxFuture, Cacheable, Error, ErrorKind, Expiry, Kept, Key, Loaded, NotKept, Result, Value,
    flight::{CommitGuard, Faults, Landing, LeaderGuard},
    options::check_tags_len,
    policy::Policy,
    quarantine::Doubt,
    sync::Ordering,
};

/// A loader with its types erased, so that the machinery of loads is compiled once per value type.
pub(super) type Loader<'a, L> = Box<dyn FnOnce() -> BoxFuture<'a, Result<L>> + Send + 'a>;

/// What a loader returned, how long it ran, and what it read meanwhile.
pub(super) struct Ran<L> {
    pub(super) result: Result<L>,
    pub(super) took: Duration,
    pub(super) depends: Depends,
}

/// A value that is loaded, and the right to write it, or why there is none.
pub(super) struct Prepared {
    pub(super) value: Value,
    expiry: Expiry,
    write: Result<Write, NotKept>,
    /// It is for the one who led alone.
    late: bool,
}

enum Write {
    /// By the lease that it was loaded under.
    Lease(Box<super::held::Held>),
    /// By a plain `set`, fenced in this process.
    Set(CommitGuard),
    /// By a plain `set` that nothing fences: in exams alone.
    Unfenced,
}

impl Inner {
    /// Runs the loader of `keys` when it is its turn, as part of `chain`. A panic becomes an error.
    pub(super) async fn run_loader<L>(
        &self,
        guards: &[&LeaderGuard],
        keys: Vec<Key>,
        chain: Chain,
        loader: Loader<'_, L>,
    ) -> Ran<L> {
        // A load within a load has its outer load's turn: waiting for another could be waiting for itself.
        let turn = if chain.is_nested() { None } else { self.turn(guards).await };
        let started = self.clock.now();
        // What the loader leaves behind when it panics is its own; nothing of ours is shared with it.
        let load = AssertUnwindSafe(async move { loader().await }).catch_unwind();
        let link = chain.link(&self.handle.flights, keys.clone());
        let result = Arc::clone(&link).scope(load).await;
        drop(turn);
        let took = self.clock.now().saturating_since(started);
        let result = result.unwrap_or_else(|panic| Err(panicked(&*panic)));
        if let Err(error) = &result {
            for key in &keys {
                self.load_failed(key, took, error);
            }
        }
        Ran { result, took, depends: link.depends_on() }
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

    /// Makes an entry of a loaded value and writes it, in the caller's task. How the flight is to land.
    pub(super) async fn keep<T: Cacheable>(
        self: &Arc<Self>,
        guard: &LeaderGuard,
        start: Start,
        loaded: Loaded<T>,
        policy: &Policy,
        took: Duration,
        depends: Depends,
    ) -> Landing {
        let prepared = self.prepare(guard, start, loaded, policy, took, depends).await;
        let kept = Arc::clone(self).write(
            prepared.write,
            guard.key().clone(),
            prepared.value.clone(),
            prepared.expiry,
        );
        landing(prepared.value, kept.await, prepared.late)
    }

    /// As [`keep`](Self::keep), carried to its end even if the caller goes away.
    pub(super) async fn keep_to_the_end<T: Cacheable>(
        self: &Arc<Self>,
        guard: &LeaderGuard,
        start: Start,
        loaded: Loaded<T>,
        policy: &Policy,
        took: Duration,
        depends: Depends,
    ) -> Landing {
        let prepared = self.prepare(guard, start, loaded, policy, took, depends).await;
        let work = Arc::clone(self).write(
            prepared.write,
            guard.key().clone(),
            prepared.value.clone(),
            prepared.expiry,
        );
        // It fails where no task can be started or the runtime goes away; the write's guard, dropped unfinished, then
        // leaves the key in doubt.
        let kept =
            self.to_the_end(async move { Ok(work.await) }).await.unwrap_or(Kept::No(NotKept::StoreFailed));
        landing(prepared.value, kept, prepared.late)
    }

    /// The entry of a loaded value, and the right to write it or why there is none.
    pub(super) async fn prepare<T: Cacheable>(
        self: &Arc<Self>,
        guard: &LeaderGuard,
        start: Start,
        loaded: Loaded<T>,
        policy: &Policy,
        took: Duration,
        depends: Depends,
    ) -> Prepared {
        let mut policy = policy.with(&loaded.options);
        let Start { lease, mut refused, stamps, epoch, .. } = start;
        if let Err(error) = loaded.options.check().and_then(|()| check_tags_len(policy.tags.len())) {
            // Kept without its tags, nobody could invalidate it.
            self.store_error("tags", &error);
            refused = Some(NotKept::StampsUnreadable);
        }
        if !loaded.keep {
            refused = Some(NotKept::Requested);
        } else if depends.spoilt {
            refused = refused.or(Some(NotKept::StampsUnreadable));
        }
        policy.until = depends.until;
        // What it is made of may have been invalidated before the last of those who wait for it came.
        let mut late = depends.spoilt;
        let stamps = match self.all_stamps(guard, stamps, &policy, epoch).await {
            Ok(stamps) => stamps,
            Err(why) => {
                // Whether the late tags were invalidated meanwhile is not known, so that the value is for nobody who came later.
                late |= why == NotKept::LateTags;
                refused = refused.or(Some(why));
                Vec::new()
            }
        };
        if let Err(why) = self.still_depends(guard, &depends).await {
            (late, refused) = (true, refused.or(Some(why)));
        }
        let stamps = stamps.into_iter().map(|confirmed| confirmed.stamp).chain(depends.stamps).collect();
        let (value, expiry) = self.entry(loaded.value, &policy, took, stamps);
        let write = match refused {
            Some(NotKept::StoreFailed | NotKept::LoadedElsewhere)
                if self.handle.flights.has(Faults::KEEP_UNLEASED) =>
            {
                Ok(Write::Unfenced)
            }
            Some(why) => {
                if let Some(lease) = lease {
                    lease.give_back().await;
                }
                Err(why)
            }
            None => self.right_to_write(guard, lease),
        };
        Prepared { value, expiry, write, late }
    }

    fn right_to_write(
        &self,
        guard: &LeaderGuard,
        lease: Option<Box<super::held::Held>>,
    ) -> Result<Write, NotKept> {
        if self.handle.flights.quarantine.of(guard.key()) != Doubt::None {
            Err(NotKept::InDoubt)
        } else if self.fencing == Fencing::Lease && self.handle.flights.has(Faults::COMMIT_BY_SET) {
            Ok(Write::Unfenced)
        } else if let Some(lease) = lease {
            if guard.flight().is_detached() { Err(NotKept::Invalidated) } else { Ok(Write::Lease(lease)) }
        } else if self.fencing == Fencing::Lease {
            Err(NotKept::StoreFailed)
        } else {
            guard.begin_commit().map(Write::Set).ok_or(NotKept::Invalidated)
        }
    }

    /// What the loader read became known only now: as with late tags, nobody joins from here on, and it is read again.
    async fn still_depends(self: &Arc<Self>, guard: &LeaderGuard, depends: &Depends) -> Result<(), NotKept> {
        if depends.stamps.is_empty() {
            return Ok(());
        }
        self.handle.flights.close(guard.flight());
        let held = (guard.key(), depends.stamps.as_slice());
        match self.marks_hold(std::iter::once(held)).await.remove(0) {
            Ok(true) => Ok(()),
            Ok(false) => Err(NotKept::Invalidated),
            Err(_) => Err(NotKept::StampsUnreadable),
        }
    }

    /// The stamps that a load began under, living long enough, and those of the tags that became known since.
    async fn all_stamps(
        self: &Arc<Self>,
        guard: &LeaderGuard,
        mut stamps: Vec<Confirmed>,
        policy: &Policy,
        epoch: Option<[u8; 16]>,
    ) -> Result<Vec<Confirmed>, NotKept> {
        // Not those whose stamps could not be read before the load: whoever invalidates them detaches it all the same.
        let is_late = |tag: &str| !guard.flight().is_under(&[self.tag_key(tag)]);
        let late: Vec<Box<str>> = policy.tags.iter().filter(|tag| is_late(tag)).cloned().collect();
        if stamps.is_empty() && late.is_empty() {
            return Ok(stamps);
        }
        let ends = policy.ends(self.clock.now());
        if !late.is_empty() {
            // Nobody joins from here on: whoever did came before the epoch is read again.
            self.handle.flights.close(guard.flight());
            self.handle.flights.late_tags.store(1, Ordering::Relaxed);
            let wanted = late.into_iter().map(crate::entry::StampOf::Tag).collect();
            let found = self.confirm_stamps(guard.key(), wanted, ends).await;
            stamps.extend(found.map_err(|_| NotKept::LateTags)?);
            match (epoch, self.read_epoch().await) {
                (Some(before), Ok(after)) if before == after => {}
                _ if self.handle.flights.has(Faults::NO_EPOCH) => {}
                _ => return Err(NotKept::LateTags),
            }
        }
        match self.prolong_stamps(&stamps, ends).await {
            Ok(true) => Ok(stamps),
            Ok(false) => Err(NotKept::Invalidated),
            Err(_) => Err(NotKept::StampsUnreadable),
        }
    }

    async fn write(
        self: Arc<Self>,
        write: Result<Write, NotKept>,
        key: Key,
        value: Value,
        expiry: Expiry,
    ) -> Kept {
        match write {
            Err(why) => Kept::No(why),
            Ok(Write::Lease(lease)) => match lease.commit(value, expiry).await {
                Ok(true) => Kept::Yes,
                Ok(false) => Kept::No(NotKept::Invalidated),
                Err(_) => Kept::No(NotKept::StoreFailed),
            },
            Ok(Write::Unfenced) => {
                let call = self.handle.store.set(&key, value, expiry);
                match self.point(Operation::idempotent("set"), call).await {
                    Ok(()) => Kept::Yes,
                    Err(_) => Kept::No(NotKept::StoreFailed),
                }
            }
            Ok(Write::Set(guard)) => {
                let call = self.handle.store.set(&key, value, expiry);
                written(guard, &self.point(Operation::idempotent("set"), call).await)
            }
        }
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
                        let kept = inner.write(write, key, value.clone(), expiry).await;
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
