//! Namespaces: leading components of a key.

use std::{fmt, sync::Arc};

use crate::{Error, ErrorKind, Result, key::encoding};

/// A path of names that keys start with: `clear`, `keys` and child caches work on one.
///
/// Names may hold any text but must not be empty. The whole path, as encoded, is at most
/// [`Namespace::MAX_LEN`] bytes.
///
/// ```
/// use larder_core::{Key, Namespace};
///
/// let carts = Namespace::root().child("shop")?.child("carts")?;
/// assert_eq!(carts.as_str(), "1/shop/carts/");
/// assert!(carts.contains(&Key::new(&carts, "42")?));
/// assert!(!carts.contains(&Key::new(&Namespace::root(), "shop/carts/42")?));
/// # Ok::<(), larder_core::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Namespace(
    /// The path and the terminator that stands between it and a key's text.
    Arc<str>,
);

impl Namespace {
    /// The longest path, in bytes as encoded.
    pub const MAX_LEN: usize = 96;

    /// The namespace of all keys.
    ///
    /// ```
    /// assert!(larder_core::Namespace::root().is_root());
    /// ```
    pub fn root() -> Self {
        Self::of_path(encoding::VERSION)
    }

    /// The namespace `name` within this one. An empty name, or a path that gets too long, is an error of kind
    /// [`InvalidKey`](ErrorKind::InvalidKey).
    ///
    /// ```
    /// use larder_core::Namespace;
    /// let odd = Namespace::root().child("naïve/*")?;
    /// assert_eq!(odd.as_str(), "1/na%C3%AFve%2F%2A/");
    /// assert!(Namespace::root().child("").is_err());
    /// # Ok::<(), larder_core::Error>(())
    /// ```
    pub fn child(&self, name: &str) -> Result<Self> {
        if name.is_empty() {
            return Err(Error::new(
                ErrorKind::InvalidKey,
                "a namespace needs a name of at least one character",
            ));
        }
        let mut path = String::from(self.as_str());
        path.extend(encoding::component(name));
        path.push('/');
        let len = path.len() - encoding::VERSION.len();
        if len > Self::MAX_LEN {
            return Err(Error::new(
                ErrorKind::InvalidKey,
                format!(
                    "a namespace path of {len} bytes as encoded, the limit is {}: use shorter names",
                    Self::MAX_LEN
                ),
            ));
        }
        Ok(Self::of_path(&path))
    }

    /// The namespace with this encoded path, as [`as_str`](Self::as_str) gives it.
    pub(crate) fn of_path(path: &str) -> Self {
        Self(format!("{path}:").into())
    }

    /// What a key in this namespace starts with, where its text is not hashed.
    #[inline]
    pub(crate) fn key_start(&self) -> &str {
        &self.0
    }

    /// The encoded path: every key in this namespace or in a child of it starts with exactly this, and no other key does.
    ///
    /// ```
    /// use larder_core::Namespace;
    /// assert_eq!(Namespace::root().child("users")?.as_str(), "1/users/");
    /// # Ok::<(), larder_core::Error>(())
    /// ```
    #[inline]
    pub fn as_str(&self) -> &str {
        &self.0[..self.0.len() - 1]
    }

    /// Whether `key` is in this namespace or in a child of it.
    ///
    /// ```
    /// use larder_core::{Key, Namespace};
    /// let shop = Namespace::root().child("shop")?;
    /// let deep = Key::new(&shop.child("carts")?, "42")?;
    /// assert!(shop.contains(&deep));
    /// # Ok::<(), larder_core::Error>(())
    /// ```
    pub fn contains(&self, key: &crate::Key) -> bool {
        key.as_str().starts_with(self.as_str())
    }

    /// How many components its path has.
    pub(crate) fn depth(&self) -> usize {
        encoding::depth(self.as_str())
    }

    /// Whether it is the one of Larder's own keys.
    pub(crate) fn is_reserved(&self) -> bool {
        self.as_str() == encoding::RESERVED
    }

    /// Whether this is the namespace of all keys.
    ///
    /// ```
    /// use larder_core::Namespace;
    /// assert!(!Namespace::root().child("users")?.is_root());
    /// # Ok::<(), larder_core::Error>(())
    /// ```
    pub fn is_root(&self) -> bool {
        self.as_str() == encoding::VERSION
    }
}

impl fmt::Debug for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Namespace({})", self.as_str())
    }
}
