//! The wire form of an entry: a header of its metadata, then the encoded value.
//!
//! ```text
//! offset  bytes  field                                  all integers little endian, times in ns since the epoch
//! 0       2      magic "LR"
//! 2       1      version of this layout: 1
//! 3       1      kind: 1 value, 2 lease only
//! 4       1      codec: 1 MessagePack, 2 JSON
//! 5       1      compression: 0 none
//! 6       1      number of stamps
//! 7       1      flags: bit 0 = there is a lease, bit 1 = there is a revalidate-until
//! 8       8      created
//! 16      8      stale at     (all ones: at expiry)
//! 24      8      expires at   (all ones: never)
//! 32      4      load cost in microseconds
//! 36      4      length of the payload
//! 40      ..     stamps: kind (1 tag, 2 namespace, 3 of another entry); tag: length u16, name; namespace: depth u8; of
//!                another entry: length u16, key of the stamp; then 16 bytes of mark
//! ..      24     the lease, if any: nonce (16), deadline (8)
//! ..      8      revalidate until, if there is one: till then the stale value is served while it is loaded again
//! ..      ..     payload, to the end
//! ```
//!
//! Fields whose features come later are in the layout now, so that old and new processes can share a store. What this
//! version does not know (a magic, version, kind, codec, compression or flag) is not guessed at: it does not decode, which
//! is a miss.

use bytes::{Buf, Bytes};

use crate::{
    Codec, Error, ErrorKind, Result, Timestamp,
    entry::{EntryMeta, Extras, Lease, Stamp, StampOf},
};

const MAGIC: [u8; 2] = *b"LR";
const LAYOUT: u8 = 1;
const HEADER: usize = 40;
const NO_COMPRESSION: u8 = 0;
const HAS_LEASE: u8 = 1;
const HAS_REVALIDATE: u8 = 2;
/// Tags have names of at most this many bytes, and entries at most this many stamps.
const MAX_TAG: usize = 1024;
pub(crate) const MAX_STAMPS: usize = 255;

/// Whether an entry holds a value, or only the lease of whoever loads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Value,
    LeaseOnly,
}

/// An entry in its wire form, taken apart.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Envelope {
    pub(crate) kind: Kind,
    pub(crate) codec: Codec,
    pub(crate) meta: EntryMeta,
    pub(crate) payload: Bytes,
}

/// Appends the wire form to `out`; `payload` appends the value.
pub(crate) fn encode(
    kind: Kind,
    codec: Codec,
    meta: &EntryMeta,
    out: &mut Vec<u8>,
    payload: impl FnOnce(&mut Vec<u8>) -> Result<()>,
) -> Result<()> {
    let start = out.len();
    let lease = meta.lease();
    let stamps = meta.stamps();
    let revalidate_until = meta.extras.as_deref().and_then(|extras| extras.revalidate_until);
    let count = u8::try_from(stamps.len()).map_err(|_| too_large("stamps", stamps.len(), MAX_STAMPS))?;
    out.extend_from_slice(&MAGIC);
    out.push(LAYOUT);
    out.push(match kind {
        Kind::Value => 1,
        Kind::LeaseOnly => 2,
    });
    let leased = if lease.is_some() { HAS_LEASE } else { 0 };
    let windowed = if revalidate_until.is_some() { HAS_REVALIDATE } else { 0 };
    out.extend_from_slice(&[codec.id(), NO_COMPRESSION, count, leased | windowed]);
    out.extend_from_slice(&meta.created.as_nanos().to_le_bytes());
    out.extend_from_slice(&meta.stale_at.as_nanos().to_le_bytes());
    out.extend_from_slice(&meta.expires_at.as_nanos().to_le_bytes());
    out.extend_from_slice(&meta.cost.to_le_bytes());
    // The length of the payload, known once it is written.
    out.extend_from_slice(&[0; 4]);
    for stamp in stamps {
        match &stamp.of {
            StampOf::Tag(name) | StampOf::Elsewhere(name) => {
                let len = u16::try_from(name.len()).ok().filter(|len| usize::from(*len) <= MAX_TAG);
                let len = len.ok_or_else(|| too_large("bytes in a tag", name.len(), MAX_TAG))?;
                out.push(if matches!(stamp.of, StampOf::Tag(_)) { 1 } else { 3 });
                out.extend_from_slice(&len.to_le_bytes());
                out.extend_from_slice(name.as_bytes());
            }
            StampOf::Namespace(depth) => out.extend_from_slice(&[2, *depth]),
        }
        out.extend_from_slice(&stamp.mark);
    }
    if let Some(lease) = lease {
        out.extend_from_slice(&lease.nonce);
        out.extend_from_slice(&lease.deadline.as_nanos().to_le_bytes());
    }
    if let Some(until) = revalidate_until {
        out.extend_from_slice(&until.as_nanos().to_le_bytes());
    }
    let before = out.len();
    payload(out)?;
    let len = out.len() - before;
    let len = u32::try_from(len).map_err(|_| too_large("bytes of value", len, u32::MAX as usize))?;
    out[start + HEADER - 4..start + HEADER].copy_from_slice(&len.to_le_bytes());
    Ok(())
}

