//! What comes before a loader runs: the stamps it loads under, and the lease that fences it.

use std::{sync::Arc, time::Duration};

use super::{
    approach::Lead,
    chain::Chain,
    held::Held,
    inner::Inner,
    lease::{Over, Taken},
    look::Fencing,
    stamps::{ClearBy, Confirmed},
};
use crate::{
    Cacheable, Coalesce, EarlyRefresh, Key, NotKept, Outcome, StaleWhy, Timestamp, decide::Decision,
    flight::LeaderGuard, policy::Policy, quarantine::Doubt, sync::Ordering,
};

/// How long the first wait for another process's load is, and the longest.
const FIRST_WAIT: Duration = Duration::from_millis(4);
const LONGEST_WAIT: Duration = Duration::from_millis(128);

/// A load that may begin.
#[derive(Default)]
pub(super) struct Start {
    pub(super) lease: Option<Box<Held>>,
    /// Why its result cannot be kept, if that is known already.
    pub(super) refused: Option<NotKept>,
    pub(super) stamps: Vec<Confirmed>,
    /// Where its stamps are kept, also where they could not be read.
    under: Vec<Key>,
    /// The tag epoch, where tags may become known during the load.
    pub(super) epoch: Option<[u8; 16]>,
}

impl Start {
    /// Gives the lease back, where there is one.
    pub(super) async fn give_up(self) {
        if let Some(lease) = self.lease {
            Box::pin(lease.give_back()).await;
        }
    }
}

/// How far a load came that was to begin without waiting.
pub(super) enum Begin {
    Go(Start),
    /// There is a value by now.
    There,
    /// Another load comes first.
    Busy,
}

/// What comes before a load, in this process.
enum Before {
    Nothing,
    /// There is a value by now.
    There,
    /// Another load, for longer than this one may wait.
    Runs,
}

/// Whether to go on, without a lease for this reason; or what else there is to do.
enum Next {
    Alone(NotKept),
    There,
    /// Nobody is in the way any more.
    Again,
    Wait,
}

impl Inner {
    /// Makes a load begin, as its leader; `None` if there is a value by now. Where there is a stale one to serve, another load
    /// is waited for no longer than `soft`: then that is the outcome.
    pub(super) async fn begin<T: Cacheable>(
        self: &Arc<Self>,
        lead: &mut Lead<T>,
        policy: &Policy,
        soft: Option<Duration>,
    ) -> Result<Option<Start>, Outcome<T>> {
        match self.begin_now(lead, policy) {
            Some(start) => Ok(Some(start)),
            // Apart, as all that may be needed makes a large future.
            None => Box::pin(self.begin_or_fall_back(lead, policy, soft)).await,
        }
    }

    async fn begin_or_fall_back<T: Cacheable>(
        self: &Arc<Self>,
        lead: &mut Lead<T>,
        policy: &Policy,
        soft: Option<Duration>,
    ) -> Result<Option<Start>, Outcome<T>> {
        let stale = lead.stale.clone().filter(|stale| stale.decision != Decision::Fresh);
        let mut patience = match (soft, &stale) {
            (Some(soft), Some(_)) => self.clock.now().saturating_add(soft),
            _ => Timestamp::MAX,
        };
        loop {
            match self.begin_slowly(lead, policy, patience).await {
                Begin::Go(start) => return Ok(Some(start)),
                Begin::There => return Ok(None),
                Begin::Busy => {}
            }
            patience = Timestamp::MAX;
            // The other load goes on behind, and the lead of this one is free for who comes next.
            if let Some(stale) = &stale
                && let flight = lead.guard.flight()
                && let Some(outcome) =
                    self.fall_back(&flight.key, Some(flight), stale, StaleWhy::SlowLoad).await
            {
                return Err(outcome);
            }
        }
    }

    /// A load that begins without asking the store for anything.
    fn begin_now<T>(&self, lead: &Lead<T>, policy: &Policy) -> Option<Start> {
        let waits = lead.after.is_some() || lead.recheck || self.fencing == Fencing::Lease;
        let has_stamps =
            self.clear_by == ClearBy::Stamps || !policy.tags.is_empty() || self.reads_epoch(policy);
        (!waits && !has_stamps).then(|| self.go(&lead.guard, Start::default()))
    }

