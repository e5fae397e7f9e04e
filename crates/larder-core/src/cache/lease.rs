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
    EntryMeta, Error, ErrorKind, Expiry, Key, Result, Timestamp, Value,
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
        absent: bool,
    ) -> Taken {
        if self.handle.flights.quarantine.of(key) != Doubt::None {
            return Taken::Failed;
        }
        let nonce = self.random.nonce();
        let mut unsure = false;
        let taken = self.try_to_take(key, stamps, nonce, over, absent, &mut unsure).await;
        if unsure && !matches!(taken, Taken::Held(_)) {
            // It may stand there all the same, or yet appear.
            self.abandon(nonce);
        }
        taken
    }

    async fn try_to_take(
        self: &Arc<Self>,
        key: &Key,
        stamps: Vec<Stamp>,
        nonce: Nonce,
        over: Over,
        mut absent: bool,
        unsure: &mut bool,
    ) -> Taken {
        let mut lost = 0;
        for _ in 0..ROUNDS {
            let now = self.clock.now();
            let base = if absent {
                Base::Nothing(stamps.clone())
            } else {
                let call = self.handle.store.get_versioned(key);
                match self.point(Operation::idempotent("get_versioned"), call).await {
                    Err(_) => return Taken::Failed,
                    Ok(None) => Base::Nothing(stamps.clone()),
                    Ok(Some((value, version))) => {
                        let base = match self.base_of(key, value, &stamps, nonce, over).await {
                            Found::Mine(base) => {
                                return Taken::Held(Held::new(self, key, nonce, base, version));
                            }
                            Found::Base(base) => base,
                            Found::Busy => return Taken::Busy,
                            Found::Unreadable => return Taken::Failed,
                        };
                        let Ok((value, expiry)) = self.leased(&base, nonce, now) else {
                            return Taken::Failed;
                        };
                        let call = self.handle.store.replace(key, &version, value, expiry);
                        match self.point(Operation::once("replace"), call).await {
                            Ok(Some(version)) => {
                                return Taken::Held(Held::new(self, key, nonce, base, version));
                            }
                            Ok(None) => continue,
                            // It may have run: then the next look finds our own mark.
                            Err(error) if error.kind() == ErrorKind::Ambiguous && lost < LOST => {
                                lost += 1;
                                *unsure = true;
                                continue;
                            }
                            Err(error) => {
                                *unsure |= may_have_run(&error);
                                return Taken::Failed;
                            }
                        }
                    }
                }
            };
            let Ok((value, expiry)) = self.leased(&base, nonce, now) else { return Taken::Failed };
            let added = self.point(Operation::once("add"), self.handle.store.add(key, value, expiry)).await;
            absent = false;
            match added {
                Ok(Some(version)) => return Taken::Held(Held::new(self, key, nonce, base, version)),
                Ok(None) => {}
                Err(error) if error.kind() == ErrorKind::Ambiguous && lost < LOST => {
                    lost += 1;
                    *unsure = true;
                }
                Err(error) => {
                    *unsure |= may_have_run(&error);
                    return Taken::Failed;
                }
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
        nonce: Nonce,
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
            return if over >= Over::Judged { Found::Mine(Base::Counter) } else { Found::Busy };
        };
        if meta.lease().is_some_and(|lease| lease.nonce == nonce) {
            let is_value = !matches!(opened, Opened::LeaseOnly(_));
            let entry = || Base::Entry(opened.with_meta(meta.clone().with_lease(None)));
            return Found::Mine(if is_value { entry() } else { nothing() });
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
    Mine(Base),
    Base(Base),
    Busy,
    Unreadable,
}
