//! The key of a request: every part with its length, hashed.

use arrayvec::ArrayString;

/// What kind of part follows: one byte, so that a part of one kind is never read as another.
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
pub(crate) enum Field {
    Scheme = 1,
    Host = 2,
    Path = 3,
    Query = 4,
    OriginalPath = 5,
    Header = 6,
    HeaderLine = 7,
    Cookies = 8,
    Part = 9,
    Only = 10,
    OriginalQuery = 11,
}

/// The key as text: 192 bits in hexadecimal, which with a short namespace costs a [`Key`](larder_core::Key) no
/// allocation.
pub(crate) type KeyText = ArrayString<HEX>;

const HEX: usize = 48;

/// Collects the parts of a key.
#[derive(Debug)]
pub(crate) struct KeyHasher(blake3::Hasher);

impl KeyHasher {
    /// What every key starts with: its version, and that it is of a GET, which HEAD shares.
    const START: &'static [u8] = b"larder-tower 1 G";

    pub(crate) fn new() -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(Self::START);
        Self(hasher)
    }

    pub(crate) fn field(&mut self, field: Field, bytes: &[u8]) {
        let len = u32::try_from(bytes.len()).expect("parts are bounded far below 4 GiB");
        let mut start = [0; 5];
        start[0] = field as u8;
        start[1..].copy_from_slice(&len.to_le_bytes());
        self.0.update(&start).update(bytes);
    }

    pub(crate) fn finish(&self) -> KeyText {
        let hex = self.0.finalize().to_hex();
        ArrayString::from(&hex[..HEX]).expect("48 digits fit 48")
    }
}

/// What a key function makes of a request: a part of the key, nothing, or "go past the cache".
///
/// ```
/// use larder_tower::KeyPart;
///
/// fn tenant(head: &larder_tower::RequestHead) -> KeyPart {
///     match head.headers.get("x-tenant").map(|tenant| tenant.to_str()) {
///         None => KeyPart::absent(),
///         Some(Ok(tenant)) => KeyPart::new(tenant),
///         Some(Err(_)) => KeyPart::bypass(),
///     }
/// }
/// let head = http::Request::new(()).into_parts().0;
/// assert_eq!(tenant(&head), KeyPart::absent());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPart(Repr);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Repr {
    Absent,
    Bytes(Vec<u8>),
    Bypass,
}

impl KeyPart {
    /// The longest part, in bytes: a request with a longer one goes past the cache.
    pub const MAX_LEN: usize = 1024;

    /// These bytes are part of the key.
    ///
    /// ```
    /// assert_ne!(larder_tower::KeyPart::new(""), larder_tower::KeyPart::absent());
    /// ```
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(Repr::Bytes(bytes.into()))
    }

    /// The request has nothing of this kind, which is another key than an empty text.
    ///
    /// ```
    /// assert_eq!(larder_tower::KeyPart::absent(), larder_tower::KeyPart::absent());
    /// ```
    pub const fn absent() -> Self {
        Self(Repr::Absent)
    }

    /// The request has no key: it goes past the cache, with the reason [`KeyPart`](crate::Reason::KeyPart).
    ///
    /// ```
    /// let part = larder_tower::KeyPart::bypass();
    /// assert_ne!(part, larder_tower::KeyPart::absent());
    /// ```
    pub const fn bypass() -> Self {
        Self(Repr::Bypass)
    }

    /// Adds the part to a key. The two forms of one field have different lengths only by their first byte.
    pub(crate) fn add_to(self, key: &mut KeyHasher, field: Field) -> Result<(), crate::Reason> {
        match self.0 {
            Repr::Bypass => Err(crate::Reason::KeyPart),
            Repr::Bytes(bytes) if bytes.len() > Self::MAX_LEN => Err(crate::Reason::KeyTooLarge),
            Repr::Absent => {
                key.field(field, b"-");
                Ok(())
            }
            Repr::Bytes(mut bytes) => {
                bytes.insert(0, b'+');
                key.field(field, &bytes);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hash(parts: &[(bool, Vec<u8>)]) -> KeyText {
        let mut key = KeyHasher::new();
        for (host, bytes) in parts {
            key.field(if *host { Field::Host } else { Field::Path }, bytes);
        }
        key.finish()
    }

    proptest! {
        #[test]
        fn different_parts_are_different_keys(
            one in proptest::collection::vec(any::<(bool, Vec<u8>)>(), 0..4),
            two in proptest::collection::vec(any::<(bool, Vec<u8>)>(), 0..4),
        ) {
            prop_assert_eq!(one == two, hash(&one) == hash(&two));
        }
    }

    #[test]
    fn absent_is_not_empty_and_a_bypass_is_no_key() {
        let hash = |part: KeyPart| {
            let mut key = KeyHasher::new();
            part.add_to(&mut key, Field::Part).map(|()| key.finish())
        };
        assert_ne!(hash(KeyPart::absent()), hash(KeyPart::new("")));
        assert_ne!(hash(KeyPart::absent()), hash(KeyPart::new("-")));
        assert_eq!(hash(KeyPart::bypass()), Err(crate::Reason::KeyPart));
        assert_eq!(hash(KeyPart::new(vec![0; KeyPart::MAX_LEN + 1])), Err(crate::Reason::KeyTooLarge));
    }
}