    /// [`Begin::Busy`] where another load lasts longer than `patience`.
    async fn begin_slowly<T: Cacheable>(
        self: &Arc<Self>,
        lead: &mut Lead<T>,
        policy: &Policy,
        patience: Timestamp,
    ) -> Begin {
        let flight = Arc::clone(lead.guard.flight());
        // The rest of its time is for the load itself.
        let until = flight.patience;
        match self.before(lead, policy, until.min(patience)).await {
            Before::Nothing => {}
            Before::There => return Begin::There,
            Before::Runs if patience < until => return Begin::Busy,
            Before::Runs => {
                // Under its stamps all the same: what is made of the value goes when they do.
                let start = self.start_of(lead, policy).await;
                return Begin::Go(self.alone(lead, start, NotKept::LoadedElsewhere));
            }
        }
        let mut wait = FIRST_WAIT;
        loop {
            let (start, mut next) = match self.attempt(lead, policy).await {
                Ok(start) => return Begin::Go(start),
                Err(without) => without,
            };
            // What is there when the wait is over may be another value: it is looked at before anything takes its place.
            let mut has_waited = false;
            loop {
                let now = self.clock.now();
                match next {
                    Next::There => return Begin::There,
                    Next::Alone(why) => return Begin::Go(self.alone(lead, start, why)),
                    Next::Again | Next::Wait if now >= until => {
                        return Begin::Go(self.alone(lead, start, NotKept::LoadedElsewhere));
                    }
                    Next::Again if has_waited || wait == FIRST_WAIT => break,
                    Next::Again | Next::Wait if now >= patience => return Begin::Busy,
                    Next::Again | Next::Wait => {
                        let wait = wait.min(patience.saturating_since(now));
                        if self.within(wait, std::future::pending::<()>()).await.is_err() {
                            return Begin::Go(self.alone(lead, start, NotKept::LoadedElsewhere));
                        }
                        has_waited = true;
                        next = self.next(lead).await;
                    }
                }
                // Not all at the same times.
                wait = wait.mul_f64(1.0 + self.random.unit()).min(LONGEST_WAIT);
            }
            if !has_waited {
                wait = wait.mul_f64(1.0 + self.random.unit()).min(LONGEST_WAIT);
            }
        }
    }

    /// As [`begin`](Self::begin), without waiting for another load.
    pub(super) async fn begin_at_once<T: Cacheable>(
        self: &Arc<Self>,
        lead: &mut Lead<T>,
        policy: &Policy,
    ) -> Begin {
        if lead.after.is_some() {
            return Begin::Busy;
        }
        if self.is_there(lead).await {
            return Begin::There;
        }
        match self.attempt(lead, policy).await {
            Ok(start) => Begin::Go(start),
            Err((_, Next::There)) => Begin::There,
            Err((_, Next::Again | Next::Wait)) => Begin::Busy,
            Err((start, Next::Alone(why))) => Begin::Go(self.alone(lead, start, why)),
        }
    }

    /// Waits for the load that comes first, if there is one, at most `until` then, and says what there is.
    async fn before<T: Cacheable>(
        self: &Arc<Self>,
        lead: &mut Lead<T>,
        policy: &Policy,
        until: Timestamp,
    ) -> Before {
        if let Some(after) = lead.after.take() {
            // Its deadline ends it, whatever its load does.
            let left = after.deadline.min(until).saturating_since(self.clock.now());
            let flight = lead.guard.flight();
            if Chain::current().is_nested() {
                flight.hurry();
            }
            if let Ok(None) = self.within(left, after.ended_before(flight)).await {
                if self.clock.now() < after.deadline {
                    lead.after = Some(after);
                    return Before::Runs;
                }
                self.expire_flight(&after, policy);
            }
            (lead.absent, lead.recheck) = (false, true);
        }
        if self.is_there(lead).await { Before::There } else { Before::Nothing }
    }

    /// Whether there is a value that its caller did not see.
    async fn is_there<T: Cacheable>(self: &Arc<Self>, lead: &mut Lead<T>) -> bool {
        let look = std::mem::take(&mut lead.recheck);
        look && lead.over < Over::Anything && self.has_fresh::<T>(lead.guard.key()).await
    }

