//! Keys: validated once, safe for every store.

pub(crate) mod encoding;

use std::{
    borrow::Cow,
    fmt,
    hash::{Hash, Hasher},
    sync::Arc,
};

use arrayvec::ArrayString;

use crate::{Error, ErrorKind, Namespace, Result};

/// The name of an entry in a store: a namespace and a text, encoded so that every store can take it.
///
/// Any text makes a key: spaces, line ends, NUL, any Unicode, any length. The encoded form has at most
/// [`Key::MAX_LEN`] bytes of `A-Z a-z 0-9 - . ~ : / %`, so no glob, SQL or protocol character survives; two different
/// (namespace, text) pairs never share one. A text too long for that is replaced by its 256-bit blake3 hash; its
/// namespace stays readable, and [`text`](Key::text) is `None`.
///
/// ```
/// use larder_core::{Key, Namespace};
///
/// let users = Namespace::root().child("users")?;
/// let key = Key::new(&users, "ada lovelace")?;
/// assert_eq!(key.as_str(), "1/users/:ada%20lovelace");
/// assert_eq!(key.text().as_deref(), Some("ada lovelace"));
///
/// let long = Key::new(&users, &"x".repeat(10_000))?;
/// assert!(long.as_str().len() <= Key::MAX_LEN);
/// assert_eq!(long.text(), None);
/// # Ok::<(), larder_core::Error>(())
/// ```
#[derive(Clone)]
pub struct Key(Repr);

/// Most keys are short: those cost no allocation.
const INLINE: usize = 60;

#[derive(Clone)]
enum Repr {
    Inline(ArrayString<INLINE>),
    Shared(Arc<str>),
}

impl Key {
    /// The longest encoded key, in bytes. A store may put up to 50 bytes of its own before it.
    pub const MAX_LEN: usize = encoding::MAX_LEN;

    /// The key of `text` in `namespace`. Today every text is accepted; the error is for rules to come.
    ///
    /// ```
    /// use larder_core::{Key, Namespace};
    /// let key = Key::new(&Namespace::root(), "greeting")?;
    /// assert_eq!(key.as_str(), "1/:greeting");
    /// # Ok::<(), larder_core::Error>(())
    /// ```
    #[inline]
    pub fn new(namespace: &Namespace, text: &str) -> Result<Self> {
        Ok(Self::of(namespace, text))
    }

    /// Built where it is returned: on a hit, moving a key once more is a measurable part.
    pub(crate) fn of(namespace: &Namespace, text: &str) -> Self {
        let mut key = Self(Repr::Inline(ArrayString::new()));
        let start = namespace.key_start();
        match &mut key.0 {
            Repr::Inline(inline) if start.len() + text.len() <= INLINE && encoding::is_plain(text) => {
                inline.push_str(start);
                inline.push_str(text);
            }
            other => *other = Self::from_canonical(&encoding::encode(namespace.as_str(), text)).0,
        }
        key
    }

    /// Takes a key back from its encoded form, as a store lists it. Anything else than what [`as_str`](Key::as_str)
    /// gave once is an error of kind [`InvalidKey`](ErrorKind::InvalidKey).
    ///
    /// ```
    /// use larder_core::Key;
    /// assert_eq!(Key::parse("1/users/:ada")?.text().as_deref(), Some("ada"));
    /// assert!(Key::parse("session:8f3").is_err());
    /// assert!(Key::parse("1/:%61").is_err()); // not canonical: the encoder writes `a`
    /// # Ok::<(), larder_core::Error>(())
    /// ```
    pub fn parse(encoded: &str) -> Result<Self> {
        if encoding::is_canonical(encoded) {
            Ok(Self::from_canonical(encoded))
        } else {
            Err(Error::new(ErrorKind::InvalidKey, "not the encoded form of a Larder key"))
        }
    }

    /// One of Larder's own keys, which no text of a user can collide with.
    pub(crate) fn reserved(name: &str) -> Self {
        Self::from_canonical(&encoding::encode(encoding::RESERVED, name))
    }

    /// Takes one of Larder's own keys back from its encoded form.
    pub(crate) fn parse_reserved(encoded: &str) -> Option<Self> {
        let rest = encoded.strip_prefix(encoding::RESERVED)?;
        let is_one = encoded.len() <= encoding::MAX_LEN
            && rest.starts_with([':', '/'])
            && encoding::is_canonical(&format!("{}{rest}", encoding::VERSION));
        is_one.then(|| Self::from_canonical(encoded))
    }

    /// Whether it is one of Larder's own.
    pub(crate) fn is_reserved(&self) -> bool {
        self.as_str().starts_with(encoding::RESERVED)
    }

