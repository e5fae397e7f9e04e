//! The changes of one key that wait together: read once, applied one after the other, written once if nobody else wrote
//! between. So any number of callers who count under one key agree in one trip, and never fight each other.

use bytes::Bytes;
use larder_core::{Error, Result, Timestamp};

use crate::{
    exchange::take_if_over,
    item::Item,
    job::{Answer, Change, Outcome, Waiter},
};

/// How often other processes may be faster before the callers are told to come back.
const ROUNDS: u32 = 100;

pub(crate) struct Group {
    key: String,
    changes: Vec<Pending>,
    seen: Seen,
    rounds: u32,
}

struct Pending {
    change: Change,
    waiter: Option<Waiter>,
    outcome: Option<Result<Outcome>>,
}

/// What is known of what the server has.
enum Seen {
    /// Nothing yet.
    Unknown,
    /// Nothing, and what was believed was wrong.
    Stale,
    Missing,
    /// The number of this state, and the entry if it is one of ours.
    There(u64, Option<Item>),
}

/// What a group asks for.
pub(crate) enum Next {
    /// Nothing: the outcomes stand.
    Done,
    Read,
    Add(Item),
    Swap(u64, Item),
    Remove(u64),
}

impl Group {
    pub(crate) fn new(key: String) -> Self {
        Self { key, changes: Vec::new(), seen: Seen::Unknown, rounds: 0 }
    }

    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    pub(crate) fn push(&mut self, change: Change, waiter: Waiter) {
        self.changes.push(Pending { change, waiter: Some(waiter), outcome: None });
    }

    /// Whether it knows of what the server has.
    pub(crate) fn has_begun(&self) -> bool {
        !matches!(self.seen, Seen::Unknown)
    }

    /// What the server said it has.
    pub(crate) fn saw(&mut self, found: Option<(Bytes, u64)>) {
        self.seen = match found {
            None => Seen::Missing,
            // What cannot be read is a miss to all, or nobody could put anything in its place.
            Some((bytes, cas)) => Seen::There(cas, Item::parse(bytes).filter(Item::reads)),
        };
    }

    /// Somebody else wrote. `Err` once that happened too often.
    pub(crate) fn lost_race(&mut self) -> Result<(), u32> {
        self.seen = Seen::Stale;
        self.rounds += 1;
        if self.rounds < ROUNDS { Ok(()) } else { Err(self.rounds) }
    }

    /// Applies what is wanted to what is there. A caller that has gone away, or was told that nothing happened, is left
    /// out.
    pub(crate) fn next(&mut self, now: Timestamp) -> Next {
        self.changes.retain(|pending| pending.waiter.as_ref().is_some_and(|waiter| !waiter.is_gone()));
        if self.changes.is_empty() {
            return Next::Done;
        }
        let found = match &self.seen {
            Seen::Stale => return Next::Read,
            Seen::Unknown | Seen::Missing => None,
            Seen::There(_, item) => item.clone().filter(|item| item.is_live(now)),
        };
        let before = found.as_ref().map(|item| item.mark);
        let mut entry = found;
        for pending in &mut self.changes {
            pending.outcome = Some(pending.change.apply(&mut entry, now));
        }
        let is_changed = entry.as_ref().map(|item| item.mark) != before;
        match (&self.seen, entry) {
            // An `add` finds the place free more often than not: try it unread.
            (Seen::Unknown, Some(item)) if matches!(self.changes[0].change, Change::Add(_)) => {
                Next::Add(item)
            }
            (Seen::Unknown, _) => Next::Read,
            _ if !is_changed => Next::Done,
            (Seen::There(cas, _), Some(item)) => Next::Swap(*cas, item),
            (Seen::There(cas, _), None) => Next::Remove(*cas),
            (_, Some(item)) => Next::Add(item),
            (_, None) => Next::Done,
        }
    }

    /// The outcomes are what happened.
    pub(crate) fn succeed(self) {
        for Pending { waiter, outcome, .. } in self.changes {
            if let (Some(waiter), Some(outcome)) = (waiter, outcome) {
                waiter.answer(outcome.map(Answer::Changed));
            }
        }
    }

    pub(crate) fn fail(&mut self, error: &Error) {
        for pending in self.changes.drain(..) {
            if let Some(waiter) = pending.waiter {
                waiter.answer(Err(error.clone()));
            }
        }
    }

    pub(crate) fn expire(&mut self, now: Timestamp, error: impl Fn() -> Result<Answer>) {
        for pending in &mut self.changes {
            if let Some(waiter) = take_if_over(&mut pending.waiter, now) {
                waiter.answer(error());
            }
        }
    }

    pub(crate) fn oldest(&self) -> Option<Timestamp> {
        self.changes.iter().filter_map(|pending| Some(pending.waiter.as_ref()?.ends)).min()
    }
}