    /// Takes the lease, where loads need one. Without it, what else the load knows and what there is to do.
    async fn attempt<T: Cacheable>(
        self: &Arc<Self>,
        lead: &mut Lead<T>,
        policy: &Policy,
    ) -> Result<Start, (Start, Next)> {
        let start = self.start_of(lead, policy).await;
        if self.fencing == Fencing::Process {
            return Ok(self.go(&lead.guard, start));
        }
        if let Some(why) = start.refused {
            // Nobody could tell from a lease without its stamps whether to join.
            return Err((start, Next::Alone(why)));
        }
        let key = lead.guard.key().clone();
        let held = start.stamps.iter().map(|confirmed| confirmed.stamp.clone()).collect();
        let (inner, taken) = (Arc::clone(self), key.clone());
        let (over, absent) = (lead.over, std::mem::take(&mut lead.absent));
        // To its end, even if the caller goes away: else a lease could be left behind, for others to wait for.
        let take = async move { Ok(inner.take_lease(&taken, held, over, absent).await) };
        match self.to_the_end(take).await {
            Ok(Taken::Held(lease)) => Ok(self.go(&lead.guard, Start { lease: Some(lease), ..start })),
            Ok(Taken::Busy) => {
                let next = self.next(lead).await;
                Err((start, next))
            }
            Ok(Taken::Failed) | Err(_) => {
                let doubt = self.handle.flights.quarantine.of(&key) != Doubt::None;
                Err((start, Next::Alone(if doubt { NotKept::InDoubt } else { NotKept::StoreFailed })))
            }
        }
    }

    /// Whether tags may become known during the load.
    fn reads_epoch(&self, policy: &Policy) -> bool {
        policy.late_tags || self.handle.flights.late_tags.load(Ordering::Relaxed) > 0
    }

    /// What to do where the lease could not be had.
    async fn next<T: Cacheable>(self: &Arc<Self>, lead: &mut Lead<T>) -> Next {
        let Ok(look) = self.look::<T>(lead.guard.key(), EarlyRefresh::Never).await else {
            return Next::Alone(NotKept::StoreFailed);
        };
        if look.is_blind {
            return Next::Alone(NotKept::StoreFailed);
        }
        if look.is_foreign {
            lead.over = lead.over.max(Over::Judged);
        }
        let is_fresh = look.found.as_ref().is_some_and(|found| found.decision == Decision::Fresh);
        match lead.over {
            Over::Stale | Over::Early if is_fresh => Next::There,
            // To be judged as it is now.
            Over::Judged if is_fresh && !look.is_leased() => Next::There,
            Over::Anything => Next::Again,
            _ if !look.is_leased() => {
                lead.absent = look.absent;
                Next::Again
            }
            _ if self.coalesce != Coalesce::Cluster => Next::Alone(NotKept::LoadedElsewhere),
            _ => Next::Wait,
        }
    }

    /// A start without a lease: the stamps to load under, and the tag epoch. Where they cannot be read, the load goes on, and
    /// keeps nothing.
    async fn start_of<T>(self: &Arc<Self>, lead: &Lead<T>, policy: &Policy) -> Start {
        let key = lead.guard.key();
        let wanted = self.stamps_wanted(key, &policy.tags);
        let under = wanted.iter().map(|of| self.stamp_key(key, of)).collect();
        let (stamps, refused) = match self.confirm_stamps(key, wanted, policy.ends(self.clock.now())).await {
            Ok(stamps) => (stamps, None),
            Err(_) => (Vec::new(), Some(NotKept::StampsUnreadable)),
        };
        let epoch = if self.reads_epoch(policy) { self.read_epoch().await.ok() } else { None };
        Start { lease: None, refused, stamps, under, epoch }
    }

    /// The flight begins, though its result will not be kept.
    fn alone<T>(&self, lead: &Lead<T>, start: Start, why: NotKept) -> Start {
        self.go(&lead.guard, Start { refused: start.refused.or(Some(why)), ..start })
    }

    /// The flight begins: who joins it from now on must have seen its lease.
    fn go(&self, guard: &LeaderGuard, mut start: Start) -> Start {
        let stamps = std::mem::take(&mut start.under);
        let nonce = start.lease.as_ref().and_then(|lease| lease.nonce());
        self.handle.flights.begin(guard.flight(), nonce, stamps);
        start
    }

    async fn has_fresh<T: Cacheable>(self: &Arc<Self>, key: &Key) -> bool {
        let look = self.look::<T>(key, EarlyRefresh::Never).await;
        look.is_ok_and(|look| look.found.is_some_and(|found| found.decision == Decision::Fresh))
    }
}