    fn from_canonical(encoded: &str) -> Self {
        Self(match ArrayString::from(encoded) {
            Ok(inline) => Repr::Inline(inline),
            Err(_) => Repr::Shared(Arc::from(encoded)),
        })
    }

    /// The encoded form: what a store files the entry under.
    ///
    /// ```
    /// use larder_core::{Key, Namespace};
    /// assert_eq!(Key::new(&Namespace::root(), "50%")?.as_str(), "1/:50%25");
    /// # Ok::<(), larder_core::Error>(())
    /// ```
    #[inline]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Repr::Inline(text) => text,
            Repr::Shared(text) => text,
        }
    }

    /// The encoded path of the namespace, as [`Namespace::as_str`] gives it.
    ///
    /// ```
    /// use larder_core::{Key, Namespace};
    /// let users = Namespace::root().child("users")?;
    /// assert_eq!(Key::new(&users, "ada")?.namespace(), users.as_str());
    /// # Ok::<(), larder_core::Error>(())
    /// ```
    pub fn namespace(&self) -> &str {
        self.parts().path
    }

    /// How many components its path has.
    pub(crate) fn depth(&self) -> usize {
        encoding::depth(self.namespace())
    }

    /// The first components of its path, as many as `depth` or all of them.
    pub(crate) fn ancestor(&self, depth: usize) -> &str {
        encoding::first(self.namespace(), depth)
    }

    /// The text it was made from; `None` where only its hash was kept.
    ///
    /// ```
    /// use larder_core::{Key, Namespace};
    /// assert_eq!(Key::new(&Namespace::root(), "ä")?.text().as_deref(), Some("ä"));
    /// # Ok::<(), larder_core::Error>(())
    /// ```
    pub fn text(&self) -> Option<Cow<'_, str>> {
        self.parts().text.and_then(encoding::decode)
    }

    fn parts(&self) -> encoding::Parts<'_> {
        encoding::split(self.as_str()).expect("a key is canonical")
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Key {}

/// Hashes as its encoded form does, so that maps of keys can be asked with a `&str`.
impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl std::borrow::Borrow<str> for Key {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// In the order of the encoded forms.
impl Ord for Key {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.as_str())
    }
}

/// What the operations of a [`Cache`](crate::Cache) take as a key: text, or a [`Key`] that [`keys`](crate::Cache::keys)
/// returned. Implement it for your own identifiers.
///
/// ```
/// use larder_core::{IntoKey, Key, Namespace, Result};
///
/// struct UserId(u64);
///
/// impl IntoKey for UserId {
///     fn into_key(self, namespace: &Namespace) -> Result<Key> {
///         Key::new(namespace, &self.0.to_string())
///     }
/// }
/// assert_eq!(UserId(7).into_key(&Namespace::root())?.as_str(), "1/:7");
/// # Ok::<(), larder_core::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be used as a cache key",
    note = "keys are text (`&str`, `String`) or a `larder::Key`; implement `IntoKey` for your own identifiers"
)]
pub trait IntoKey {
    /// The key in `namespace`.
    ///
    /// ```
    /// use larder_core::{IntoKey, Namespace};
    /// assert_eq!("a".into_key(&Namespace::root())?.as_str(), "1/:a");
    /// # Ok::<(), larder_core::Error>(())
    /// ```
    fn into_key(self, namespace: &Namespace) -> Result<Key>;
}

impl IntoKey for &str {
    #[inline]
    fn into_key(self, namespace: &Namespace) -> Result<Key> {
        Ok(Key::of(namespace, self))
    }
}

impl IntoKey for String {
    #[inline]
    fn into_key(self, namespace: &Namespace) -> Result<Key> {
        Ok(Key::of(namespace, &self))
    }
}

impl IntoKey for &String {
    #[inline]
    fn into_key(self, namespace: &Namespace) -> Result<Key> {
        Ok(Key::of(namespace, self))
    }
}

impl IntoKey for &&str {
    #[inline]
    fn into_key(self, namespace: &Namespace) -> Result<Key> {
        Ok(Key::of(namespace, self))
    }
}

/// A key keeps its own namespace, which must be the cache's or within it.
impl IntoKey for Key {
    fn into_key(self, namespace: &Namespace) -> Result<Key> {
        if namespace.contains(&self) {
            Ok(self)
        } else {
            Err(Error::new(ErrorKind::InvalidKey, format!("a key of another namespace than {namespace:?}")))
        }
    }
}

impl IntoKey for &Key {
    fn into_key(self, namespace: &Namespace) -> Result<Key> {
        self.clone().into_key(namespace)
    }
}
