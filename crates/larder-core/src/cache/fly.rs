//! Loads under way: in a task of their own, in the caller, or for one caller alone.

use std::{pin::pin, sync::Arc};

use super::{
    approach::{Approach, Ask, Lead},
    begin::Start,
    chain::{Chain, Keys},
    commit::Ran,
    inner::Inner,
    landing::{Landed, Waited, dropped, load_timed_out},
    look::Candidate,
    watch::while_watched,
};
use crate::{
    Cacheable, Error, Kept, Key, Loaded, NotKept, Outcome, Result, Source, StaleWhy,
    decide::Decision,
    flight::{Flight, FlightTable, Landing, LeaderGuard},
    policy::Policy,
};

/// A loader, which is given the value that it is to renew, where there is one.
pub(super) type Renewer<'a, T> =
    Box<dyn FnOnce(Option<Arc<T>>) -> crate::BoxFuture<'a, Result<Loaded<T>>> + Send + 'a>;

impl Inner {
    /// `get_or_load` and its kin: the load runs in its own task.
    pub(super) async fn load_shared<T: Cacheable>(
        self: &Arc<Self>,
        mut ask: Ask<'_, T>,
        loader: Renewer<'static, T>,
    ) -> Result<Outcome<T>> {
        let (key, policy) = (ask.key, ask.policy);
        loop {
            let again = Ask { is_stale: ask.is_stale, ..ask };
            (ask.missed, ask.counted) = (None, true);
            let mut lead = match self.approach(again).await? {
                Approach::Done(outcome) => return Ok(outcome),
                Approach::Alone(stale) => return Box::pin(self.load_alone(key, policy, stale, loader)).await,
                Approach::Behind(outcome, lead) => {
                    lead.guard.flight().stay();
                    let task = Arc::clone(self).refresh(lead, Arc::clone(policy), Chain::outside(), loader);
                    // A failure to start it drops the lead: the next caller refreshes.
                    let _ = self.start(task);
                    return Ok(outcome);
                }
                Approach::Lead(lead) => lead,
            };
            let start = match self.begin(&mut lead, policy, policy.soft_timeout).await {
                Ok(Some(start)) => start,
                Ok(None) => continue,
                Err(outcome) => return Ok(outcome),
            };
            let mut follow = FlightTable::follow(lead.guard.flight());
            let stale = lead.stale;
            let prior = stale.as_ref().map(|stale| Arc::clone(&stale.value));
            let (inner, policy_of_task) = (Arc::clone(self), Arc::clone(policy));
            let task = inner.fly(lead.guard, start, policy_of_task, Chain::current(), loader, prior);
            self.start(task)?;
            // A load that waits for nothing has landed once its task had its turn, and needs no timer.
            tokio::task::yield_now().await;
            return match self.land_or_fall_back(&mut follow, stale.as_ref(), policy).await? {
                Waited::Outcome(outcome) => Ok(outcome),
                Waited::Landed(Landed::Value(value, kept) | Landed::Late(value, kept)) => {
                    Ok(Outcome::new(value, Source::Loaded(kept)))
                }
                Waited::Landed(Landed::Alone | Landed::Again | Landed::Nothing) => Err(dropped()),
            };
        }
    }

    /// Starts a task in the caller's span that `close` waits for.
    pub(super) fn start(&self, task: impl Future<Output = ()> + Send + 'static) -> Result<()> {
        let task = self.tasks.track_future(task);
        #[cfg(feature = "tracing")]
        let task = tracing::Instrument::in_current_span(task);
        self.spawn.spawn(Box::pin(task))
    }

    /// A load behind: nobody waits for it.
    async fn refresh<T: Cacheable>(
        self: Arc<Self>,
        mut lead: Lead<T>,
        policy: Arc<Policy>,
        chain: Chain,
        loader: Renewer<'static, T>,
    ) {
        let Ok(Some(start)) = self.begin(&mut lead, &policy, None).await else { return };
        // A refresh that would keep nothing is for nobody.
        if start.refused.is_some() {
            return start.give_up().await;
        }
        let prior = lead.stale.as_ref().map(|stale| Arc::clone(&stale.value));
        self.fly(lead.guard, start, policy, chain, loader, prior).await;
    }

