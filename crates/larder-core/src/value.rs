//! What a store keeps under a key.

use bytes::{Buf as _, Bytes};

use crate::{Cacheable, EntryMeta, Error, ErrorKind, Object, Result, Timestamp, envelope};

/// What a store keeps under a key: bytes, an object, or a counter.
///
/// A store that keeps values in process keeps them as they are. A store that keeps bytes calls
/// [`to_wire`](Value::to_wire) and [`from_wire`](Value::from_wire).
///
/// ```
/// use larder_core::Value;
///
/// let stored = Value::Int(5).to_wire()?;
/// assert!(matches!(Value::from_wire(stored)?, Value::Int(5)));
/// # Ok::<(), larder_core::Error>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Value {
    /// Bytes, whatever they mean.
    Bytes(Bytes),
    /// A typed entry.
    Object(Object),
    /// A counter: what [`increment`](crate::CacheStore::increment) works on.
    Int(i64),
}

/// First byte of the wire form.
const BYTES: u8 = b'b';
const INT: u8 = b'i';

impl Value {
    /// One form for stores that keep bytes: a tag byte, then the bytes, the encoded object, or the counter as eight
    /// bytes. A store with counters of its own kind writes those itself.
    ///
    /// Fails where an object cannot be encoded ([`Encode`](ErrorKind::Encode)) or is over its cache's limit
    /// ([`TooLarge`](ErrorKind::TooLarge)).
    ///
    /// ```
    /// use larder_core::Value;
    /// assert_eq!(Value::Bytes("hi".into()).to_wire()?, "bhi");
    /// # Ok::<(), larder_core::Error>(())
    /// ```
    pub fn to_wire(&self) -> Result<Bytes> {
        let mut out = Vec::new();
        match self {
            Self::Bytes(bytes) => {
                out.reserve_exact(1 + bytes.len());
                out.push(BYTES);
                out.extend_from_slice(bytes);
            }
            Self::Object(object) => {
                out.push(BYTES);
                object.encode_into(&mut out)?;
            }
            Self::Int(int) => {
                out.push(INT);
                out.extend_from_slice(&int.to_be_bytes());
            }
        }
        Ok(out.into())
    }

    /// Reads what [`to_wire`](Value::to_wire) wrote; an object comes back as bytes. Anything else is an error of kind
    /// [`Corrupt`](ErrorKind::Corrupt).
    ///
    /// ```
    /// use larder_core::Value;
    /// assert!(matches!(Value::from_wire("bhi".into())?, Value::Bytes(bytes) if bytes == "hi"));
    /// assert!(Value::from_wire("?".into()).is_err());
    /// # Ok::<(), larder_core::Error>(())
    /// ```
    #[inline]
    pub fn from_wire(mut wire: Bytes) -> Result<Self> {
        let corrupt = || Error::new(ErrorKind::Corrupt, "not the wire form of a value");
        let tag = *wire.first().ok_or_else(corrupt)?;
        wire.advance(1);
        match tag {
            BYTES => Ok(Self::Bytes(wire)),
            INT => Ok(Self::Int(i64::from_be_bytes(wire.as_ref().try_into().map_err(|_| corrupt())?))),
            _ => Err(corrupt()),
        }
    }

    /// When the entry in it expires by its own account, [`Timestamp::MAX`] for never. `None` for a counter, and for bytes
    /// that are not an entry.
    ///
    /// ```
    /// use larder_core::{EntryMeta, Expiry, Object, Timestamp, Value};
    /// let object = Object::new((), EntryMeta::new(Timestamp::from_nanos(1), Expiry::Never));
    /// assert_eq!(Value::Bytes(object.encode()?).expires_at(), Some(Timestamp::MAX));
    /// assert_eq!(Value::Object(object).expires_at(), Some(Timestamp::MAX));
    /// assert_eq!(Value::Int(1).expires_at(), None);
    /// # Ok::<(), larder_core::Error>(())
    /// ```
    pub fn expires_at(&self) -> Option<Timestamp> {
        match self {
            Self::Object(object) => Some(object.meta().expires_at()),
            Self::Bytes(bytes) => envelope::expires_at(bytes),
            Self::Int(_) => None,
        }
    }

