//! How an entry lies in the server.
//!
//! ```text
//! entry = 0xFE 0x01            nonce(12) kind payload      any server run
//!       | 0xFE 0x02 mark(8)    nonce(12) kind payload      written under the run that the mark names
//! kind  = "b"  the value's bytes follow
//!       | "i"  a counter in decimal digits follows
//! ```
//!
//! The first byte begins no UTF-8, so that the client, which looks for text first, is done after one byte. Whatever else
//! lies under a key is a miss. What is between the first byte and the kind is the entry's version.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use larder_core::{Result, Value, Version};

use crate::random::Nonce;

/// The name of one run of one server, in which nothing was lost.
pub(crate) type Mark = [u8; 8];

const MAGIC: u8 = 0xFE;
const PLAIN: u8 = 1;
const MARKED: u8 = 2;
const BYTES: u8 = b'b';
const INT: u8 = b'i';

/// As much of an entry as tells whether it is one: the head, and a counter's digits.
pub(crate) const TELLING: usize = 64;
/// What a value takes in the server besides its bytes, at most.
pub(crate) const OVERHEAD: usize = 2 + size_of::<Mark>() + size_of::<Nonce>() + 1;

/// What every entry that may be served begins with: the magic byte and, where only one run is trusted, its mark.
pub(crate) fn trusted(mark: Option<Mark>) -> Bytes {
    let mut start = BytesMut::with_capacity(OVERHEAD);
    start.put_u8(MAGIC);
    if let Some(mark) = mark {
        start.put_u8(MARKED);
        start.put_slice(&mark);
    }
    start.freeze()
}

/// The head of a new entry, up to its kind.
#[derive(Clone, Copy)]
pub(crate) struct Head {
    mark: Option<Mark>,
    nonce: Nonce,
}

impl Head {
    pub(crate) fn new(mark: Option<Mark>, nonce: Nonce) -> Self {
        Self { mark, nonce }
    }

    fn put(&self, out: &mut BytesMut) {
        out.put_u8(MAGIC);
        match self.mark {
            None => out.put_u8(PLAIN),
            Some(mark) => {
                out.put_u8(MARKED);
                out.put_slice(&mark);
            }
        }
        out.put_slice(&self.nonce);
    }

    /// The head alone: what `replace` compares.
    pub(crate) fn bytes(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(OVERHEAD);
        self.put(&mut out);
        out.freeze()
    }

    /// The head and the kind of a counter: what its digits are put behind.
    pub(crate) fn of_counter(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(OVERHEAD);
        self.put(&mut out);
        out.put_u8(INT);
        out.freeze()
    }

    pub(crate) fn version(&self) -> Version {
        Version::new(&self.bytes()[1..]).expect("a head is shorter than a version may be")
    }

    /// A whole entry.
    pub(crate) fn entry(&self, value: &Value) -> Result<Bytes> {
        let put = |kind: u8, payload: &[u8]| {
            let mut out = BytesMut::with_capacity(OVERHEAD + payload.len());
            self.put(&mut out);
            out.put_u8(kind);
            out.put_slice(payload);
            out.freeze()
        };
        Ok(match value {
            Value::Bytes(bytes) => put(BYTES, bytes),
            Value::Int(int) => put(INT, int.to_string().as_bytes()),
            // Its wire form begins with the kind.
            other => {
                let wire = other.to_wire()?;
                put(wire[0], &wire[1..])
            }
        })
    }
}

/// The head that `replace` expects, if this is a version of ours that may still be trusted.
pub(crate) fn expected(version: &Version, mark: Option<Mark>) -> Option<Bytes> {
    let bytes = version.as_bytes();
    let is_ours = match *bytes.first()? {
        PLAIN => mark.is_none() && bytes.len() == 1 + size_of::<Nonce>(),
        MARKED => {
            bytes.len() == 1 + size_of::<Mark>() + size_of::<Nonce>()
                && mark.is_none_or(|mark| bytes[1..].starts_with(&mark))
        }
        _ => false,
    };
    is_ours.then(|| {
        let mut head = BytesMut::with_capacity(1 + bytes.len());
        head.put_u8(MAGIC);
        head.put_slice(bytes);
        head.freeze()
    })
}

/// What was found under a key.
pub(crate) struct Found {
    /// Without the magic byte: the length of the version.
    version_len: usize,
    kind: u8,
    bytes: Bytes,
}

