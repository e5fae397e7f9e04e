//! One round of a batch load: read, join what is being loaded, load the rest.

use std::{
    future::ready,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
};

use futures_util::future::{join, join_all};

use super::{
    approach::Lead,
    begin::{Begin, Start},
    chain::{Chain, Keys},
    commit::{Ran, panicked},
    inner::Inner,
    landing::{Landed, Waited, dropped},
    lease::Over,
    load_many::{Asked, BatchLoader, LoadedBatch, Results},
    look::{Candidate, Look},
    watch::while_watched,
};
use crate::{
    BoxFuture, Cacheable, Error, ErrorKind, Key, Outcome, Result, Source,
    decide::Decision,
    flight::{FlightTable, Follow, Landing, LeaderGuard, Place, Sight},
    policy::Policy,
};

/// What one key of a batch waits for.
struct Waiting<T> {
    follow: Follow,
    /// Whether this batch loads it.
    own: bool,
    asked: Asked,
    stale: Option<Candidate<T>>,
}

/// A key that this batch loads.
struct Led {
    guard: LeaderGuard,
    start: Start,
    text: String,
}

enum BatchPlace<T> {
    Hit(Outcome<T>),
    Lead(Lead<T>),
    Follow(Follow, Option<Candidate<T>>),
    Again,
}

/// The result for one key; or the key, to begin anew with.
type End<T> = Result<(String, Result<Option<Outcome<T>>>), Asked>;

/// The loader of a batch: several loads call it where other processes had some of the keys.
type Shared<'a, T> = Mutex<&'a mut BatchLoader<T>>;

impl Inner {
    /// Returns the keys to begin anew with.
    pub(super) async fn load_round<T: Cacheable>(
        self: &Arc<Self>,
        asked: Vec<Asked>,
        policy: &Arc<Policy>,
        loader: &mut BatchLoader<T>,
        results: &mut Results<T>,
    ) -> Vec<Asked> {
        let keys: Vec<Key> = asked.iter().map(|asked| asked.key.clone()).collect();
        let looks = self.look_many::<T>(&keys, policy.early).await;
        let (mut leading, mut waiting, mut ends) = (Vec::new(), Vec::new(), Vec::new());
        for (mut asked, look) in asked.into_iter().zip(looks) {
            match look.and_then(|look| self.batch_place(&mut asked, look, policy)) {
                Ok(BatchPlace::Hit(outcome)) => ends.push(Ok((asked.text, Ok(Some(outcome))))),
                Ok(BatchPlace::Lead(lead)) => leading.push((lead, asked)),
                Ok(BatchPlace::Follow(follow, stale)) => {
                    waiting.push(Waiting { follow, own: false, asked, stale });
                }
                Ok(BatchPlace::Again) => ends.push(Err(asked)),
                Err(error) => ends.push(Ok((asked.text, Err(error)))),
            }
        }
        // At the same time: each takes a lease of its own. None waits for another's, while it holds its own: two processes
        // could wait for each other.
        let begun = leading.into_iter().map(|(mut lead, asked)| async move {
            let begin = self.begin_at_once(&mut lead, policy).await;
            (lead, begin, asked)
        });
        let (mut led, mut busy) = (Vec::new(), Vec::new());
        for (lead, begin, asked) in join_all(begun).await {
            match begin {
                Begin::Go(start) => led.push((lead, start, asked)),
                Begin::Busy => busy.push((lead, asked)),
                // What is there by now is found by another look.
                Begin::There => ends.push(Err(asked)),
            }
        }
        let loader = Mutex::new(loader);
        match self.take_off(led, policy, &loader) {
            Ok(own) => waiting.extend(own),
            Err(failed) => ends.extend(failed.into_iter().map(Ok)),
        }
        let waiting = waiting.into_iter().map(|waiting| self.wait(waiting, policy));
        let busy = busy.into_iter().map(|(lead, asked)| self.load_later(lead, asked, policy, &loader));
        let (waited, later) = join(join_all(waiting), join_all(busy)).await;
        let mut again = Vec::new();
        for end in ends.into_iter().chain(waited).chain(later) {
            match end {
                Ok(result) => results.push(result),
                Err(asked) => again.push(asked),
            }
        }
        again
    }

