//! One opaque error with a kind, a retry hint, and its source kept.

use std::{error::Error as StdError, fmt, sync::Arc};

/// A boxed error of any type, as loaders and stores hand them over.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// The result of every fallible operation in Larder.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, in the words a caller can act on. A miss is none of these.
///
/// ```
/// use larder_core::{Error, ErrorKind};
///
/// let error = Error::new(ErrorKind::Unavailable, "connection refused");
/// assert_eq!(error.kind(), ErrorKind::Unavailable);
/// assert!(error.is_retryable());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The store cannot be reached, or is closed. The operation did not take effect: one whose connection was lost after it was
    /// sent is [`Ambiguous`](ErrorKind::Ambiguous).
    Unavailable,
    /// The operation did not end within its time. It may still take effect, and is harmless to repeat.
    Timeout,
    /// Too much work is waiting already; nothing was sent.
    Overloaded,
    /// The operation may have run and may still appear. Repeat it only if it is idempotent.
    Ambiguous,
    /// The value or the key is over a limit; nothing was stored.
    TooLarge,
    /// The entry holds another type than the operation needs.
    WrongType,
    /// A counter would leave the range of `i64`; it is unchanged.
    Overflow,
    /// The key or namespace breaks a rule of [`Key`](crate::Key).
    InvalidKey,
    /// The store cannot do this, and says so in its [`Capabilities`](crate::Capabilities).
    Unsupported,
    /// What the store returned is not what was stored.
    Corrupt,
    /// A value could not be encoded.
    Encode,
    /// A setting is unknown, contradictory or out of range, or the surroundings lack something (a runtime).
    Config,
    /// The caller's own loader failed, panicked or ran out of time; its error is the source.
    Load,
}

impl ErrorKind {
    /// The kind as a short, stable word for logs and metric labels.
    ///
    /// ```
    /// assert_eq!(larder_core::ErrorKind::TooLarge.as_str(), "too_large");
    /// ```
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unavailable => "unavailable",
            Self::Timeout => "timeout",
            Self::Overloaded => "overloaded",
            Self::Ambiguous => "ambiguous",
            Self::TooLarge => "too_large",
            Self::WrongType => "wrong_type",
            Self::Overflow => "overflow",
            Self::InvalidKey => "invalid_key",
            Self::Unsupported => "unsupported",
            Self::Corrupt => "corrupt",
            Self::Encode => "encode",
            Self::Config => "config",
            Self::Load => "load",
        }
    }
}

/// The error of every operation: a [kind](ErrorKind), a sentence, and the cause.
///
/// Cloning is cheap (a reference count), so that every caller waiting on one load gets the same error. The
/// cause stays reachable by [`source`](StdError::source) and [`downcast_ref`](Error::downcast_ref). Messages
/// name settings and limits, never keys, values or passwords.
///
/// ```
/// use std::{error::Error as _, io};
/// use larder_core::{Error, ErrorKind};
///
/// let cause = io::Error::new(io::ErrorKind::ConnectionReset, "peer went away");
/// let error = Error::new(ErrorKind::Unavailable, "GET failed").with_source(cause);
/// assert_eq!(error.to_string(), "GET failed: peer went away");
/// assert!(error.source().is_some());
/// assert!(error.downcast_ref::<io::Error>().is_some());
/// ```
#[derive(Clone)]
pub struct Error(Arc<Repr>);

struct Repr {
    kind: ErrorKind,
    message: String,
    source: Option<BoxError>,
    retryable: bool,
}

impl Error {
    /// An error of a kind, with a sentence that says what happened and, where there is one, the remedy.
    ///
    /// Whether it [is retryable](Error::is_retryable) follows from the kind.
    ///
    /// ```
    /// use larder_core::{Error, ErrorKind};
    /// let error = Error::new(ErrorKind::TooLarge, "value of 2000000 bytes, the limit is 1048576");
    /// assert!(!error.is_retryable());
    /// ```
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        let retryable = matches!(kind, ErrorKind::Unavailable | ErrorKind::Timeout | ErrorKind::Overloaded);
        Self(Arc::new(Repr { kind, message: message.into(), source: None, retryable }))
    }

    /// Keeps the cause.
    ///
    /// ```
    /// use larder_core::{Error, ErrorKind};
    /// let error = Error::new(ErrorKind::Corrupt, "entry").with_source("12 bytes short");
    /// assert_eq!(error.to_string(), "entry: 12 bytes short");
    /// ```
    #[must_use]
    pub fn with_source(self, source: impl Into<BoxError>) -> Self {
        let (kind, message, retryable) = (self.0.kind, self.0.message.clone(), self.0.retryable);
        Self(Arc::new(Repr { kind, message, source: Some(source.into()), retryable }))
    }

    /// Overrides the hint that the kind gives.
    ///
    /// ```
    /// use larder_core::{Error, ErrorKind};
    /// let error = Error::new(ErrorKind::Unavailable, "wrong password").with_retryable(false);
    /// assert!(!error.is_retryable());
    /// ```
    #[must_use]
    pub fn with_retryable(self, retryable: bool) -> Self {
        match Arc::try_unwrap(self.0) {
            Ok(repr) => Self(Arc::new(Repr { retryable, ..repr })),
            Err(shared) => {
                let (kind, message) = (shared.kind, shared.message.clone());
                Self(Arc::new(Repr { kind, message, source: Some(Box::new(Self(shared))), retryable }))
            }
        }
    }

    /// The error a store returns from an operation it does not have.
    ///
    /// ```
    /// use larder_core::{Error, ErrorKind};
    /// assert_eq!(Error::unsupported("increment").kind(), ErrorKind::Unsupported);
    /// ```
    pub fn unsupported(operation: &str) -> Self {
        Self::new(ErrorKind::Unsupported, format!("this store does not support `{operation}`"))
    }

    /// What went wrong.
    ///
    /// ```
    /// use larder_core::{Error, ErrorKind};
    /// assert_eq!(Error::new(ErrorKind::Overflow, "counter").kind(), ErrorKind::Overflow);
    /// ```
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether the same call may succeed later without any change, and is safe to repeat.
    ///
    /// ```
    /// use larder_core::{Error, ErrorKind};
    /// assert!(Error::new(ErrorKind::Timeout, "GET").is_retryable());
    /// assert!(!Error::new(ErrorKind::Ambiguous, "INCR").is_retryable());
    /// ```
    pub fn is_retryable(&self) -> bool {
        self.0.retryable
    }

    /// The first error of type `E` in the chain of causes: how to get a loader's own error back.
    ///
    /// ```
    /// use larder_core::{Error, ErrorKind};
    ///
    /// #[derive(Debug)]
    /// struct NotFound(u64);
    /// # impl std::fmt::Display for NotFound {
    /// #     fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { write!(f, "no row {}", self.0) }
    /// # }
    /// impl std::error::Error for NotFound {}
    ///
    /// let error = Error::new(ErrorKind::Load, "the loader failed").with_source(NotFound(7));
    /// assert_eq!(error.downcast_ref::<NotFound>().unwrap().0, 7);
    /// ```
    pub fn downcast_ref<E: StdError + 'static>(&self) -> Option<&E> {
        let mut next: Option<&(dyn StdError + 'static)> = self.source();
        while let Some(error) = next {
            if let Some(found) = error.downcast_ref::<E>() {
                return Some(found);
            }
            next = error.source();
        }
        None
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        // A cause of our own type prints its causes itself.
        if let Some(source) = &self.0.source { write!(f, ": {source}") } else { Ok(()) }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("message", &self.0.message)
            .field("retryable", &self.0.retryable)
            .field("source", &self.0.source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}