    /// A load in its own task. It ends early when nobody waits for it any more, and where its time is over.
    fn fly<T: Cacheable>(
        self: Arc<Self>,
        guard: LeaderGuard,
        mut start: Start,
        policy: Arc<Policy>,
        chain: Chain,
        loader: Renewer<'static, T>,
        prior: Option<Arc<T>>,
    ) -> impl Future<Output = ()> + Send {
        let keys = Keys::One(guard.key().clone());
        // Its size is a part of what a miss costs. An `async fn` would have room for its arguments twice, as has a future for
        // another one that it is given by value: so each is pinned where it is made.
        async move {
            let guards = [&guard];
            let ran = {
                let load = pin!(self.run_loader(&guards, keys, chain, move || loader(prior)));
                let load = pin!(self.while_held(&mut start.lease, load));
                let load = pin!(while_watched(&guards, load));
                self.by(guard.flight().deadline, load).await
            };
            let Ran { result, took, depends } = match ran {
                Ok(Some(Some(ran))) => ran,
                // Nobody waits for it any more, and not because its time was over for them as well.
                Ok(Some(None)) if self.clock.now() < guard.flight().deadline => return start.give_up().await,
                Ok(_) => {
                    let error = self.expire_flight(guard.flight(), &policy);
                    self.remember(guard.flight(), &error, &policy);
                    return start.give_up().await;
                }
                Err(no_timer) => return guard.land(Landing::Failed(no_timer)),
            };
            match result {
                Ok(found) => {
                    let landing = self.keep(&guard, start, found, &policy, took, depends).await;
                    self.landed(guard, landing, took.time);
                }
                Err(error) => {
                    self.remember(guard.flight(), &error, &policy);
                    guard.land(Landing::Failed(error));
                    start.give_up().await;
                }
            }
        }
    }

    /// Counts a load that gave a value, and gives it to those who wait.
    pub(super) fn landed(&self, guard: LeaderGuard, landing: Landing, took: std::time::Duration) {
        self.handle.flights.failures.forget(guard.key());
        if let Landing::Value(_, kept) = &landing {
            self.loaded(guard.key(), took, *kept);
        } else if let Landing::Late(_, why) = &landing {
            self.loaded(guard.key(), took, Kept::No(*why));
        }
        guard.land(landing);
    }

    /// Remembers a failure, for as long as it is to be told or a stale entry served in its stead; not one of a load that was
    /// invalidated meanwhile.
    pub(super) fn remember(&self, flight: &Flight, error: &Error, policy: &Policy) {
        if flight.is_detached() {
            return;
        }
        let now = self.clock.now();
        let has_window = !policy.stale_while_revalidate.is_zero() || !policy.stale_if_error.is_zero();
        let rest = if has_window { policy.error_backoff } else { std::time::Duration::ZERO };
        let told = policy.error_timeout.unwrap_or_default();
        let (rest, told) = (now.saturating_add(rest), now.saturating_add(told));
        let failures = &self.handle.flights.failures;
        failures.record(&flight.key, error, flight.under(), now, rest, told);
        // An invalidation forgets what it finds: it detaches first.
        if flight.is_detached() {
            failures.forget(&flight.key);
        }
    }

    /// A load in the caller.
    pub(super) async fn load_scoped<T: Cacheable>(
        self: &Arc<Self>,
        mut ask: Ask<'_, T>,
        loader: Renewer<'_, T>,
    ) -> Result<Outcome<T>> {
        let (key, policy) = (ask.key, ask.policy);
        loop {
            let again = Ask { is_stale: ask.is_stale, ..ask };
            (ask.missed, ask.counted) = (None, true);
            let mut lead = match self.approach(again).await? {
                Approach::Done(outcome) => return Ok(outcome),
                Approach::Alone(stale) => return Box::pin(self.load_alone(key, policy, stale, loader)).await,
                // A loader that borrows never runs behind: it runs now, with the stale entry to fall back on.
                Approach::Lead(lead) | Approach::Behind(_, lead) => lead,
            };
            let start = match self.begin(&mut lead, policy, policy.soft_timeout).await {
                Ok(Some(start)) => start,
                Ok(None) => continue,
                Err(outcome) => return Ok(outcome),
            };
            return self.load_here(lead, start, policy, loader).await;
        }
    }