impl Found {
    /// Whether these bytes, or the beginning of an entry of at least [`TELLING`] bytes, are an entry that may be served.
    #[inline]
    pub(crate) fn new(bytes: Bytes, mark: Option<Mark>) -> Option<Self> {
        let version_len = match *bytes.get(..2)? {
            [MAGIC, PLAIN] if mark.is_none() => 1 + size_of::<Nonce>(),
            [MAGIC, MARKED] => {
                if mark.is_some_and(|mark| !bytes[2..].starts_with(&mark)) {
                    return None;
                }
                1 + size_of::<Mark>() + size_of::<Nonce>()
            }
            _ => return None,
        };
        let kind = *bytes.get(1 + version_len)?;
        let found = Self { version_len, kind, bytes };
        match kind {
            BYTES => Some(found),
            INT => found.int().is_some().then_some(found),
            _ => None,
        }
    }

    fn payload(&self) -> usize {
        self.version_len + 2
    }

    fn int(&self) -> Option<i64> {
        let digits = std::str::from_utf8(&self.bytes[self.payload()..]).ok()?;
        // Of several spellings only the one that the server itself writes.
        digits.parse::<i64>().ok().filter(|int| int.to_string() == digits)
    }

    #[inline]
    pub(crate) fn into_value(mut self) -> Value {
        if self.kind == INT
            && let Some(int) = self.int()
        {
            return Value::Int(int);
        }
        let payload = self.payload();
        self.bytes.advance(payload);
        Value::Bytes(self.bytes)
    }

    pub(crate) fn version(&self) -> Version {
        Version::new(&self.bytes[1..=self.version_len]).expect("a head is shorter than a version may be")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONCE: Nonce = *b"twelve bytes";
    const MARK: Mark = *b"run one.";
    const OTHER: Mark = *b"run two.";

    #[test]
    fn what_is_written_is_found_under_the_run_it_was_written_under() {
        for value in
            [Value::Bytes("hello".into()), Value::Bytes("".into()), Value::Int(i64::MIN), Value::Int(0)]
        {
            let plain = Head::new(None, NONCE);
            let found = Found::new(plain.entry(&value).unwrap(), None).unwrap();
            assert_eq!(found.version(), plain.version());
            assert_eq!(expected(&found.version(), None).unwrap(), plain.bytes());
            assert_eq!(found.into_value().to_wire().unwrap(), value.to_wire().unwrap());
            assert!(Found::new(plain.entry(&value).unwrap(), Some(MARK)).is_none());
            assert!(expected(&plain.version(), Some(MARK)).is_none());

            let marked = Head::new(Some(MARK), NONCE);
            for trust in [None, Some(MARK)] {
                let found = Found::new(marked.entry(&value).unwrap(), trust).unwrap();
                assert_eq!(found.version(), marked.version());
                assert_eq!(expected(&found.version(), trust).unwrap(), marked.bytes());
                assert_eq!(found.into_value().to_wire().unwrap(), value.to_wire().unwrap());
            }
            assert!(Found::new(marked.entry(&value).unwrap(), Some(OTHER)).is_none());
            assert!(expected(&marked.version(), Some(OTHER)).is_none());
        }
    }

    #[test]
    fn what_this_store_did_not_write_is_not_found() {
        let entry = Head::new(None, NONCE).entry(&Value::Int(5)).unwrap();
        for length in 0..entry.len() {
            assert!(Found::new(entry.slice(..length), None).is_none(), "{length} bytes");
        }
        let counter = |digits: &str| {
            let mut bytes = BytesMut::from(&Head::new(None, NONCE).of_counter()[..]);
            bytes.put_slice(digits.as_bytes());
            Found::new(bytes.freeze(), None).is_some()
        };
        assert!(counter("7") && counter("-7"));
        for digits in ["", "-", "+7", "07", "-0", " 7", "7 ", "9223372036854775808", "x"] {
            assert!(!counter(digits), "{digits:?}");
        }
        for bytes in [
            &b""[..],
            b"5",
            b"bhello",
            b"\xFE",
            b"\xFE\x01",
            b"\xFE\x03twelve bytesb",
            b"\xFE\x01twelve bytesx",
        ] {
            assert!(Found::new(Bytes::copy_from_slice(bytes), None).is_none(), "{bytes:?}");
        }
    }
}