    /// What the value weighs against a byte bound: see [`Object::weight`]. Bytes weigh their length, a counter eight.
    ///
    /// ```
    /// use larder_core::Value;
    /// assert_eq!(Value::Bytes("12345".into()).weight()?, 5);
    /// # Ok::<(), larder_core::Error>(())
    /// ```
    pub fn weight(&self) -> Result<usize> {
        match self {
            Self::Bytes(bytes) => Ok(bytes.len()),
            Self::Object(object) => object.weight(),
            Self::Int(_) => Ok(size_of::<i64>()),
        }
    }

    /// Opens the value as an entry: its metadata, and how to read it.
    #[inline]
    pub(crate) fn open(self) -> Result<Opened> {
        match self {
            Self::Object(object) => Ok(Opened::Object(object)),
            Self::Int(int) => Ok(Opened::Int(int)),
            Self::Bytes(bytes) => {
                let envelope = envelope::decode(bytes)?;
                Ok(match envelope.kind {
                    envelope::Kind::Value => Opened::Envelope(envelope),
                    envelope::Kind::LeaseOnly => Opened::LeaseOnly(envelope.meta),
                })
            }
        }
    }
}

/// A value whose header has been read.
#[derive(Clone)]
pub(crate) enum Opened {
    Object(Object),
    Envelope(envelope::Envelope),
    Int(i64),
    /// No value: someone loads it.
    LeaseOnly(EntryMeta),
}

impl Opened {
    /// The metadata; a counter has none, its store alone knows when it ends.
    pub(crate) fn meta(&self) -> Option<&EntryMeta> {
        match self {
            Self::Object(object) => Some(object.meta()),
            Self::Envelope(envelope) => Some(&envelope.meta),
            Self::LeaseOnly(meta) => Some(meta),
            Self::Int(_) => None,
        }
    }

    /// The same under other metadata. A counter stays as it is.
    pub(crate) fn with_meta(&self, meta: EntryMeta) -> Self {
        match self {
            Self::Object(object) => Self::Object(object.with_meta(meta)),
            Self::Envelope(entry) => Self::Envelope(envelope::Envelope { meta, ..entry.clone() }),
            Self::LeaseOnly(_) => Self::LeaseOnly(meta),
            Self::Int(int) => Self::Int(*int),
        }
    }

    /// As a store is given it.
    pub(crate) fn into_value(self) -> Result<Value> {
        let (kind, codec, meta, payload) = match self {
            Self::Object(object) => return Ok(Value::Object(object)),
            Self::Int(int) => return Ok(Value::Int(int)),
            Self::Envelope(entry) => (entry.kind, entry.codec, entry.meta, entry.payload),
            Self::LeaseOnly(meta) => (envelope::Kind::LeaseOnly, crate::Codec::default(), meta, Bytes::new()),
        };
        let mut out = Vec::new();
        envelope::encode(kind, codec, &meta, &mut out, |out| {
            out.extend_from_slice(&payload);
            Ok(())
        })?;
        Ok(Value::Bytes(out.into()))
    }

    #[inline]
    pub(crate) fn into_typed<T: Cacheable>(self) -> Result<std::sync::Arc<T>> {
        match self {
            Self::Object(object) => object.into_typed(),
            Self::Envelope(envelope) => T::decode(envelope.codec, envelope.payload).map(std::sync::Arc::new),
            Self::Int(int) => T::from_int(int).map(std::sync::Arc::new),
            Self::LeaseOnly(_) => Err(Error::new(ErrorKind::Corrupt, "an entry without a value")),
        }
    }
}
