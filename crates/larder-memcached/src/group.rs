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
    /// Whether it came after what is known was read. Somebody else may have written between, and have been told so: only a write
    /// that nobody else came before shows that it was not so.
    is_late: bool,
}

impl Pending {
    fn succeed(self) {
        if let (Some(waiter), Some(outcome)) = (self.waiter, self.outcome) {
            waiter.answer(outcome.map(Answer::Changed));
        }
    }
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
        let is_late = matches!(self.seen, Seen::Missing | Seen::There(..));
        self.changes.push(Pending { change, waiter: Some(waiter), outcome: None, is_late });
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
        self.read_again();
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
        let is_changed = |entry: &Option<Item>| entry.as_ref().map(|item| item.mark) != before;
        let mut entry = found;
        // Those that are late stand behind the others.
        let on_time = self.changes.iter().take_while(|pending| !pending.is_late).count();
        for pending in &mut self.changes[..on_time] {
            pending.outcome = Some(pending.change.apply(&mut entry, now));
        }
        if on_time < self.changes.len() {
            if !is_changed(&entry) {
                self.changes.drain(..on_time).for_each(Pending::succeed);
                self.read_again();
                return Next::Read;
            }
            for pending in &mut self.changes[on_time..] {
                pending.outcome = Some(pending.change.apply(&mut entry, now));
            }
            if !is_changed(&entry) {
                self.read_again();
                return Next::Read;
            }
        }
        let is_changed = is_changed(&entry);
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

    /// What is known is worth nothing any more, and all changes are on time for what is read next.
    fn read_again(&mut self) {
        self.seen = Seen::Stale;
        self.changes.iter_mut().for_each(|pending| pending.is_late = false);
    }

    /// The outcomes are what happened.
    pub(crate) fn succeed(self) {
        self.changes.into_iter().for_each(Pending::succeed);
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

#[cfg(test)]
mod tests {
    use std::sync::{Arc, atomic::AtomicUsize};

    use larder_core::Value;
    use tokio::sync::oneshot;

    use super::*;
    use crate::job::Ticket;

    const NOW: Timestamp = Timestamp::from_nanos(100);

    struct Caller(oneshot::Receiver<Result<Answer>>);

    impl Caller {
        /// How its change ended, if it did.
        fn told(&mut self) -> Option<Outcome> {
            match self.0.try_recv() {
                Ok(Ok(Answer::Changed(outcome))) => Some(outcome),
                Err(oneshot::error::TryRecvError::Empty) => None,
                _ => panic!("neither an outcome nor nothing"),
            }
        }
    }

    fn ask(group: &mut Group, change: Change) -> Caller {
        let (reply, receiver) = oneshot::channel();
        let count = Arc::new(AtomicUsize::new(0));
        let waiter = Waiter { reply, ends: Timestamp::MAX, ticket: Ticket::new([&count, &count]) };
        group.push(change, waiter);
        Caller(receiver)
    }

    fn item(mark: u8) -> Item {
        let wire = Value::Bytes("text".into()).to_wire().unwrap();
        Item { ends: Timestamp::MAX, mark: [mark; 16], wire }
    }

    fn found(mark: u8, cas: u64) -> (Bytes, u64) {
        let item = item(mark);
        ([&item.head()[..], &item.wire].concat().into(), cas)
    }

    fn won(mark: u8) -> Outcome {
        Outcome::Won(item(mark).version())
    }

    /// A group that has read, with an `add` that is to lose by that.
    fn with_a_loser() -> (Group, Caller) {
        let mut group = Group::new("k".to_owned());
        let first = ask(&mut group, Change::Add(item(1)));
        assert!(matches!(group.next(NOW), Next::Add(_)));
        group.lost_race().unwrap();
        assert!(matches!(group.next(NOW), Next::Read));
        group.saw(Some(found(9, 5)));
        (group, first)
    }

    #[test]
    fn who_comes_after_the_reading_is_not_answered_by_it() {
        let (mut group, mut first) = with_a_loser();
        // Another process deletes the entry, is told so, and then this one is asked.
        let mut late = ask(&mut group, Change::Add(item(2)));
        assert!(matches!(group.next(NOW), Next::Read));
        assert_eq!((first.told(), late.told()), (Some(Outcome::Lost), None));
        group.saw(None);
        assert!(matches!(group.next(NOW), Next::Add(_)));
        group.succeed();
        assert_eq!(late.told(), Some(won(2)));
    }

    #[test]
    fn nor_where_those_before_it_have_gone() {
        let (mut group, first) = with_a_loser();
        drop(first);
        let mut late = ask(&mut group, Change::Replace(item(3).version(), item(4)));
        assert!(matches!(group.next(NOW), Next::Read));
        group.saw(Some(found(3, 6)));
        assert!(matches!(group.next(NOW), Next::Swap(6, _)));
        group.succeed();
        assert_eq!(late.told(), Some(won(4)));
    }

    #[test]
    fn a_write_that_wins_answers_it_too() {
        let mut group = Group::new("k".to_owned());
        let mut first = ask(&mut group, Change::Replace(item(1).version(), item(2)));
        assert!(matches!(group.next(NOW), Next::Read));
        group.saw(Some(found(1, 5)));
        let mut late = ask(&mut group, Change::Add(item(3)));
        assert!(matches!(group.next(NOW), Next::Swap(5, _)));
        group.succeed();
        assert_eq!((first.told(), late.told()), (Some(won(2)), Some(Outcome::Lost)));
    }

    #[test]
    fn what_takes_another_change_back_is_not_taken_for_nothing() {
        let mut group = Group::new("k".to_owned());
        let mut first = ask(&mut group, Change::Touch(Timestamp::MAX, [1; 16]));
        assert!(matches!(group.next(NOW), Next::Read));
        group.saw(None);
        let mut added = ask(&mut group, Change::Add(item(2)));
        assert!(matches!(group.next(NOW), Next::Read));
        assert_eq!(first.told(), Some(Outcome::Touched(false)));
        group.saw(None);
        // It would leave nothing, as it was read before the call.
        let mut over = ask(&mut group, Change::Touch(NOW, [3; 16]));
        assert!(matches!(group.next(NOW), Next::Read));
        assert_eq!((added.told(), over.told()), (None, None));
        group.saw(Some(found(9, 7)));
        assert!(matches!(group.next(NOW), Next::Remove(7)));
        group.succeed();
        assert_eq!((added.told(), over.told()), (Some(Outcome::Lost), Some(Outcome::Touched(true))));
    }
}
