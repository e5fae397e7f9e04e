//! What a caller who would load sees in the store first.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;

use super::{FailurePolicy, inner::Inner, ops::Operation};
use crate::{
    Cacheable, EarlyRefresh, EntryMeta, Key, Outcome, Result, Source, StaleWhy, Timestamp, Value,
    decide::{Decision, decide},
    entry::Stamp,
    flight::{Caller, Sight},
    value::Opened,
};

/// How loads of a store are fenced from what other processes write to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fencing {
    /// Not at all, as there are none, or as the store has no versions.
    Process,
    /// By leases.
    Lease,
}

/// An entry that was found, and what may be done with it.
pub(super) struct Candidate<T> {
    pub(super) value: Arc<T>,
    /// A counter has none.
    pub(super) meta: Option<EntryMeta>,
    pub(super) decision: Decision,
    /// This process has changed something since it was read, perhaps this.
    pub(super) is_doubtful: bool,
}

impl<T> Candidate<T> {
    /// As an outcome that says how stale it is.
    pub(super) fn stale(&self, now: Timestamp, why: StaleWhy) -> Outcome<T> {
        let since = self.meta.as_ref().map_or(now, EntryMeta::stale_at);
        Outcome::new(Arc::clone(&self.value), Source::Stale { since: now.saturating_since(since), why })
    }

    pub(super) fn cost(&self) -> Duration {
        self.meta.as_ref().map(EntryMeta::cost).unwrap_or_default()
    }
}

impl<T> Clone for Candidate<T> {
    fn clone(&self) -> Self {
        Self {
            value: Arc::clone(&self.value),
            meta: self.meta.clone(),
            decision: self.decision,
            is_doubtful: self.is_doubtful,
        }
    }
}

/// What a caller's own read found.
pub(super) struct Look<T> {
    pub(super) found: Option<Candidate<T>>,
    /// Nothing is there, not even a lease.
    pub(super) absent: bool,
    /// What is there is no value of this type.
    pub(super) is_foreign: bool,
    /// The store could not be asked, or what it has is not to be believed.
    pub(super) is_blind: bool,
    pub(super) caller: Caller,
}

impl<T> Look<T> {
    /// Whether some process loads the key now.
    pub(super) fn is_leased(&self) -> bool {
        matches!(self.caller.sight, Sight::Lease(Some(_)))
    }
}

impl Inner {
    /// A read on behalf of a load: a failing store has nothing, unless the cache was told otherwise.
    pub(super) async fn look<T: Cacheable>(
        self: &Arc<Self>,
        key: &Key,
        early: EarlyRefresh,
    ) -> Result<Look<T>> {
        let flights = &self.handle.flights;
        // Before the read: whatever changes the store after it makes the leader read again.
        let caller =
            Caller { changes: flights.changes(key), begun: flights.begun(), sight: self.sight(None) };
        if !self.is_served(key).await {
            return Ok(self.blind(caller));
        }
        let now = self.clock.now();
        let value = match self.handle.store.peek(key, now) {
            Some(known) => Ok(known),
            None => self.point(Operation::idempotent("get"), self.handle.store.get(key)).await,
        };
        self.see(key, early, value, caller).await
    }

    /// What a read says that found nothing a moment ago. It cannot say what has changed since.
    pub(super) fn missed<T>(&self) -> Look<T> {
        nothing(Caller { changes: u64::MAX, begun: 0, sight: self.sight(None) }, true)
    }

    /// Whether it is known without I/O that the store has nothing.
    pub(super) fn is_absent_now(&self, key: &Key, now: Timestamp) -> bool {
        self.handle.flights.quarantine.is_empty() && matches!(self.handle.store.peek(key, now), Some(None))
    }

