//! Stamps as a store has them, and those that were read lately.

use std::{collections::HashMap, time::Duration};

use crate::{
    Key, Timestamp, Value,
    sync::{Mutex, MutexGuard},
};

/// So that stamps of short-lived entries are not made again all the time.
const SHORTEST: Duration = Duration::from_mins(10);
/// The most stamps remembered in process.
const MAX_REMEMBERED: usize = 10_000;

const WIRE: u8 = b'S';

/// The stamps a store was seen to have lately.
#[derive(Default)]
pub(super) struct Remembered(Mutex<Marks>);

#[derive(Default)]
struct Marks {
    read: HashMap<Key, ([u8; 16], Timestamp)>,
    /// How often some were forgotten: what was read before that is not remembered after it.
    forgotten: u64,
}

impl Remembered {
    pub(super) fn get(&self, key: &Key, since: Timestamp) -> Option<[u8; 16]> {
        self.lock().read.get(key).filter(|(_, read)| *read >= since).map(|(mark, _)| *mark)
    }

    /// When this is: to be given to [`put`](Self::put) what is read from now on.
    pub(super) fn forgotten(&self) -> u64 {
        self.lock().forgotten
    }

    pub(super) fn put(&self, key: &Key, mark: [u8; 16], read: Timestamp, since: Timestamp, forgotten: u64) {
        let mut marks = self.lock();
        if marks.forgotten != forgotten {
            return;
        }
        let map = &mut marks.read;
        if map.len() >= MAX_REMEMBERED {
            map.retain(|_, (_, read)| *read >= since);
        }
        if map.len() < MAX_REMEMBERED || map.contains_key(key) {
            map.insert(key.clone(), (mark, read));
        }
    }

    pub(super) fn forget(&self, keys: &[Key]) {
        let mut marks = self.lock();
        marks.forgotten += 1;
        for key in keys {
            marks.read.remove(key);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Marks> {
        self.0.lock().expect("no code panics while it holds the stamps")
    }
}

/// Twice as long as the entry: so that it is renewed past half.
pub(super) fn stamp_end(now: Timestamp, expires: Timestamp) -> Timestamp {
    if expires == Timestamp::MAX {
        return expires;
    }
    let life = expires.saturating_since(now).max(SHORTEST);
    now.saturating_add(life.saturating_mul(2))
}

pub(super) fn stamp_value(mark: [u8; 16], until: Timestamp) -> Value {
    let mut wire = Vec::with_capacity(25);
    wire.push(WIRE);
    wire.extend_from_slice(&mark);
    wire.extend_from_slice(&until.as_nanos().to_le_bytes());
    Value::Bytes(wire.into())
}

/// What is no stamp is no mark: to whoever holds one it is another.
pub(super) fn read_mark(value: &Value) -> Option<([u8; 16], Timestamp)> {
    let Value::Bytes(bytes) = value else { return None };
    let (WIRE, rest) = bytes.split_first().map(|(tag, rest)| (*tag, rest))? else { return None };
    let (mark, until) = rest.split_first_chunk::<16>()?;
    Some((*mark, Timestamp::from_nanos(u64::from_le_bytes(until.try_into().ok()?))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_reads_as_it_was_written_and_nothing_else_does() {
        let until = Timestamp::from_nanos(77);
        assert_eq!(read_mark(&stamp_value([7; 16], until)), Some(([7; 16], until)));
        for foreign in
            [&b""[..], b"S", b"S123456789012345", b"X1234567890123456abcdefgh", b"S1234567890123456abcdefghi"]
        {
            assert_eq!(read_mark(&Value::Bytes(foreign.to_vec().into())), None);
        }
        assert_eq!(read_mark(&Value::Int(1)), None);
    }

    #[test]
    fn where_a_stamp_is_kept_can_be_told_from_its_name() {
        let long = "x".repeat(300);
        for name in ["", "t1/shop/:sale", "t1/:a b%/~:é", long.as_str()] {
            let key = Key::reserved(name);
            assert_eq!(Key::parse_reserved(key.as_str()), Some(key.clone()), "{name}");
            assert_eq!(Key::parse(key.as_str()).unwrap(), key, "a store that parses its keys finds it");
        }
        for foreign in ["", "1/:a", "1/~/", "1/~/a/:b", "1/~/:%61", "1/~//abc", "2/~/:a"] {
            assert_eq!(Key::parse_reserved(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn a_stamp_outlives_its_entries_twice() {
        let at = |secs| Timestamp::from_nanos(Duration::from_secs(secs).as_nanos().try_into().unwrap());
        assert_eq!(stamp_end(at(0), at(3600)), at(7200));
        assert_eq!(
            stamp_end(at(0), at(1)),
            at(1200),
            "those of short-lived ones are not made again all the time"
        );
        assert_eq!(stamp_end(at(5), Timestamp::MAX), Timestamp::MAX);
    }
}