    async fn load_here<T: Cacheable>(
        self: &Arc<Self>,
        lead: Lead<T>,
        mut start: Start,
        policy: &Policy,
        loader: Renewer<'_, T>,
    ) -> Result<Outcome<T>> {
        let Lead { guard, stale, .. } = lead;
        let guards = [&guard];
        let prior = stale.as_ref().map(|stale| Arc::clone(&stale.value));
        let ran = {
            let scoped = move || loader(prior);
            let scoped =
                pin!(self.run_loader(&guards, Keys::One(guard.key().clone()), Chain::current(), scoped));
            let scoped = pin!(self.while_held(&mut start.lease, scoped));
            self.by(guard.flight().deadline, scoped).await
        };
        let result = match ran {
            Ok(Some(Ran { result, took, depends })) => result.map(|found| (found, took, depends)),
            Ok(None) => Err(self.expire_flight(guard.flight(), policy)),
            Err(no_timer) => Err(no_timer),
        };
        match result {
            Ok((found, took, depends)) => {
                let value = Arc::clone(&found.value);
                let landing = self.keep_to_the_end(&guard, start, found, policy, took, depends).await;
                let (meta, kept) = match &landing {
                    Landing::Value(stored, kept) => (stored.clone(), *kept),
                    Landing::Late(stored, why) => (stored.clone(), Kept::No(*why)),
                    _ => return Err(dropped()),
                };
                if let Ok(opened) = meta.open() {
                    self.note_loaded(guard.key(), opened.meta(), landing.is_untied());
                }
                self.landed(guard, landing, took.time);
                Ok(Outcome::new(value, Source::Loaded(kept)))
            }
            Err(error) => {
                let flight = Arc::clone(guard.flight());
                let key = &flight.key;
                self.remember(&flight, &error, policy);
                guard.land(Landing::Failed(error.clone()));
                start.give_up().await;
                self.instead(key, Some(&flight), stale.as_ref(), error).await
            }
        }
    }

    /// A stale entry instead of an error, where there is one.
    async fn instead<T: Cacheable>(
        self: &Arc<Self>,
        key: &Key,
        flight: Option<&Flight>,
        stale: Option<&Candidate<T>>,
        error: Error,
    ) -> Result<Outcome<T>> {
        let Some(stale) = stale.filter(|stale| stale.decision != Decision::Fresh) else {
            return Err(error);
        };
        self.fall_back(key, flight, stale, StaleWhy::LoadFailed).await.ok_or(error)
    }

    /// Loads for one caller alone, and keeps nothing.
    async fn load_alone<T: Cacheable>(
        self: &Arc<Self>,
        key: &Key,
        policy: &Policy,
        stale: Option<Candidate<T>>,
        loader: Renewer<'_, T>,
    ) -> Result<Outcome<T>> {
        let prior = stale.as_ref().map(|stale| Arc::clone(&stale.value));
        let load = pin!(self.run_loader(&[], Keys::One(key.clone()), Chain::current(), || loader(prior)));
        let Some(Ran { result, took, depends }) = self.within(policy.load_timeout, load).await? else {
            let error = load_timed_out(policy.load_timeout);
            self.load_failed(key, policy.load_timeout, &error);
            return self.instead(key, None, stale.as_ref(), error).await;
        };
        let found = match result {
            Ok(found) => found,
            Err(error) => return self.instead(key, None, stale.as_ref(), error).await,
        };
        let kept = Kept::No(NotKept::Unshared);
        if depends.spoilt || !depends.stamps.is_empty() || !policy.with(&found.options).tags.is_empty() {
            // What it depends on is written nowhere: a load around this one cannot be kept either.
            Chain::current().spoil(&self.handle.flights);
        }
        self.loaded(key, took.time, kept);
        Ok(Outcome::new(found.value, Source::Loaded(kept)))
    }
}
