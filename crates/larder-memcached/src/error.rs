//! From what happens on a connection to what a caller can act on. Nothing here names a key, a value or a password.

use std::{fmt, io, time::Duration};

use larder_core::{Error, ErrorKind};

/// How far an operation got that did not end well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Nothing of it was sent.
    Waiting,
    /// It only reads, or only has read so far.
    Read,
    /// It may have changed something.
    Written,
}

/// The connection broke.
pub(crate) fn lost(server: &str, reach: Reach, cause: &Broken) -> Error {
    match (reach, cause) {
        (Reach::Read, Broken::TimedOut(limit)) => timed_out(server, reach, *limit),
        (Reach::Waiting | Reach::Read, _) => {
            Error::new(ErrorKind::Unavailable, format!("the connection to memcached `{server}` was lost"))
                .with_source(cause.clone())
        }
        (Reach::Written, _) => Error::new(
            ErrorKind::Ambiguous,
            format!("the connection to memcached `{server}` was lost before it confirmed the write"),
        )
        .with_source(cause.clone()),
    }
}

/// The caller's time is over.
pub(crate) fn timed_out(server: &str, reach: Reach, limit: Duration) -> Error {
    match reach {
        Reach::Waiting => Error::new(
            ErrorKind::Unavailable,
            format!("no connection to memcached `{server}` was free within {limit:?}; nothing was sent"),
        ),
        Reach::Read => Error::new(
            ErrorKind::Timeout,
            format!("memcached `{server}` did not answer within {limit:?}; nothing was changed"),
        ),
        Reach::Written => Error::new(
            ErrorKind::Ambiguous,
            format!("memcached `{server}` did not confirm the write within {limit:?}"),
        ),
    }
}

/// An operation was answered as another would be: a fault of this crate.
pub(crate) fn mismatch() -> Error {
    Error::new(ErrorKind::Corrupt, "an operation got the answer to another")
}

/// Another process was always faster.
pub(crate) fn outraced(server: &str, rounds: u32) -> Error {
    Error::new(
        ErrorKind::Overloaded,
        format!(
            "others changed the entry in memcached `{server}` {rounds} times in a row; nothing was changed"
        ),
    )
}

pub(crate) fn too_large(item: usize, limit: usize, server: &str) -> Error {
    Error::new(
        ErrorKind::TooLarge,
        format!(
            "an item of {item} bytes as memcached `{server}` counts it, its limit is {limit}: start it with a larger `-I`"
        ),
    )
}

/// The server refused a value that it had said it takes.
pub(crate) fn refused_as_too_large(server: &str) -> Error {
    Error::new(
        ErrorKind::TooLarge,
        format!("memcached `{server}` refused the value as too large, and dropped what was there before"),
    )
}

pub(crate) fn out_of_memory(server: &str) -> Error {
    Error::new(ErrorKind::Overloaded, format!("memcached `{server}` is out of memory"))
}

pub(crate) fn too_many(setting: &str, limit: usize) -> Error {
    Error::new(
        ErrorKind::Overloaded,
        format!("{limit} operations are waiting for memcached already (`{setting}`)"),
    )
}

/// Whoever drove the connection went away with its runtime.
pub(crate) fn cut_off(server: &str, reach: Reach) -> Error {
    lost(server, reach, &Broken::CutOff)
}

/// Connecting failed: what every operation is told until a later attempt succeeds.
pub(crate) fn unreachable(server: &str, cause: io::Error) -> Error {
    Error::new(ErrorKind::Unavailable, format!("memcached `{server}` cannot be reached")).with_source(cause)
}

/// What the server said to the first words on a new connection.
pub(crate) fn unwelcome(server: &str, said: &str) -> Error {
    if said.contains("unauthenticated") {
        let message = format!("memcached `{server}` asks for a user and a password (ASCII authentication)");
        Error::new(ErrorKind::Config, message)
    } else if said.contains("authentication failure") {
        Error::new(ErrorKind::Config, format!("memcached `{server}` refused the user or the password"))
    } else if said.contains("Too many open connections") {
        Error::new(ErrorKind::Overloaded, format!("memcached `{server}` has too many connections (its `-c`)"))
    } else {
        Error::new(ErrorKind::Unavailable, format!("memcached `{server}` refused the connection: {said}"))
    }
}

/// Why a connection is not used any more.
#[derive(Clone, Debug)]
pub(crate) enum Broken {
    Io(std::sync::Arc<io::Error>),
    TimedOut(Duration),
    /// It answered what is no answer.
    OutOfStep,
    Complained(String),
    CutOff,
}

/// The client crate quotes what it could not read, which may be a key or a value: only what the system said is kept.
impl From<io::Error> for Broken {
    fn from(cause: io::Error) -> Self {
        let is_of_system = cause.raw_os_error().is_some();
        Self::Io(if is_of_system { cause } else { cause.kind().into() }.into())
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(cause) => cause.fmt(f),
            Self::TimedOut(limit) => write!(f, "no answer within {limit:?}"),
            Self::OutOfStep => f.write_str("an answer did not fit its question"),
            Self::Complained(said) => write!(f, "the server said `{said}`"),
            Self::CutOff => f.write_str("the runtime that served it has ended"),
        }
    }
}

impl std::error::Error for Broken {}
