//! Objects: typed entries kept as they are, which can still become bytes.

use std::{
    any::{Any, TypeId},
    fmt,
    num::NonZeroU32,
    sync::Arc,
};

use bytes::Bytes;

use crate::{
    Cacheable, Codec, EntryMeta, Error, ErrorKind, Result,
    envelope::{self, Kind},
};

/// A typed entry: what an in-process store keeps instead of bytes.
///
/// Cloning copies a pointer to the value. Reading it as the type it was made of is a pointer copy too; reading it as another type
/// goes through its encoding, exactly as if the store kept bytes.
///
/// ```
/// use larder_core::{EntryMeta, Expiry, Object, Timestamp};
///
/// let meta = EntryMeta::new(Timestamp::from_nanos(1), Expiry::Never);
/// let object = Object::new("hello".to_owned(), meta);
/// assert_eq!(*object.read::<String>()?, "hello");
/// assert_eq!(object.read::<Box<str>>()?.len(), 5);
/// # Ok::<(), larder_core::Error>(())
/// ```
// The metadata lies beside the pointer, not behind another one: counting that one's references would cost every hit twice.
#[derive(Clone)]
pub struct Object {
    data: Arc<dyn Erased>,
    meta: EntryMeta,
    /// The largest encoded size that may leave this process, in bytes.
    limit: u32,
    /// As the cache's weigher declared it.
    declared_weight: Option<NonZeroU32>,
    codec: Codec,
}

/// What the type behind the pointer can do.
trait Erased: Any + Send + Sync {
    fn encode_erased(&self, codec: Codec, out: &mut Vec<u8>) -> Result<()>;
    fn weight_erased(&self) -> Option<usize>;
    fn type_name(&self) -> &'static str;
}

impl<T: Cacheable> Erased for T {
    fn encode_erased(&self, codec: Codec, out: &mut Vec<u8>) -> Result<()> {
        self.encode(codec, out)
    }

    fn weight_erased(&self) -> Option<usize> {
        self.weight()
    }

    fn type_name(&self) -> &'static str {
        std::any::type_name::<T>()
    }
}

impl Object {
    /// An entry of a value, with the default codec and no limit on its size.
    ///
    /// ```
    /// use larder_core::{EntryMeta, Expiry, Object, Timestamp};
    /// let object = Object::new(7_u64, EntryMeta::new(Timestamp::from_nanos(1), Expiry::Never));
    /// assert_eq!(object.meta().created(), Timestamp::from_nanos(1));
    /// ```
    pub fn new<T: Cacheable>(value: T, meta: EntryMeta) -> Self {
        Self::shared(Arc::new(value), meta, Codec::default(), u32::MAX, None)
    }

    pub(crate) fn shared<T: Cacheable>(
        value: Arc<T>,
        meta: EntryMeta,
        codec: Codec,
        limit: u32,
        declared_weight: Option<u32>,
    ) -> Self {
        let declared_weight = declared_weight.and_then(NonZeroU32::new);
        Self { data: value, meta, limit, declared_weight, codec }
    }

    /// The same value under other metadata.
    pub(crate) fn with_meta(&self, meta: EntryMeta) -> Self {
        Self { meta, ..self.clone() }
    }

    /// When it was stored, goes stale and expires.
    ///
    /// ```
    /// # use larder_core::{EntryMeta, Expiry, Object, Timestamp};
    /// let object = Object::new((), EntryMeta::new(Timestamp::from_nanos(1), Expiry::Never));
    /// assert_eq!(object.meta().expires_at(), Timestamp::MAX);
    /// ```
    #[inline]
    pub fn meta(&self) -> &EntryMeta {
        &self.meta
    }

    /// The value as `T`: a pointer copy if it is one, else by encoding and decoding it.
    ///
    /// ```
    /// # use larder_core::{EntryMeta, Expiry, Object, Timestamp};
    /// let object = Object::new(vec![1_u8], EntryMeta::new(Timestamp::from_nanos(1), Expiry::Never));
    /// assert_eq!(*object.read::<Vec<u8>>()?, [1]);
    /// assert!(object.read::<String>().is_err());
    /// # Ok::<(), larder_core::Error>(())
    /// ```
    #[inline]
    pub fn read<T: Cacheable>(&self) -> Result<Arc<T>> {
        self.clone().into_typed()
    }

    /// As [`read`](Object::read), without touching the reference count.
    #[inline]
    pub(crate) fn into_typed<T: Cacheable>(self) -> Result<Arc<T>> {
        let Self { data, codec, .. } = self;
        if (*data).type_id() == TypeId::of::<T>() {
            let data: Arc<dyn Any + Send + Sync> = data;
            return Ok(data.downcast().expect("of this type: asked just now"));
        }
        Self::transcoded(&*data, codec)
    }

    /// Apart from the pointer copy, so that this stays small enough to be part of its caller.
    #[cold]
    fn transcoded<T: Cacheable>(data: &dyn Erased, codec: Codec) -> Result<Arc<T>> {
        let mut payload = Vec::new();
        data.encode_erased(codec, &mut payload)?;
        T::decode(codec, payload.into()).map(Arc::new)
    }

    /// What the entry weighs, in bytes: as declared by the cache's weigher or the type, else its encoded size (which is
    /// found by encoding it: ask only where a byte bound is set).
    ///
    /// ```
    /// # use larder_core::{EntryMeta, Expiry, Object, Timestamp};
    /// let object = Object::new("x".repeat(1000), EntryMeta::new(Timestamp::from_nanos(1), Expiry::Never));
    /// assert!((1000..1100).contains(&object.weight()?));
    /// # Ok::<(), larder_core::Error>(())
    /// ```
    pub fn weight(&self) -> Result<usize> {
        let declared = self.declared_weight.map(|weight| weight.get() as usize);
        match declared.or_else(|| self.data.weight_erased()) {
            Some(weight) => Ok(weight),
            None => Ok(self.encode()?.len()),
        }
    }

    /// The wire form. A value over the cache's limit is an error of kind [`TooLarge`](ErrorKind::TooLarge).
    ///
    /// ```
    /// # use larder_core::{EntryMeta, Expiry, Object, Timestamp};
    /// let object = Object::new(1_u8, EntryMeta::new(Timestamp::from_nanos(1), Expiry::Never));
    /// assert_eq!(&object.encode()?[..2], b"LR");
    /// # Ok::<(), larder_core::Error>(())
    /// ```
    pub fn encode(&self) -> Result<Bytes> {
        let mut out = Vec::new();
        self.encode_into(&mut out)?;
        Ok(out.into())
    }

    pub(crate) fn encode_into(&self, out: &mut Vec<u8>) -> Result<()> {
        let Self { data, meta, codec, limit, .. } = self;
        let start = out.len();
        envelope::encode(Kind::Value, *codec, meta, out, |out| data.encode_erased(*codec, out))?;
        let len = out.len() - start;
        if len > *limit as usize {
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!(
                    "a value of {len} bytes as encoded, the limit of this cache is {limit}: raise `max_value_bytes`"
                ),
            ));
        }
        Ok(())
    }
}

/// Shows the type and the metadata, never the value.
impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Object")
            .field("type", &(*self.data).type_name())
            .field("meta", &self.meta)
            .finish_non_exhaustive()
    }
}