    /// As [`look`](Self::look) for many keys, in one call to the store.
    pub(super) async fn look_many<T: Cacheable>(
        self: &Arc<Self>,
        keys: &[Key],
        early: EarlyRefresh,
    ) -> Vec<Result<Look<T>>> {
        let flights = &self.handle.flights;
        let callers: Vec<Caller> = keys
            .iter()
            .map(|key| Caller {
                changes: flights.changes(key),
                begun: flights.begun(),
                sight: self.sight(None),
            })
            .collect();
        let served = join_all(keys.iter().map(|key| self.is_served(key))).await;
        let call = self.handle.store.get_many(keys);
        let found = self.batched(Operation::idempotent("get_many"), keys.len(), call).await;
        let opened: Vec<_> = keys
            .iter()
            .zip(&callers)
            .zip(served)
            .zip(found)
            .map(
                |(((key, caller), served), value)| {
                    if served { self.opened(key, value, *caller) } else { Err(Ok(self.blind(*caller))) }
                },
            )
            .collect();
        let stamps = opened.iter().map(|opened| opened.as_ref().ok().map_or(&[][..], stamps_of));
        let entries: Vec<_> = keys.iter().zip(stamps).collect();
        let valid = self.all_stamps_hold(&entries).await;
        let all = keys.iter().zip(callers).zip(opened.into_iter().zip(valid));
        all.map(|((key, caller), (opened, valid))| match opened {
            Ok(opened) => self.weigh(key, early, opened, valid, caller),
            Err(look) => look,
        })
        .collect()
    }

    /// A read that says nothing.
    fn blind<T>(&self, caller: Caller) -> Look<T> {
        let sight = if self.fencing == Fencing::Process { Sight::Local } else { Sight::Blind };
        Look { is_blind: true, ..nothing(Caller { sight, ..caller }, false) }
    }

    /// What a read says, whatever it returned.
    async fn see<T: Cacheable>(
        self: &Arc<Self>,
        key: &Key,
        early: EarlyRefresh,
        value: Result<Option<Value>>,
        caller: Caller,
    ) -> Result<Look<T>> {
        match self.opened(key, value, caller) {
            Ok(opened) => {
                let valid = self.stamps_hold(key, stamps_of(&opened)).await;
                self.weigh(key, early, opened, valid, caller)
            }
            Err(look) => look,
        }
    }

    /// What a read returned, opened; or what it says where there is nothing to open.
    fn opened<T>(
        &self,
        key: &Key,
        value: Result<Option<Value>>,
        caller: Caller,
    ) -> Result<Opened, Result<Look<T>>> {
        let value = match (value, self.load_errors) {
            (Ok(Some(value)), _) => value,
            (Ok(None), _) => return Err(Ok(nothing(caller, true))),
            (Err(error), FailurePolicy::Return) => return Err(Err(error)),
            (Err(_), FailurePolicy::Miss) => return Err(Ok(self.blind(caller))),
        };
        value.open().map_err(|error| {
            self.undecodable(key, &error);
            Ok(nothing(caller, false))
        })
    }

    /// What a read that saw this lease says of loads.
    fn sight(&self, lease: Option<crate::flight::Nonce>) -> Sight {
        match self.fencing {
            Fencing::Process => Sight::Local,
            Fencing::Lease => Sight::Lease(lease),
        }
    }

    /// Says what may be done with an entry, which its stamps say is `valid`.
    fn weigh<T: Cacheable>(
        &self,
        key: &Key,
        early: EarlyRefresh,
        opened: Opened,
        valid: Result<bool>,
        caller: Caller,
    ) -> Result<Look<T>> {
        match valid {
            Ok(true) => {}
            Ok(false) => return Ok(nothing(caller, false)),
            Err(error) if self.load_errors == FailurePolicy::Return => return Err(error),
            Err(_) => return Ok(self.blind(caller)),
        }
        // What expired on its way here is not served.
        let now = self.clock.now();
        let meta = opened.meta().cloned();
        let lease = meta.as_ref().and_then(|meta| self.live_lease(meta, now));
        let caller = Caller { sight: self.sight(lease), ..caller };
        if matches!(opened, Opened::LeaseOnly(_)) {
            return Ok(nothing(caller, false));
        }
        let decision = match &meta {
            Some(meta) => decide(now, meta, early, || self.random.unit()),
            None => Decision::Fresh,
        };
        if decision == Decision::Expired {
            return Ok(nothing(caller, false));
        }
        match opened.into_typed() {
            Ok(value) => {
                let found = Candidate { value, meta, decision, is_doubtful: false };
                Ok(Look { found: Some(found), ..nothing(caller, false) })
            }
            Err(error) => {
                self.undecodable(key, &error);
                Ok(Look { is_foreign: true, ..nothing(caller, false) })
            }
        }
    }
}

fn stamps_of(opened: &Opened) -> &[Stamp] {
    opened.meta().map(EntryMeta::stamps).unwrap_or_default()
}

fn nothing<T>(caller: Caller, absent: bool) -> Look<T> {
    Look { found: None, absent, is_foreign: false, is_blind: false, caller }
}
