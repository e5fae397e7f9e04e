//! Leases: among processes, the right to load a key and to keep the result. A lease is a field of the entry.
//!
//! On a miss it stands in an entry without a value, which only `add` can make; on a stale entry it is put beside the value
//! by `replace`, and readers go on serving that. Whatever is written under the key, or deletes it, voids the lease: the
//! result is written by `replace` of exactly the state that took it, and then loses.

use std::sync::Arc;

use super::{
    held::{Base, Held},
    inner::Inner,
    ops::{Operation, may_have_run},
};
use crate::{
    EntryMeta, Error, ErrorKind, Expiry, Key, Result, Timestamp, Value, Version,
    entry::{Lease, Stamp},
    flight::Nonce,
    quarantine::Doubt,
    value::Opened,
};

/// How often to begin anew where others write the key at the same time.
const ROUNDS: usize = 8;
/// How many answers may be lost before the store counts as failed.
const LOST: usize = 2;

/// What a load may be put in the place of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Over {
    /// Nothing, or what is stale.
    Stale,
    /// Also what is fresh: it is loaded early.
    Early,
    /// Also what is fresh but no value to the caller: it was judged stale, or does not decode.
    Judged,
    /// Whatever is there, the lease of another included.
    Anything,
}

/// What became of an attempt to take a lease.
pub(super) enum Taken {
    Held(Box<Held>),
    /// Another holds one, or there is a value now.
    Busy,
    /// The store failed, or the key is in doubt.
    Failed,
}

impl Inner {
    /// Takes the lease of `key`, to a load under `stamps`.
    pub(super) async fn take_lease(
        self: &Arc<Self>,
        key: &Key,
        stamps: Vec<Stamp>,
        over: Over,
        mut absent: bool,
    ) -> Taken {
        if self.handle.flights.quarantine.of(key) != Doubt::None {
            return Taken::Failed;
        }
        let (mut sent, mut lost) = (Sent { inner: self, unanswered: Vec::new() }, 0);
        for _ in 0..ROUNDS {
            // Each is sent once: what of a lost one appears late is not taken for the lease that is held.
            let nonce = self.random.nonce();
            let now = self.clock.now();
            let found = if std::mem::take(&mut absent) {
                None
            } else {
                let call = self.handle.store.get_versioned(key);
                match self.point(Operation::idempotent("get_versioned"), call).await {
                    Ok(found) => found,
                    Err(_) => return Taken::Failed,
                }
            };
            let (base, version) = match found {
                None => (Base::Nothing(stamps.clone()), None),
                Some((value, version)) => match self.base_of(key, value, &stamps, &sent, over).await {
                    Found::Mine(lost, base) => {
                        let nonce = lost.unwrap_or(nonce);
                        sent.answered(&nonce);
                        return Taken::Held(Held::new(self, key, nonce, base, version));
                    }
                    Found::Base(base) => (base, Some(version)),
                    Found::Busy => return Taken::Busy,
                    Found::Unreadable => return Taken::Failed,
                },
            };
            let Ok((value, expiry)) = self.leased(&base, nonce, now) else { return Taken::Failed };
            let store = &self.handle.store;
            let (operation, call) = match &version {
                Some(version) => ("replace", store.replace(key, version, value, expiry)),
                None => ("add", store.add(key, value, expiry)),
            };
            match sent.send(nonce, operation, call).await {
                Ok(Some(version)) => return Taken::Held(Held::new(self, key, nonce, base, version)),
                Ok(None) => {}
                // It may have run: then the next look finds its mark.
                Err(error) if error.kind() == ErrorKind::Ambiguous && lost < LOST => lost += 1,
                Err(_) => return Taken::Failed,
            }
        }
        Taken::Busy
    }

    /// From now on nobody in this process waits for this lease, wherever it is seen.
    pub(super) fn abandon(&self, nonce: Nonce) {
        let now = self.clock.now();
        let until = now.saturating_add(self.lease_timeout).saturating_add(self.clock_skew);
        self.handle.flights.abandoned.add(nonce, now, until);
    }

