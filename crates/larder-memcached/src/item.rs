//! What stands in a server under a key: our own deadline and version, then the value.

use bytes::{Buf as _, Bytes};
use larder_core::{Timestamp, Value, Version};

use crate::random::Mark;

/// One entry as this store keeps it.
#[derive(Clone)]
pub(crate) struct Item {
    pub(crate) ends: Timestamp,
    pub(crate) mark: Mark,
    /// The value in its wire form.
    pub(crate) wire: Bytes,
}

/// What every entry of ours starts with; the second byte is the format.
const MAGIC: [u8; 2] = [0xCA, 1];

/// The longest that memcached takes as seconds from now; anything above is a date.
const LONGEST_RELATIVE: u64 = 30 * 24 * 60 * 60;

/// Dates are by the clock of the server: it may be so far ahead of ours.
const AHEAD: u64 = 24 * 60 * 60;

const SECOND: u64 = 1_000_000_000;

impl Item {
    /// What stands before the value: magic, deadline, version.
    pub(crate) const HEAD: usize = MAGIC.len() + 8 + 16;

    pub(crate) fn head(&self) -> [u8; Self::HEAD] {
        let mut head = [0; Self::HEAD];
        head[..2].copy_from_slice(&MAGIC);
        head[2..10].copy_from_slice(&self.ends.as_nanos().to_be_bytes());
        head[10..].copy_from_slice(&self.mark);
        head
    }

    /// Bytes in a server, head and value.
    pub(crate) fn len(&self) -> usize {
        Self::HEAD + self.wire.len()
    }

    /// `None` for what is not ours: a miss.
    pub(crate) fn parse(mut bytes: Bytes) -> Option<Self> {
        let head = bytes.get(..Self::HEAD)?;
        if head[..2] != MAGIC {
            return None;
        }
        let ends = Timestamp::from_nanos(u64::from_be_bytes(head[2..10].try_into().ok()?));
        let mark = head[10..].try_into().ok()?;
        bytes.advance(Self::HEAD);
        Some(Self { ends, mark, wire: bytes })
    }

    /// Whether there is a value behind the head: without one it is a miss.
    pub(crate) fn reads(&self) -> bool {
        Value::from_wire(self.wire.clone()).is_ok()
    }

    pub(crate) fn is_live(&self, now: Timestamp) -> bool {
        self.ends > now
    }

    pub(crate) fn version(&self) -> Version {
        version(&self.mark)
    }
}

pub(crate) fn version(mark: &Mark) -> Version {
    Version::new(mark).expect("sixteen bytes are under the limit")
}

/// What a server is told, so that it gets rid of the entry after its deadline and never before: memcached counts whole
/// seconds, and its clock ticks once a second. Zero is never.
pub(crate) fn exptime(ends: Timestamp, now: Timestamp) -> u32 {
    if ends == Timestamp::MAX {
        return 0;
    }
    let seconds = (ends.as_nanos().saturating_sub(now.as_nanos())).div_ceil(SECOND) + 1;
    let told =
        if seconds <= LONGEST_RELATIVE { seconds } else { ends.as_nanos().div_ceil(SECOND) + 1 + AHEAD };
    // It takes a signed number of 32 bits. Beyond, our own deadline is all there is.
    i32::try_from(told).map_or(0, i32::unsigned_abs)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use larder_core::Expiry;

    use super::*;

    const NOW: Timestamp = Timestamp::from_nanos(1_800_000_000 * SECOND + 5);

    #[test]
    fn an_item_survives_and_what_is_not_one_is_nothing() {
        let item = Item { ends: NOW, mark: [7; 16], wire: "bvalue".into() };
        let bytes = [&item.head()[..], &item.wire].concat();
        assert_eq!(bytes.len(), item.len());
        let read = Item::parse(bytes.clone().into()).unwrap();
        assert_eq!((read.ends, read.mark, read.wire), (item.ends, item.mark, item.wire));
        for cut in 0..Item::HEAD {
            assert!(Item::parse(bytes[..cut].to_vec().into()).is_none());
        }
        let foreign = [b"x", &bytes[1..]].concat();
        assert!(Item::parse(foreign.into()).is_none());
    }

    #[test]
    fn a_server_never_ends_an_entry_before_its_deadline() {
        let told = |after| exptime(Expiry::After(after).deadline(NOW), NOW);
        assert_eq!(told(Duration::from_millis(1)), 2);
        assert_eq!(told(Duration::from_secs(1)), 2);
        assert_eq!(told(Duration::from_millis(1_001)), 3);
        // The 30-day rule: above it, a number of seconds would be a date in 1970.
        assert_eq!(told(Duration::from_secs(LONGEST_RELATIVE - 1)), 2_592_000);
        assert_eq!(told(Duration::from_secs(LONGEST_RELATIVE)), 1_800_000_002 + 2_592_000 + 86_400);
        assert_eq!(exptime(Timestamp::MAX, NOW), 0);
        // After January 2038 a date does not fit: never.
        assert_eq!(told(Duration::from_secs(u64::from(u32::MAX))), 0);
        assert_eq!(told(Duration::MAX), 0);
        assert_eq!(told(Duration::ZERO), 1);
    }
}
