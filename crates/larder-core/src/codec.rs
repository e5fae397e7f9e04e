//! Codecs: how a value becomes bytes where a store keeps bytes.

use bytes::Bytes;
use serde::{
    Deserializer as _, Serialize,
    de::{DeserializeOwned, Visitor},
};

use crate::{Error, ErrorKind, Result};

/// How a value becomes bytes. Which codec wrote an entry stands in the entry, so changing a cache's codec
/// leaves old entries readable.
///
/// Both are self-describing: fields are named, so a struct that gained a field with a `#[serde(default)]` (or an
/// `Option`) or lost one is read right across a rolling deploy; any other change is a miss, never garbage.
///
/// Neither tells apart what serde writes alike: from a store of bytes `Some(None)` and `Some(())` come back as `None`, and with
/// JSON so does a `Some` of a float that is no number. Wrap the inner one in a struct with a name for it where that matters.
///
/// ```
/// use larder_core::Codec;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize)]
/// struct Old { id: u64, nick: String }
/// #[derive(Deserialize)]
/// struct New { id: u64, email: Option<String> }
///
/// let bytes = Codec::MessagePack.encode(&Old { id: 7, nick: "ada".into() })?;
/// let new: New = Codec::MessagePack.decode(&bytes)?;
/// assert_eq!((new.id, new.email), (7, None));
/// # Ok::<(), larder_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Codec {
    /// [MessagePack](https://msgpack.org) with named fields: compact, and the default.
    #[default]
    MessagePack,
    /// JSON: readable in the store by people and other programs.
    Json,
}

impl Codec {
    /// How deep values may nest when read: input from a store is hostile until parsed, and each level costs stack.
    const MAX_DEPTH: usize = 128;

    /// Encodes a value. A type that serde cannot encode is an error of kind [`Encode`](ErrorKind::Encode).
    ///
    /// ```
    /// assert_eq!(larder_core::Codec::Json.encode(&[1, 2])?, "[1,2]");
    /// # Ok::<(), larder_core::Error>(())
    /// ```
    pub fn encode<T: Serialize + ?Sized>(self, value: &T) -> Result<Bytes> {
        let mut out = Vec::new();
        self.encode_into(value, &mut out)?;
        Ok(out.into())
    }

    pub(crate) fn encode_into<T: Serialize + ?Sized>(self, value: &T, out: &mut Vec<u8>) -> Result<()> {
        match self {
            Self::MessagePack => rmp_serde::encode::write_named(out, value).map_err(encode_error),
            Self::Json => serde_json::to_writer(out, value).map_err(encode_error),
        }
    }

    /// Decodes a value that ends where the bytes end. Anything else is an error of kind
    /// [`Corrupt`](ErrorKind::Corrupt).
    ///
    /// ```
    /// use larder_core::Codec;
    /// assert_eq!(Codec::Json.decode::<Vec<u8>>(b"[1,2]")?, [1, 2]);
    /// assert!(Codec::Json.decode::<Vec<u8>>(b"[1,2] and more").is_err());
    /// # Ok::<(), larder_core::Error>(())
    /// ```
    pub fn decode<T: DeserializeOwned>(self, bytes: &[u8]) -> Result<T> {
        match self {
            Self::MessagePack => {
                let mut reader = rmp_serde::Deserializer::from_read_ref(bytes);
                reader.set_max_depth(Self::MAX_DEPTH);
                let value = T::deserialize(&mut reader).map_err(decode_error)?;
                // The reader does not tell how much is left; that there is no further value to read does.
                match reader.deserialize_any(Nothing) {
                    Err(rmp_serde::decode::Error::InvalidMarkerRead(end))
                        if end.kind() == std::io::ErrorKind::UnexpectedEof =>
                    {
                        Ok(value)
                    }
                    _ => Err(decode_error("bytes after the value")),
                }
            }
            Self::Json => serde_json::from_slice(bytes).map_err(decode_error),
        }
    }

    pub(crate) const fn id(self) -> u8 {
        match self {
            Self::MessagePack => 1,
            Self::Json => 2,
        }
    }

    pub(crate) const fn from_id(id: u8) -> Option<Self> {
        match id {
            1 => Some(Self::MessagePack),
            2 => Some(Self::Json),
            _ => None,
        }
    }
}

/// Takes no value of any kind: only the end of the bytes is the end.
struct Nothing;

impl Visitor<'_> for Nothing {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the end of the entry")
    }
}

fn encode_error(source: impl Into<crate::BoxError>) -> Error {
    Error::new(ErrorKind::Encode, "the value could not be encoded").with_source(source)
}

fn decode_error(source: impl Into<crate::BoxError>) -> Error {
    Error::new(ErrorKind::Corrupt, "the entry does not decode as the type asked for").with_source(source)
}

