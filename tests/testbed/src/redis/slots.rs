//! Which slot of a Redis Cluster a key is in, and who has which slots.

use std::ops::RangeInclusive;

use anyhow::{Context, Result};

pub(super) const SLOTS: u16 = 16_384;

/// The slot of a key: CRC16 of what stands between the first `{` and the next `}`, if anything does, else of all.
pub fn slot_of(key: &str) -> u16 {
    let tag = key.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map(|(tag, _)| tag);
    let hashed = tag.filter(|tag| !tag.is_empty()).unwrap_or(key);
    let crc = hashed.bytes().fold(0_u16, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(byte) << 8), |crc, _| {
            if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 }
        })
    });
    crc % SLOTS
}

/// A line of `CLUSTER NODES`: a node as another one sees it.
#[derive(Debug, PartialEq)]
pub(super) struct Seen {
    pub(super) id: String,
    pub(super) port: u16,
    pub(super) is_primary: bool,
    pub(super) is_well: bool,
    /// The primary it follows.
    pub(super) follows: Option<String>,
    pub(super) slots: Vec<RangeInclusive<u16>>,
}

impl Seen {
    pub(super) fn parse(line: &str) -> Result<Self> {
        let words: Vec<&str> = line.split(' ').collect();
        let [id, address, marks, primary, _, _, _, connection, slots @ ..] = &words[..] else {
            anyhow::bail!("{line:?} is no node of a cluster");
        };
        let port =
            address.split(['@', ',']).next().and_then(|address| address.rsplit_once(':')?.1.parse().ok());
        let flags: Vec<&str> = marks.split(',').collect();
        let is_ill = ["fail", "fail?", "handshake", "noaddr"].iter().any(|flag| flags.contains(flag));
        // What stands in brackets is on the move.
        let settled = slots.iter().filter(|slots| !slots.starts_with('['));
        Ok(Self {
            id: (*id).to_owned(),
            port: port.with_context(|| format!("no port in {address:?}"))?,
            is_primary: flags.contains(&"master"),
            is_well: !is_ill && (*connection == "connected" || flags.contains(&"myself")),
            follows: Some((*primary).to_owned()).filter(|primary| primary != "-"),
            slots: settled.map(|slots| range(slots)).collect::<Result<_>>()?,
        })
    }

    pub(super) fn has(&self, slot: u16) -> bool {
        self.slots.iter().any(|slots| slots.contains(&slot))
    }

    pub(super) fn count(&self) -> usize {
        self.slots.iter().map(ExactSizeIterator::len).sum()
    }
}

fn range(text: &str) -> Result<RangeInclusive<u16>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let number = |text: &str| text.parse::<u16>().with_context(|| format!("{text:?} is no slot"));
    Ok(number(first)?..=number(last)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_the_specification() {
        assert_eq!(slot_of("123456789"), 0x31C3);
        assert_eq!(slot_of("foo"), 12182);
        assert_eq!(slot_of("a{foo}b{bar}"), slot_of("foo"));
        assert_ne!(slot_of("{}foo"), slot_of("foo"));
    }

    #[test]
    fn a_line_of_cluster_nodes_is_read() {
        let line = "07c3 127.0.0.1:30001@40001,host myself,master - 0 1426238317239 2 connected 0-5460 7000 [93->-292f]";
        let seen = Seen::parse(line).unwrap();
        assert_eq!((seen.id.as_str(), seen.port, seen.is_primary, seen.is_well), ("07c3", 30001, true, true));
        assert_eq!((seen.count(), seen.has(7000), seen.has(93), seen.has(7001)), (5462, true, true, false));
        let replica = Seen::parse("07c4 :30002@40002 slave,fail 07c3 0 1 2 disconnected").unwrap();
        assert_eq!(
            (replica.follows.as_deref(), replica.is_primary, replica.is_well),
            (Some("07c3"), false, false)
        );
        assert!(Seen::parse("ERR").is_err());
    }
}
