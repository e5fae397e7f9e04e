//! What callers ask a connection for, and where the answer goes.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use larder_core::{Error, ErrorKind, Result, Timestamp, Value, Version};
use tokio::sync::oneshot;

use crate::{error::Reach, item::Item, random::Mark};

/// One operation on one key.
pub(crate) enum Op {
    Get {
        key: String,
    },
    Set {
        key: String,
        item: Item,
    },
    Delete {
        key: String,
    },
    /// Depends on what is there.
    Change {
        key: String,
        change: Change,
    },
    Ping,
}

impl Op {
    /// What is to be said if the answer never comes.
    pub(crate) fn reach(&self) -> Reach {
        match self {
            Self::Get { .. } | Self::Ping => Reach::Read,
            Self::Set { .. } | Self::Delete { .. } | Self::Change { .. } => Reach::Written,
        }
    }
}

/// What comes back.
#[derive(Clone)]
pub(crate) enum Answer {
    Item(Option<Item>),
    Done,
    Deleted(bool),
    Changed(Outcome),
}

/// An operation that reads and then writes only if nobody wrote between.
pub(crate) enum Change {
    Add(Item),
    Replace(Version, Item),
    /// The item is what a missing counter starts with; only its value is made here.
    Increment(i64, Item),
    Touch(Timestamp, Mark),
}

/// How a change ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Won(Version),
    Lost,
    Sum(i64),
    Touched(bool),
}

impl Change {
    /// Bytes in a server, at most.
    pub(crate) fn size(&self) -> usize {
        match self {
            Self::Add(item) | Self::Replace(_, item) => item.len(),
            Self::Increment(..) | Self::Touch(..) => 0,
        }
    }

    /// Does it to what is there, which is live and can be read, or nothing.
    pub(crate) fn apply(&self, entry: &mut Option<Item>, now: Timestamp) -> Result<Outcome> {
        let put = |entry: &mut Option<Item>, item: &Item| {
            *entry = item.is_live(now).then(|| item.clone());
            Outcome::Won(item.version())
        };
        match self {
            Self::Add(item) if entry.is_none() => Ok(put(entry, item)),
            Self::Replace(version, item)
                if entry.as_ref().is_some_and(|found| found.version() == *version) =>
            {
                Ok(put(entry, item))
            }
            Self::Add(_) | Self::Replace(..) => Ok(Outcome::Lost),
            Self::Increment(delta, fresh) => {
                let (old, ends) = match entry {
                    Some(found) => match Value::from_wire(found.wire.clone()) {
                        Ok(Value::Int(old)) => (old, found.ends),
                        _ => return Err(Error::new(ErrorKind::WrongType, "the entry is not a counter")),
                    },
                    None => (0, fresh.ends),
                };
                let sum = old.checked_add(*delta);
                let sum = sum.ok_or_else(|| Error::new(ErrorKind::Overflow, "the sum is outside i64"))?;
                let item = Item { ends, mark: fresh.mark, wire: Value::Int(sum).to_wire()? };
                put(entry, &item);
                Ok(Outcome::Sum(sum))
            }
            Self::Touch(ends, mark) => {
                let Some(found) = entry.take() else { return Ok(Outcome::Touched(false)) };
                put(entry, &Item { ends: *ends, mark: *mark, wire: found.wire });
                Ok(Outcome::Touched(true))
            }
        }
    }
}

/// An operation, and who waits for it.
pub(crate) struct Job {
    pub(crate) op: Op,
    pub(crate) waiter: Waiter,
}

/// Who waits for an answer, and until when.
pub(crate) struct Waiter {
    pub(crate) reply: oneshot::Sender<Result<Answer>>,
    pub(crate) ends: Timestamp,
    pub(crate) ticket: Ticket,
}

impl Waiter {
    pub(crate) fn answer(self, result: Result<Answer>) {
        // Whoever is answered must find the place free.
        drop(self.ticket);
        // A caller that went away wants no answer.
        let _ = self.reply.send(result);
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.reply.is_closed()
    }
}

/// Counts an operation as long as it exists: with the store, and with its lane.
pub(crate) struct Ticket(pub(crate) [Arc<AtomicUsize>; 2]);

impl Ticket {
    pub(crate) fn new(counts: [&Arc<AtomicUsize>; 2]) -> Self {
        Self(counts.map(|count| {
            count.fetch_add(1, Ordering::SeqCst);
            Arc::clone(count)
        }))
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        for count in &self.0 {
            count.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_nanos(100);

    fn item(mark: u8, ends: u64, value: &Value) -> Item {
        Item { ends: Timestamp::from_nanos(ends), mark: [mark; 16], wire: value.to_wire().unwrap() }
    }

    fn text(mark: u8, ends: u64) -> Item {
        item(mark, ends, &Value::Bytes("text".into()))
    }

    #[test]
    fn add_and_replace_have_one_winner() {
        let mut entry = None;
        let first = text(1, 200);
        assert_eq!(Change::Add(first.clone()).apply(&mut entry, NOW).unwrap(), Outcome::Won(first.version()));
        assert_eq!(Change::Add(text(2, 200)).apply(&mut entry, NOW).unwrap(), Outcome::Lost);
        let second = Change::Replace(first.version(), text(3, 200));
        assert!(matches!(second.apply(&mut entry, NOW).unwrap(), Outcome::Won(_)));
        assert_eq!(second.apply(&mut entry, NOW).unwrap(), Outcome::Lost);
        let past = Change::Replace(text(3, 0).version(), text(4, 100));
        assert!(matches!(past.apply(&mut entry, NOW).unwrap(), Outcome::Won(_)));
        assert!(entry.is_none());
    }

    #[test]
    fn a_counter_keeps_its_deadline_and_its_range() {
        let mut entry = None;
        let step = |delta, mark, ends| Change::Increment(delta, item(mark, ends, &Value::Int(0)));
        assert_eq!(step(5, 1, 200).apply(&mut entry, NOW).unwrap(), Outcome::Sum(5));
        assert_eq!(step(-7, 2, 900).apply(&mut entry, NOW).unwrap(), Outcome::Sum(-2));
        let now = entry.clone().unwrap();
        assert_eq!((now.ends, now.mark), (Timestamp::from_nanos(200), [2; 16]));
        let over = step(i64::MIN, 3, 900).apply(&mut entry, NOW).unwrap_err();
        assert_eq!(over.kind(), ErrorKind::Overflow);
        assert_eq!(entry.as_ref().unwrap().mark, [2; 16]);
        let mut entry = Some(text(1, 200));
        assert_eq!(step(1, 2, 900).apply(&mut entry, NOW).unwrap_err().kind(), ErrorKind::WrongType);
    }
}