    /// What of an entry stays beside a new lease.
    async fn base_of(
        self: &Arc<Self>,
        key: &Key,
        value: Value,
        stamps: &[Stamp],
        sent: &Sent<'_>,
        over: Over,
    ) -> Found {
        let nothing = || Base::Nothing(stamps.to_vec());
        let Ok(opened) = value.open() else { return Found::Base(nothing()) };
        let now = self.clock.now();
        let Some(meta) = opened.meta().cloned() else {
            // A counter knows no staleness and holds no stamps.
            if !self.has_its_namespaces(key, &[]) {
                return Found::Base(nothing());
            }
            return if over >= Over::Judged { Found::Mine(None, Base::Counter) } else { Found::Busy };
        };
        if let Some(lost) = meta.lease().map(|lease| lease.nonce).filter(|nonce| sent.may_hold(nonce)) {
            let is_value = !matches!(opened, Opened::LeaseOnly(_));
            let entry = || Base::Entry(opened.with_meta(meta.clone().with_lease(None)));
            return Found::Mine(Some(lost), if is_value { entry() } else { nothing() });
        }
        match self.stamps_hold(key, meta.stamps()).await {
            Ok(true) => {}
            // Invalidated, whatever it is.
            Ok(false) => return Found::Base(nothing()),
            Err(_) => return Found::Unreadable,
        }
        if self.live_lease(&meta, now).is_some() && over < Over::Anything {
            return Found::Busy;
        }
        if matches!(opened, Opened::LeaseOnly(_)) || now >= meta.expires_at() {
            return Found::Base(nothing());
        }
        if now < meta.stale_at() && over == Over::Stale {
            return Found::Busy;
        }
        // Whoever joins the load verifies the stamps of the entry: so it holds those of the load, too.
        let mut held = meta.stamps().to_vec();
        for stamp in stamps {
            if !held.contains(stamp) {
                held.push(stamp.clone());
            }
        }
        Found::Base(Base::Entry(opened.with_meta(meta.with_stamps(held).with_lease(None))))
    }

    /// The mark of the lease on an entry, while it lasts and, as far as this process knows, somebody holds it.
    pub(super) fn live_lease(&self, meta: &EntryMeta, now: Timestamp) -> Option<Nonce> {
        let lease = meta.lease()?;
        let lasts = now < lease.deadline.saturating_add(self.clock_skew);
        (lasts && !self.handle.flights.abandoned.has(&lease.nonce)).then_some(lease.nonce)
    }

    /// The entry with a lease from now on, and when it may go.
    pub(super) fn leased(&self, base: &Base, nonce: Nonce, now: Timestamp) -> Result<(Value, Expiry)> {
        let deadline = now.saturating_add(self.lease_timeout);
        let lease = Some(Lease { nonce, deadline });
        let ends = deadline.saturating_add(self.clock_skew);
        match base {
            Base::Nothing(stamps) => {
                let meta = EntryMeta::new(now, Expiry::until(ends, now))
                    .with_stamps(stamps.clone())
                    .with_lease(lease);
                Ok((Opened::LeaseOnly(meta).into_value()?, Expiry::until(ends, now)))
            }
            Base::Counter => Err(Error::new(ErrorKind::WrongType, "a counter holds no lease")),
            Base::Entry(opened) => {
                let meta = opened.meta().cloned().unwrap_or_else(|| EntryMeta::new(now, Expiry::Never));
                let stays = meta.expires_at().max(ends);
                Ok((opened.with_meta(meta.with_lease(lease)).into_value()?, Expiry::until(stays, now)))
            }
        }
    }
}

/// What an entry is to whoever would take a lease on it.
enum Found {
    /// It holds one already, whose answer was lost; or it is a counter, which holds none.
    Mine(Option<Nonce>, Base),
    Base(Base),
    Busy,
    Unreadable,
}

/// The leases that were sent without an answer: each may stand in the store, or yet appear there. Those that are still
/// without one when this is dropped are abandoned.
struct Sent<'a> {
    inner: &'a Inner,
    unanswered: Vec<Nonce>,
}

impl Sent<'_> {
    /// Sends a lease with this mark.
    async fn send(
        &mut self,
        nonce: Nonce,
        operation: &'static str,
        call: impl Future<Output = Result<Option<Version>>>,
    ) -> Result<Option<Version>> {
        self.unanswered.push(nonce);
        let answer = self.inner.point(Operation::once(operation), call).await;
        if !answer.as_ref().is_err_and(may_have_run) {
            self.answered(&nonce);
        }
        answer
    }

    fn may_hold(&self, nonce: &Nonce) -> bool {
        self.unanswered.contains(nonce)
    }

    /// What became of this one is known.
    fn answered(&mut self, nonce: &Nonce) {
        self.unanswered.retain(|sent| sent != nonce);
    }
}

impl Drop for Sent<'_> {
    fn drop(&mut self) {
        for nonce in &self.unanswered {
            self.inner.abandon(*nonce);
        }
    }
}
