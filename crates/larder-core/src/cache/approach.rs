//! Finding out what to do with a key: serve it, wait for its load, or load it.

use std::sync::Arc;

use super::{
    chain::Chain,
    inner::Inner,
    landing::{Landed, Waited},
    lease::Over,
    look::{Candidate, Look},
};
use crate::{
    Cacheable, Coalesce, Error, ErrorKind, Key, Outcome, Result, Source, StaleWhy, Timestamp,
    decide::Decision,
    flight::{Flight, LeaderGuard, Place, Sight},
    policy::Policy,
};

/// What a caller wants of a key.
pub(super) struct Ask<'a, T> {
    pub(super) key: &'a Key,
    pub(super) policy: &'a Arc<Policy>,
    /// When it was, just now, that the store was asked and had nothing.
    pub(super) missed: Option<Timestamp>,
    /// Load whatever is there.
    pub(super) force: bool,
    /// Load in spite of a fresh value of which this is true.
    pub(super) is_stale: Option<&'a (dyn Fn(&T) -> bool + Send + Sync)>,
    /// The caller has been counted, as one that missed.
    pub(super) counted: bool,
    /// Whom it waits for, where the cache lets it.
    pub(super) coalesce: Coalesce,
}

impl<'a, T> Ask<'a, T> {
    /// For what is fresh.
    pub(super) fn new(key: &'a Key, policy: &'a Arc<Policy>) -> Self {
        Self {
            key,
            policy,
            missed: None,
            force: false,
            is_stale: None,
            counted: false,
            coalesce: Coalesce::Cluster,
        }
    }
}

/// What a caller is to do.
pub(super) enum Approach<T> {
    /// Nothing: here is the value.
    Done(Outcome<T>),
    /// Nothing, and have it loaded behind: nobody does.
    Behind(Outcome<T>, Lead<T>),
    /// Load, for everyone.
    Lead(Lead<T>),
    /// Load, for itself: nobody is to wait, or who led gave up on this key. With what may be served if that fails.
    Alone(Option<Candidate<T>>),
}

/// The lead of a flight that has not begun.
pub(super) struct Lead<T> {
    pub(super) guard: LeaderGuard,
    /// What may be served if the load fails or is slow, and what the loader may renew.
    pub(super) stale: Option<Candidate<T>>,
    /// A load to wait for first.
    pub(super) after: Option<Arc<Flight>>,
    /// Whether to look once more before it begins.
    pub(super) recheck: bool,
    pub(super) absent: bool,
    /// What is there may be replaced so far.
    pub(super) over: Over,
}

impl Inner {
    /// Reads the store, then serves what is there, joins the running load of the key, or becomes the one to load it.
    pub(super) async fn approach<T: Cacheable>(self: &Arc<Self>, ask: Ask<'_, T>) -> Result<Approach<T>> {
        let (key, policy) = (ask.key, ask.policy);
        let flights = &self.handle.flights;
        let mut missed = ask.missed;
        let mut counted = ask.counted;
        let waits = ask.coalesce != Coalesce::Off && self.coalesce != Coalesce::Off;
        loop {
            let missed = missed.take();
            // Apart, here and below, as asking and waiting make large futures, and many a load needs neither.
            let mut look = if missed.is_some() {
                self.missed()
            } else {
                Box::pin(self.look::<T>(key, policy.early)).await?
            };
            let over = over(&ask, &look);
            if over < Over::Judged
                && let Some(found) = &look.found
            {
                match self.serve(key, found, counted) {
                    Some(outcome) if found.decision == Decision::Fresh || self.tasks.is_closed() => {
                        return Ok(Approach::Done(outcome));
                    }
                    Some(outcome) => return Ok(self.lead_behind(key, outcome, look, policy)),
                    None => {}
                }
            }
            // What a read found out a moment ago is as of then.
            let now = missed.unwrap_or_else(|| self.clock.now());
            if over < Over::Judged
                && let Some(error) = flights.failures.told(key, now)
            {
                return Err(error);
            }
            if self.tasks.is_closed() {
                return Err(Error::new(ErrorKind::Unavailable, "the cache is closed").with_retryable(false));
            }
            if ask.force {
                // A load that has begun may have read what this caller knows to be old.
                look.caller.sight = Sight::Later;
            }
            let place = flights.join(key, look.caller, now, policy.load_timeout);
            if let Some(found) = &mut look.found {
                found.is_doubtful = flights.changes(key) != look.caller.changes;
            }
            let mut follow = match place {
                Place::Leader { guard, recheck, after } => {
                    if !waits && after.is_some() {
                        return Ok(Approach::Alone(look.found));
                    }
                    // A value found now was stored since the first look; dropping the guard sends followers to it.
                    if recheck
                        && !ask.force
                        && after.is_none()
                        && (missed.is_some() || look.caller.sight == Sight::Local)
                        && !self.is_absent_now(key, now)
                    {
                        let again = Box::pin(self.look::<T>(key, policy.early)).await?;
                        if again
                            .found
                            .as_ref()
                            .is_some_and(|found| found.decision == Decision::Fresh && !is_stale(&ask, found))
                        {
                            drop(guard);
                            continue;
                        }
                    }
                    if !counted {
                        self.miss(key);
                    }
                    let (stale, absent) = (look.found, look.absent);
                    return Ok(Approach::Lead(Lead { guard, stale, after, recheck: false, absent, over }));
                }
                // Nobody follows it to the end of its time, so that it is for this caller to end it.
                Place::Follower(follow) if !waits && follow.flight.deadline <= now => {
                    self.expire_flight(&follow.flight, policy);
                    continue;
                }
                Place::Follower(_) if !waits => return Ok(Approach::Alone(look.found)),
                Place::Follower(follow) => follow,
                Place::ReadAgain => continue,
            };
            if Chain::current().is_loading(flights, key) {
                return Err(Error::new(ErrorKind::Load, "a loader asked for the key that it is loading"));
            }
            if Chain::current().is_nested() {
                follow.flight.hurry();
            }
            if !counted {
                self.miss(key);
                self.joined(key);
                counted = true;
            }
            match self.land_or_fall_back(&mut follow, look.found.as_ref(), policy).await? {
                Waited::Outcome(outcome) => return Ok(Approach::Done(outcome)),
                Waited::Landed(Landed::Value(value, kept)) => {
                    return Ok(Approach::Done(Outcome::new(value, Source::Joined(kept))));
                }
                Waited::Landed(Landed::Alone) => return Ok(Approach::Alone(look.found)),
                Waited::Landed(Landed::Late(..) | Landed::Again | Landed::Nothing) => {}
            }
        }
    }