fn too_large(what: &str, is: usize, limit: usize) -> Error {
    Error::new(ErrorKind::TooLarge, format!("{is} {what}, the limit is {limit}"))
}

/// Takes a wire form apart. The payload is the rest of `bytes`, not a copy.
#[inline]
pub(crate) fn decode(mut bytes: Bytes) -> Result<Envelope> {
    let (kind, codec, meta, len) = header(&bytes)?;
    bytes.advance(bytes.len() - len);
    Ok(Envelope { kind, codec, meta, payload: bytes })
}

/// When the entry expires, if these bytes are one: for stores, which see bytes.
pub(crate) fn expires_at(bytes: &[u8]) -> Option<Timestamp> {
    header(bytes).ok().map(|(_, _, meta, _)| meta.expires_at)
}

/// What stands before the payload, and the length of that.
type Header = (Kind, Codec, EntryMeta, usize);

fn header(mut bytes: &[u8]) -> Result<Header> {
    read(&mut bytes).map_err(|problem| Error::new(ErrorKind::Corrupt, "not an entry").with_source(problem))
}

fn read(rest: &mut &[u8]) -> Result<Header, &'static str> {
    if rest.len() < HEADER {
        return Err("shorter than a header");
    }
    if [rest.get_u8(), rest.get_u8()] != MAGIC {
        return Err("another magic");
    }
    if rest.get_u8() != LAYOUT {
        return Err("a layout of another version");
    }
    let kind = match rest.get_u8() {
        1 => Kind::Value,
        2 => Kind::LeaseOnly,
        _ => return Err("an unknown kind"),
    };
    let codec = Codec::from_id(rest.get_u8()).ok_or("an unknown codec")?;
    if rest.get_u8() != NO_COMPRESSION {
        return Err("an unknown compression");
    }
    let count = rest.get_u8();
    let flags = rest.get_u8();
    if flags & !(HAS_LEASE | HAS_REVALIDATE) != 0 {
        return Err("unknown flags");
    }
    let created = Timestamp::from_nanos(rest.get_u64_le());
    let stale_at = Timestamp::from_nanos(rest.get_u64_le());
    let expires_at = Timestamp::from_nanos(rest.get_u64_le());
    let cost = rest.get_u32_le();
    let len = rest.get_u32_le() as usize;
    let stamps = (0..count).map(|_| read_stamp(rest)).collect::<Result<Vec<_>, _>>()?;
    let lease = if flags & HAS_LEASE == 0 {
        None
    } else {
        let nonce = take(rest, 16)?.try_into().expect("16 bytes were taken");
        let deadline = Timestamp::from_nanos(take(rest, 8)?.get_u64_le());
        Some(Lease { nonce, deadline })
    };
    let revalidate_until = if flags & HAS_REVALIDATE == 0 {
        None
    } else {
        Some(Timestamp::from_nanos(take(rest, 8)?.get_u64_le()))
    };
    if rest.len() != len {
        return Err("a payload of another length");
    }
    let extras = (count > 0 || flags != 0).then(|| Extras { stamps, lease, revalidate_until }.into());
    let meta = EntryMeta { created, stale_at, expires_at, cost, extras };
    Ok((kind, codec, meta, len))
}

fn read_stamp(rest: &mut &[u8]) -> Result<Stamp, &'static str> {
    let of = match take(rest, 1)?[0] {
        1 => StampOf::Tag(read_name(rest)?),
        3 => StampOf::Elsewhere(read_name(rest)?),
        2 => StampOf::Namespace(take(rest, 1)?[0]),
        _ => return Err("an unknown stamp"),
    };
    let mark = take(rest, 16)?.try_into().expect("16 bytes were taken");
    Ok(Stamp { of, mark })
}

fn read_name(rest: &mut &[u8]) -> Result<Box<str>, &'static str> {
    let len = usize::from(take(rest, 2)?.get_u16_le());
    if len > MAX_TAG {
        return Err("a tag too long");
    }
    let name = take(rest, len)?;
    Ok(std::str::from_utf8(name).map_err(|_| "a tag that is not UTF-8")?.into())
}

fn take<'a>(rest: &mut &'a [u8], len: usize) -> Result<&'a [u8], &'static str> {
    let (taken, after) = rest.split_at_checked(len).ok_or("cut short")?;
    *rest = after;
    Ok(taken)
}

#[cfg(test)]
mod tests;
