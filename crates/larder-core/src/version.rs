//! The mark of one state of one entry.

use std::fmt;

use crate::{Error, ErrorKind, Result};

/// An opaque mark of one state of one entry, as [`get_versioned`](crate::CacheStore::get_versioned) returns it
/// and [`replace`](crate::CacheStore::replace) compares it.
///
/// A store never gives two states of one key the same version: not after a delete, an eviction, a write of equal
/// bytes, or a restart. At most [`Version::MAX_LEN`] bytes.
///
/// ```
/// use larder_core::Version;
///
/// assert_eq!(Version::from(7), Version::from(7));
/// assert_ne!(Version::from(7), Version::from(8));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Version {
    bytes: [u8; Self::MAX_LEN],
    len: u8,
}

impl Version {
    /// The longest version a store may use, in bytes.
    pub const MAX_LEN: usize = 32;

    /// A version of a store's own bytes. Over [`Version::MAX_LEN`] bytes is an error of kind
    /// [`TooLarge`](ErrorKind::TooLarge).
    ///
    /// ```
    /// use larder_core::Version;
    /// assert_eq!(Version::new(b"etag-1")?.as_bytes(), b"etag-1");
    /// assert!(Version::new(&[0; 33]).is_err());
    /// # Ok::<(), larder_core::Error>(())
    /// ```
    pub fn new(bytes: &[u8]) -> Result<Self> {
        let mut version = Self { bytes: [0; Self::MAX_LEN], len: 0 };
        let Some(room) = version.bytes.get_mut(..bytes.len()) else {
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!("a version of {} bytes, the limit is {}", bytes.len(), Self::MAX_LEN),
            ));
        };
        room.copy_from_slice(bytes);
        version.len = u8::try_from(bytes.len()).expect("checked against MAX_LEN");
        Ok(version)
    }

    /// The bytes the store made it from.
    ///
    /// ```
    /// assert_eq!(larder_core::Version::from(1).as_bytes(), 1_u64.to_be_bytes());
    /// ```
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

/// For stores that number their versions.
impl From<u64> for Version {
    fn from(number: u64) -> Self {
        Self::new(&number.to_be_bytes()).expect("eight bytes are under the limit")
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Version(")?;
        for byte in self.as_bytes() {
            write!(f, "{byte:02x}")?;
        }
        f.write_str(")")
    }
}