/// What can be cached: every serde type that is `Send + Sync + 'static`.
///
/// Implement it by hand only for a type with a wire form of its own (and no serde), such as a whole HTTP response whose
/// body should not be copied.
///
/// ```
/// use bytes::Bytes;
/// use larder_core::{Cacheable, Codec, Result};
///
/// struct Page(Bytes);
///
/// impl Cacheable for Page {
///     fn encode(&self, _codec: Codec, out: &mut Vec<u8>) -> Result<()> {
///         out.extend_from_slice(&self.0);
///         Ok(())
///     }
///     fn decode(_codec: Codec, payload: Bytes) -> Result<Self> {
///         Ok(Self(payload)) // a slice of what the store returned, not a copy
///     }
///     fn weight(&self) -> Option<usize> {
///         Some(self.0.len())
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be cached",
    note = "derive `serde::Serialize` and `serde::Deserialize` for it; it must also be `Send + Sync + 'static`"
)]
pub trait Cacheable: Sized + Send + Sync + 'static {
    /// Appends the encoded value to `out`.
    ///
    /// ```
    /// use larder_core::{Cacheable, Codec};
    /// let mut out = Vec::new();
    /// "hi".to_owned().encode(Codec::Json, &mut out)?;
    /// assert_eq!(out, b"\"hi\"");
    /// # Ok::<(), larder_core::Error>(())
    /// ```
    fn encode(&self, codec: Codec, out: &mut Vec<u8>) -> Result<()>;

    /// Reads a value back. The bytes are hostile until parsed: return [`Corrupt`](ErrorKind::Corrupt), never panic.
    ///
    /// ```
    /// use larder_core::{Cacheable, Codec};
    /// assert_eq!(String::decode(Codec::Json, "\"hi\"".into())?, "hi");
    /// # Ok::<(), larder_core::Error>(())
    /// ```
    fn decode(codec: Codec, payload: Bytes) -> Result<Self>;

    /// The value as a counter, so that `set` then `increment` works. Integers that fit an `i64` are.
    ///
    /// ```
    /// use larder_core::Cacheable;
    /// assert_eq!(5_u32.as_int(), Some(5));
    /// assert_eq!("5".to_owned().as_int(), None);
    /// ```
    fn as_int(&self) -> Option<i64> {
        None
    }

    /// Reads a counter as this type; [`WrongType`](ErrorKind::WrongType) where it is not a number of fitting size.
    ///
    /// ```
    /// use larder_core::Cacheable;
    /// assert_eq!(u8::from_int(5)?, 5);
    /// assert!(u8::from_int(-1).is_err());
    /// # Ok::<(), larder_core::Error>(())
    /// ```
    fn from_int(int: i64) -> Result<Self> {
        let _ = int;
        Err(Error::new(ErrorKind::WrongType, "the entry is a counter"))
    }

    /// Whether the value is `None`, for which a cache may have a timeout of
    /// [its own](crate::EntryOptions::none_timeout). An `Option` is, and what serializes as one.
    ///
    /// ```
    /// use larder_core::Cacheable;
    /// assert!(None::<u8>.is_none());
    /// assert!(!Cacheable::is_none(&Some(5_u8)));
    /// assert!(!Cacheable::is_none(&()));
    /// ```
    fn is_none(&self) -> bool {
        false
    }

    /// What the value weighs against a byte bound. `None` (the default): its encoded size, found by encoding it.
    ///
    /// ```
    /// use larder_core::Cacheable;
    /// assert_eq!(5_u32.weight(), None);
    /// ```
    fn weight(&self) -> Option<usize> {
        None
    }
}

impl<T> Cacheable for T
where
    T: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    fn encode(&self, codec: Codec, out: &mut Vec<u8>) -> Result<()> {
        codec.encode_into(self, out)
    }

    fn decode(codec: Codec, payload: Bytes) -> Result<Self> {
        codec.decode(&payload)
    }

    fn as_int(&self) -> Option<i64> {
        let value: &dyn std::any::Any = self;
        macro_rules! integers {
            ($($int:ty),*) => {
                $(if let Some(int) = value.downcast_ref::<$int>() { return i64::try_from(*int).ok(); })*
            };
        }
        integers!(i64, i32, u32, u64, usize, isize, u16, i16, u8, i8, u128, i128);
        None
    }

    fn is_none(&self) -> bool {
        crate::negative::is_none(self)
    }

    fn from_int(int: i64) -> Result<Self> {
        use serde::de::{IntoDeserializer, value::Error as ValueError};
        Self::deserialize(IntoDeserializer::<ValueError>::into_deserializer(int)).map_err(|error| {
            Error::new(ErrorKind::WrongType, "the entry is a counter, which does not fit the type asked for")
                .with_source(error)
        })
    }
}
