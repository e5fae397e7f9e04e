//! Making an entry of a loaded value: its stamps, and the right to write it.

use std::{
    borrow::Cow,
    future::{Ready, ready},
    sync::Arc,
};

use futures_util::future::Either;

use super::{
    begin::Start, chain::Depends, commit::Took, held::Held, inner::Inner, look::Fencing, stamps::Confirmed,
};
use crate::{
    BoxFuture, Cacheable, Expiry, Loaded, NotKept, Result, Value,
    flight::{CommitGuard, Faults, LeaderGuard},
    options::check_tags_len,
    policy::Policy,
    quarantine::Doubt,
    sync::Ordering,
};

/// A value that is loaded, and the right to write it, or why there is none.
pub(super) struct Prepared {
    pub(super) value: Value,
    pub(super) expiry: Expiry,
    pub(super) write: Result<Write, NotKept>,
    /// It is for the one who led alone.
    pub(super) late: bool,
}

/// How it may be written.
pub(super) enum Write {
    /// By the lease that it was loaded under.
    Lease(Box<Held>),
    /// By a plain `set`, fenced in this process.
    Set(CommitGuard),
    /// By a plain `set` that nothing fences: in exams alone.
    Unfenced,
}

impl Inner {
    /// The entry of a loaded value, and the right to write it or why there is none.
    pub(super) fn prepare<'a, T: Cacheable>(
        self: &'a Arc<Self>,
        guard: &'a LeaderGuard,
        mut start: Start,
        loaded: Loaded<T>,
        policy: &'a Policy,
        took: Took,
        depends: Depends,
    ) -> Either<Ready<Prepared>, BoxFuture<'a, Prepared>> {
        let mut policy = Cow::Borrowed(policy);
        if !loaded.options.is_empty() {
            policy = Cow::Owned(policy.with(&loaded.options));
        }
        if policy.until != depends.until {
            policy.to_mut().until = depends.until;
        }
        let mut refused = start.refused;
        if let Err(error) = loaded.options.check().and_then(|()| check_tags_len(policy.tags.len())) {
            // Kept without its tags, nobody could invalidate it.
            self.store_error("tags", &error);
            refused = Some(NotKept::StampsUnreadable);
        }
        if !loaded.keep && refused != Some(NotKept::StampsUnreadable) {
            refused = Some(NotKept::Requested);
        } else if depends.spoilt {
            refused = refused.or(Some(NotKept::StampsUnreadable));
        }
        // What it is made of may have been invalidated before the last of those who wait for it came.
        let late = depends.spoilt;
        let has_stamps = !start.stamps.is_empty() || !policy.tags.is_empty() || !depends.stamps.is_empty();
        if has_stamps || start.lease.is_some() {
            // Apart, as whatever asks the store makes a large future, and in one process most entries need none.
            start.refused = refused;
            return Either::Right(Box::pin(self.prepare_stamped(
                guard,
                start,
                loaded.value,
                policy,
                took,
                depends,
            )));
        }
        let (value, expiry) = self.entry(loaded.value, &policy, took.ended, took.time, Vec::new());
        let write = self.right_to_write(guard, None, refused);
        Either::Left(ready(Prepared { value, expiry, write, late }))
    }

    async fn prepare_stamped<T: Cacheable>(
        self: &Arc<Self>,
        guard: &LeaderGuard,
        start: Start,
        value: Arc<T>,
        policy: Cow<'_, Policy>,
        took: Took,
        depends: Depends,
    ) -> Prepared {
        let Start { mut lease, mut refused, mut stamps, epoch, .. } = start;
        let mut late = depends.spoilt;
        // What is not kept has its stamps all the same: by those that do not hold any more, nothing lasts that is made of it.
        if let Err(why) = self.add_late_stamps(guard, &mut stamps, &policy, epoch).await {
            // Whether the late tags were invalidated meanwhile is not known, so that the value is for nobody who came later.
            late |= why == NotKept::LateTags;
            refused = refused.or(Some(why));
        }
        if let Err(why) = self.still_depends(guard, &depends).await {
            (late, refused) = (true, refused.or(Some(why)));
        }
        let stamps = stamps.into_iter().map(|confirmed| confirmed.stamp).chain(depends.stamps).collect();
        let (value, expiry) = self.entry(value, &policy, self.clock.now(), took.time, stamps);
        if refused.is_some()
            && let Some(lease) = lease.take()
        {
            lease.give_back().await;
        }
        let write = self.right_to_write(guard, lease, refused);
        Prepared { value, expiry, write, late }
    }

    fn right_to_write(
        &self,
        guard: &LeaderGuard,
        lease: Option<Box<Held>>,
        refused: Option<NotKept>,
    ) -> Result<Write, NotKept> {
        if let Some(why) = refused {
            let unfenced = matches!(why, NotKept::StoreFailed | NotKept::LoadedElsewhere)
                && self.handle.flights.has(Faults::KEEP_UNLEASED);
            return if unfenced { Ok(Write::Unfenced) } else { Err(why) };
        }
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

    /// Adds to the stamps that a load began under those of the tags that became known since, and lets all of them live long
    /// enough; an error where the result may not be kept under them.
    async fn add_late_stamps(
        self: &Arc<Self>,
        guard: &LeaderGuard,
        stamps: &mut Vec<Confirmed>,
        policy: &Policy,
        epoch: Option<[u8; 16]>,
    ) -> Result<(), NotKept> {
        // Not those whose stamps could not be read before the load: whoever invalidates them detaches it all the same.
        let is_late = |tag: &str| !guard.flight().is_under(&[self.tag_key(tag)]);
        let late: Vec<Box<str>> = policy.tags.iter().filter(|tag| is_late(tag)).cloned().collect();
        if stamps.is_empty() && late.is_empty() {
            return Ok(());
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
        match self.prolong_stamps(stamps, ends).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(NotKept::Invalidated),
            Err(_) => Err(NotKept::StampsUnreadable),
        }
    }
}
