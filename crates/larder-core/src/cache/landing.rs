//! Waiting for a flight, and what its landing is to who waits.

use std::{sync::Arc, time::Duration};

use super::{inner::Inner, look::Candidate};
use crate::{
    Cacheable, EarlyRefresh, Error, ErrorKind, Kept, Key, Outcome, Result, Source, StaleWhy,
    decide::Decision,
    flight::{Flight, Follow, Landing},
    policy::Policy,
    quarantine::Doubt,
};

/// How waiting for a flight ended.
pub(super) enum Landed<T> {
    Value(Arc<T>, Kept),
    /// A value for the one who led only.
    Late(Arc<T>, Kept),
    /// The leader's result was for itself.
    Alone,
    /// The leader went away, or loaded another type.
    Again,
    /// The leader's batch had nothing under this key.
    Nothing,
}

/// How waiting with a stale entry in hand ended.
pub(super) enum Waited<T> {
    Landed(Landed<T>),
    Outcome(Outcome<T>),
}

impl Inner {
    /// Waits for a flight; where a stale entry may be served, for no longer than the soft timeout, and through its failure.
    pub(super) async fn land_or_fall_back<T: Cacheable>(
        self: &Arc<Self>,
        follow: &mut Follow,
        stale: Option<&Candidate<T>>,
        policy: &Policy,
    ) -> Result<Waited<T>> {
        match follow.landed() {
            Some(landing) if stale.is_none() || !matches!(landing, Landing::Failed(_)) => {
                self.landed_as(follow, landing).map(Waited::Landed)
            }
            _ => Box::pin(self.wait_or_fall_back(follow, stale, policy)).await,
        }
    }

    async fn wait_or_fall_back<T: Cacheable>(
        self: &Arc<Self>,
        follow: &mut Follow,
        stale: Option<&Candidate<T>>,
        policy: &Policy,
    ) -> Result<Waited<T>> {
        let flight = Arc::clone(&follow.flight);
        let Some(stale) = stale.filter(|stale| stale.decision != Decision::Fresh) else {
            return self.land(follow, policy).await.map(Waited::Landed);
        };
        let landed = match policy.soft_timeout {
            None => self.land(follow, policy).await,
            Some(soft) => match self.within(soft, self.land(follow, policy)).await? {
                Some(landed) => landed,
                None => {
                    return match self.fall_back(&flight.key, Some(&flight), stale, StaleWhy::SlowLoad).await {
                        Some(outcome) => {
                            // Finished behind.
                            follow.flight.stay();
                            Ok(Waited::Outcome(outcome))
                        }
                        None => self.land(follow, policy).await.map(Waited::Landed),
                    };
                }
            },
        };
        match landed {
            Err(error) => match self.fall_back(&flight.key, Some(&flight), stale, StaleWhy::LoadFailed).await
            {
                Some(outcome) => Ok(Waited::Outcome(outcome)),
                None => Err(error),
            },
            landed => landed.map(Waited::Landed),
        }
    }

    /// Waits for a flight, for as long as it may take. Past its deadline the key is freed for the next caller.
    async fn land<T: Cacheable>(&self, follow: &mut Follow, policy: &Policy) -> Result<Landed<T>> {
        let landing = if let Some(landing) = follow.landed() {
            landing
        } else {
            let flight = Arc::clone(&follow.flight);
            let left = flight.deadline.saturating_since(self.clock.now());
            match self.within(left, follow.landing()).await? {
                Some(landing) => landing,
                None => return Err(self.expire_flight(&flight, policy)),
            }
        };
        self.landed_as(follow, landing)
    }

    /// How a flight landed for who follows it.
    fn landed_as<T: Cacheable>(&self, follow: &Follow, landing: Landing) -> Result<Landed<T>> {
        let key = &follow.flight.key;
        let untied = landing.is_untied();
        let (value, kept, late) = match landing {
            Landing::Value(value, kept) => (value, kept, false),
            Landing::Late(value, why) => (value, Kept::No(why), !follow.early),
            Landing::Failed(error) => return Err(error),
            Landing::GaveUp => return Ok(Landed::Alone),
            Landing::Abandoned => return Ok(Landed::Again),
            Landing::Nothing => return Ok(Landed::Nothing),
        };
        let typed = value.open().and_then(|opened| {
            self.note_loaded(key, opened.meta(), untied);
            opened.into_typed::<T>()
        });
        match typed {
            Ok(value) if late => Ok(Landed::Late(value, kept)),
            Ok(value) => Ok(Landed::Value(value, kept)),
            // Loaded as another type, which this one does not decode from: a miss, as it would be from the store.
            Err(error) => {
                self.undecodable(key, &error);
                Ok(Landed::Again)
            }
        }
    }

    /// Ends a flight whose time is over; of everyone who finds so, one counts it, and remembers it as its options say.
    pub(super) fn expire_flight(&self, flight: &Arc<Flight>, policy: &Policy) -> Error {
        let error = load_timed_out(flight.limit);
        if self.handle.flights.expire(flight, &error) {
            self.load_failed(&flight.key, flight.limit, &error);
            self.remember(flight, &error, policy);
        }
        error
    }

    /// Serves a stale entry, or what is there by now, in place of a load that failed or is slow, unless it was invalidated
    /// meanwhile: that beats every fallback. A store that cannot be asked does not take it away from who has a flight, which
    /// an invalidation would have detached.
    pub(super) async fn fall_back<T: Cacheable>(
        self: &Arc<Self>,
        key: &Key,
        flight: Option<&Flight>,
        stale: &Candidate<T>,
        why: StaleWhy,
    ) -> Option<Outcome<T>> {
        let look = self.look::<T>(key, EarlyRefresh::Never).await.ok()?;
        let now = self.clock.now();
        let is_certain = || {
            !stale.is_doubtful
                && flight.is_some_and(|flight| !flight.is_detached())
                && self.handle.flights.quarantine.of(key) == Doubt::None
        };
        let lasts = || stale.meta.as_ref().is_some_and(|meta| now < meta.expires_at());
        let entry = match look.found {
            Some(found) => found,
            None if look.is_blind && is_certain() && lasts() => stale.clone(),
            None => return None,
        };
        let outcome = match entry.decision {
            Decision::Fresh => Outcome::new(Arc::clone(&entry.value), Source::Hit),
            _ => entry.stale(now, why),
        };
        self.served_stale(key, &outcome, &entry);
        Some(outcome)
    }
}

/// The error of a load that ran out of time.
pub(super) fn load_timed_out(limit: Duration) -> Error {
    Error::new(
        ErrorKind::Load,
        format!("the load did not end within {limit:?} (`load_timeout`); the key is free for another"),
    )
}

/// The error of a load whose task is gone.
pub(super) fn dropped() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "the load's task ended without a result: its runtime is shutting down, or a weigher, encoder or observer panicked",
    )
}