    /// Starts one load of these keys. Where that fails, their errors.
    fn take_off<T: Cacheable>(
        self: &Arc<Self>,
        led: Vec<(Lead<T>, Start, Asked)>,
        policy: &Arc<Policy>,
        loader: &Shared<'_, T>,
    ) -> Result<Vec<Waiting<T>>, Results<T>> {
        if led.is_empty() {
            return Ok(Vec::new());
        }
        let (mut flying, mut waiting) = (Vec::new(), Vec::new());
        for (Lead { guard, stale, .. }, start, asked) in led {
            let follow = FlightTable::follow(guard.flight());
            flying.push(Led { guard, start, text: asked.text.clone() });
            waiting.push(Waiting { follow, own: true, asked, stale });
        }
        let texts = flying.iter().map(|led| led.text.clone()).collect();
        // Called here, as it is one closure for all rounds; a panic in it ends the load, not the caller.
        let called = catch_unwind(AssertUnwindSafe(|| {
            let mut loader = loader.lock().unwrap_or_else(PoisonError::into_inner);
            (*loader)(texts)
        }));
        let load = called.unwrap_or_else(|panic| Box::pin(ready(Err(panicked(&*panic)))));
        let task = Arc::clone(self).fly_many(flying, Arc::clone(policy), Chain::current(), load);
        match self.start(task) {
            Ok(()) => Ok(waiting),
            Err(error) => {
                Err(waiting.into_iter().map(|waiting| (waiting.asked.text, Err(error.clone()))).collect())
            }
        }
    }

    /// Loads a key that is being loaded already, once that is over.
    async fn load_later<T: Cacheable>(
        self: &Arc<Self>,
        mut lead: Lead<T>,
        asked: Asked,
        policy: &Arc<Policy>,
        loader: &Shared<'_, T>,
    ) -> End<T> {
        let start = match self.begin(&mut lead, policy, policy.soft_timeout).await {
            Ok(Some(start)) => start,
            Ok(None) => return Err(asked),
            Err(outcome) => return Ok((asked.text, Ok(Some(outcome)))),
        };
        match self.take_off(vec![(lead, start, asked)], policy, loader) {
            Ok(mut own) => self.wait(own.remove(0), policy).await,
            Err(mut failed) => Ok(failed.remove(0)),
        }
    }

    /// Waits for the load of a key.
    async fn wait<T: Cacheable>(self: &Arc<Self>, waiting: Waiting<T>, policy: &Arc<Policy>) -> End<T> {
        let Waiting { mut follow, own, asked, stale } = waiting;
        let result = match self.land_or_fall_back(&mut follow, stale.as_ref(), policy).await {
            Ok(Waited::Outcome(outcome)) => Ok(Some(outcome)),
            Ok(Waited::Landed(Landed::Value(value, kept))) => {
                let source = if own { Source::Loaded(kept) } else { Source::Joined(kept) };
                Ok(Some(Outcome::new(value, source)))
            }
            Ok(Waited::Landed(Landed::Late(value, kept))) if own => {
                Ok(Some(Outcome::new(value, Source::Loaded(kept))))
            }
            Ok(Waited::Landed(Landed::Nothing)) if own => Ok(None),
            Ok(Waited::Landed(Landed::Alone | Landed::Again)) if own => Err(dropped()),
            Ok(Waited::Landed(_)) => return Err(asked),
            Err(error) => Err(error),
        };
        Ok((asked.text, result))
    }