    /// The outcome with which an entry is served at once; `None` where it has to be loaded first. A caller who was `counted` as
    /// one that missed is no hit: it waited.
    pub(super) fn serve<T: Cacheable>(
        &self,
        key: &Key,
        found: &Candidate<T>,
        counted: bool,
    ) -> Option<Outcome<T>> {
        let now = self.clock.now();
        let resting = || self.handle.flights.failures.is_resting(key, now);
        let why = match found.decision {
            Decision::Fresh | Decision::FreshRefresh => {
                if !counted {
                    self.hit(key, found.cost());
                }
                self.note(key, found.meta.as_ref());
                return Some(Outcome::new(Arc::clone(&found.value), Source::Hit));
            }
            Decision::Revalidate | Decision::StaleOnError if resting() => StaleWhy::LoadFailed,
            Decision::Revalidate => StaleWhy::Refreshing,
            Decision::StaleOnError | Decision::Expired => return None,
        };
        let outcome = found.stale(now, why);
        self.served_stale(key, &outcome, found);
        Some(outcome)
    }

    /// The lead of a refresh behind, unless there is one, here or in another process, or one failed just now.
    fn lead_behind<T: Cacheable>(
        self: &Arc<Self>,
        key: &Key,
        outcome: Outcome<T>,
        look: Look<T>,
        policy: &Policy,
    ) -> Approach<T> {
        let now = self.clock.now();
        if look.is_leased() || self.handle.flights.failures.is_resting(key, now) {
            return Approach::Done(outcome);
        }
        match self.handle.flights.join(key, look.caller, now, policy.load_timeout) {
            Place::Leader { guard, after: None, .. } => {
                let early = look.found.as_ref().is_some_and(|found| found.decision == Decision::FreshRefresh);
                let over = if early { Over::Early } else { Over::Stale };
                let stale = look.found;
                let lead = Lead { guard, stale, after: None, recheck: false, absent: false, over };
                Approach::Behind(outcome, lead)
            }
            _ => Approach::Done(outcome),
        }
    }
}

/// What the caller's load may replace of what it saw.
fn over<T>(ask: &Ask<'_, T>, look: &Look<T>) -> Over {
    if ask.force {
        Over::Anything
    } else if look.is_foreign || look.found.as_ref().is_some_and(|found| is_stale(ask, found)) {
        Over::Judged
    } else {
        Over::Stale
    }
}

fn is_stale<T>(ask: &Ask<'_, T>, found: &Candidate<T>) -> bool {
    ask.is_stale.is_some_and(|is_stale| is_stale(&found.value))
}