    fn batch_place<T: Cacheable>(
        self: &Arc<Self>,
        asked: &mut Asked,
        mut look: Look<T>,
        policy: &Arc<Policy>,
    ) -> Result<BatchPlace<T>> {
        let (flights, key) = (&self.handle.flights, &asked.key);
        // A batch refreshes nothing behind: what may be served at once is.
        if let Some(found) = &look.found
            && let Some(outcome) = self.serve(key, found, asked.counted)
        {
            return Ok(BatchPlace::Hit(outcome));
        }
        if let Some(error) = flights.failures.told(key, self.clock.now()) {
            return Err(error);
        }
        if self.tasks.is_closed() {
            return Err(Error::new(ErrorKind::Unavailable, "the cache is closed").with_retryable(false));
        }
        let place = flights.join(key, look.caller, self.clock.now(), policy.load_timeout);
        if let Some(found) = &mut look.found {
            found.is_doubtful = flights.changes(key) != look.caller.changes;
        }
        match place {
            Place::ReadAgain => Ok(BatchPlace::Again),
            Place::Follower(_) if Chain::current().is_loading(flights, key) => {
                Err(Error::new(ErrorKind::Load, "a loader asked for the key that it is loading"))
            }
            Place::Leader { guard, after, recheck } => {
                if !std::mem::replace(&mut asked.counted, true) {
                    self.miss(key);
                }
                let over = if look.is_foreign { Over::Judged } else { Over::Stale };
                let recheck = recheck && look.caller.sight == Sight::Local;
                let (stale, absent) = (look.found, look.absent);
                Ok(BatchPlace::Lead(Lead { guard, stale, after, recheck, absent, over }))
            }
            Place::Follower(follow) => {
                if !std::mem::replace(&mut asked.counted, true) {
                    self.miss(key);
                    self.joined(key);
                }
                if Chain::current().is_nested() {
                    follow.flight.hurry();
                }
                Ok(BatchPlace::Follow(follow, look.found.filter(|found| found.decision != Decision::Fresh)))
            }
        }
    }

    /// The load of a batch, in its own task.
    async fn fly_many<T: Cacheable>(
        self: Arc<Self>,
        mut led: Vec<Led>,
        policy: Arc<Policy>,
        chain: Chain,
        load: BoxFuture<'static, Result<LoadedBatch<T>>>,
    ) {
        let mut leases: Vec<_> = led.iter_mut().map(|led| led.start.lease.take()).collect();
        let guards: Vec<&LeaderGuard> = led.iter().map(|led| &led.guard).collect();
        let keys = Keys::Many(guards.iter().map(|guard| guard.key().clone()).collect());
        let ran = {
            let load = pin!(self.run_loader(&guards, keys, chain, || load));
            let load = pin!(self.while_all_held(&mut leases, load));
            let load = pin!(while_watched(&guards, load));
            self.within(policy.load_timeout, load).await
        };
        for (led, lease) in led.iter_mut().zip(leases) {
            led.start.lease = lease;
        }
        let Ran { result, took, depends } = match ran {
            Ok(Some(Some(ran))) => ran,
            without => {
                if matches!(without, Ok(None)) {
                    for Led { guard, .. } in &led {
                        self.expire_flight(guard.flight(), &policy);
                    }
                }
                give_up(led.into_iter().map(|led| led.start)).await;
                return;
            }
        };
        let (mut values, mut over) = (Vec::new(), Vec::new());
        let mut batch = match result {
            Ok(batch) => batch.0,
            Err(error) => {
                for Led { guard, start, .. } in led {
                    self.remember(guard.flight(), &error, &policy);
                    guard.land(Landing::Failed(error.clone()));
                    over.push(start);
                }
                return give_up(over).await;
            }
        };
        for Led { guard, start, text } in led {
            match batch.remove(&text) {
                Some(Ok(found)) => values.push((guard, start, found)),
                Some(Err(error)) => {
                    self.load_failed(guard.key(), took.time, &error);
                    self.remember(guard.flight(), &error, &policy);
                    guard.land(Landing::Failed(error));
                    over.push(start);
                }
                None => {
                    guard.land(Landing::Nothing);
                    over.push(start);
                }
            }
        }
        let keep = async {
            let prepare = values.into_iter().map(|(guard, start, found)| async {
                let prepared = self.prepare(&guard, start, found, &policy, took, depends.clone()).await;
                (guard, prepared)
            });
            let (mut writing, mut writes) = (Vec::new(), Vec::new());
            for (guard, prepared) in join_all(prepare).await {
                writes.push((guard.key().clone(), prepared));
                writing.push(guard);
            }
            for (guard, landing) in writing.into_iter().zip(self.write_many(writes).await) {
                self.landed(guard, landing, took.time);
            }
        };
        join(keep, give_up(over)).await;
    }
}

/// Gives all leases back, at the same time.
async fn give_up(starts: impl IntoIterator<Item = Start>) {
    join_all(starts.into_iter().map(Start::give_up)).await;
}
