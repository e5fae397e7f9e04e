//! From what the client and the server say to what a caller can act on.

use std::{error::Error as StdError, fmt, io};

use larder_core::{Error, ErrorKind};
use tokio_postgres::error::{DbError, Severity, SqlState};

/// What a caller must know whose operation had no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It changes nothing.
    None,
    /// It may have happened, or may still.
    Possible,
}

/// Why a statement has no answer that is of use.
#[derive(Debug)]
pub(crate) enum Failed {
    /// The client or the server says why.
    Client(tokio_postgres::Error),
    /// It was not sent.
    Unsent(Error),
    /// It was sent, and then given up with its connection.
    Lost,
}

impl From<tokio_postgres::Error> for Failed {
    fn from(cause: tokio_postgres::Error) -> Self {
        Self::Client(cause)
    }
}

/// What the server said, without the parts that may show keys and values.
#[derive(Debug)]
struct Refusal {
    code: String,
    message: String,
}

impl Refusal {
    fn of(said: &DbError) -> Self {
        Self { code: said.code().code().to_owned(), message: said.message().to_owned() }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (SQLSTATE {})", self.message, self.code)
    }
}

impl StdError for Refusal {}

/// What went wrong on the way, told to its end: the client's own text leaves the cause out.
#[derive(Debug)]
struct Trouble(tokio_postgres::Error);

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut next = self.0.source();
        while let Some(cause) = next {
            write!(f, ": {cause}")?;
            next = cause.source();
        }
        Ok(())
    }
}

impl StdError for Trouble {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source()
    }
}

fn keep(error: Error, cause: tokio_postgres::Error) -> Error {
    match cause.as_db_error().map(Refusal::of) {
        Some(refusal) => error.with_source(refusal),
        None => error.with_source(Trouble(cause)),
    }
}

/// The error of a statement whose connection was lost.
pub(crate) fn lost(effect: Effect) -> Error {
    match effect {
        Effect::None => Error::new(ErrorKind::Unavailable, "the connection was lost before the answer came"),
        Effect::Possible => {
            Error::new(ErrorKind::Ambiguous, "the connection was lost before the write was acknowledged")
        }
    }
}

/// The error of a statement that was sent.
pub(crate) fn of_statement(cause: tokio_postgres::Error, effect: Effect) -> Error {
    let error = match cause.as_db_error() {
        Some(said) if !ends_the_connection(said) => of_refusal(said),
        Some(_) => lost(effect),
        None if cause.is_closed() || io_cause(&cause).is_some() => lost(effect),
        None => match effect {
            Effect::None => Error::new(ErrorKind::Corrupt, "the server's answer cannot be read"),
            Effect::Possible => Error::new(ErrorKind::Ambiguous, "the server's answer cannot be read"),
        },
    };
    keep(error, cause)
}

fn ends_the_connection(said: &DbError) -> bool {
    is_an_end(said.parsed_severity(), said.code())
}

fn is_an_end(severity: Option<Severity>, code: &SqlState) -> bool {
    matches!(severity, Some(Severity::Fatal | Severity::Panic))
        // A proxy says what it cannot do to a connection without calling it fatal.
        || code.code().starts_with("08")
        || *code == SqlState::ADMIN_SHUTDOWN
        || *code == SqlState::CRASH_SHUTDOWN
}

/// A refusal that left the connection alone: the transaction was rolled back, so nothing took effect.
fn of_refusal(said: &DbError) -> Error {
    let code = said.code();
    let class = code.code().get(..2).unwrap_or_default();
    let new = |kind, message: &str| Error::new(kind, message);
    match class {
        "22" if *code == SqlState::NUMERIC_VALUE_OUT_OF_RANGE => {
            new(ErrorKind::Overflow, "the counter would leave the range of 64 bits")
        }
        "22" if *code == SqlState::CHARACTER_NOT_IN_REPERTOIRE => {
            new(ErrorKind::InvalidKey, "the server takes no key like this")
        }
        "53" => new(ErrorKind::Overloaded, "the server is short of something; nothing was written"),
        "54" => new(ErrorKind::TooLarge, "the key or the value is over a limit of the server"),
        // Serialization failures and deadlocks: harmless to try again.
        "40" => new(ErrorKind::Unavailable, "the server gave precedence to another transaction"),
        // By its `statement_timeout`, by somebody, or by its `lock_timeout`.
        "57" | "55" if [SqlState::QUERY_CANCELED, SqlState::LOCK_NOT_AVAILABLE].contains(code) => {
            new(ErrorKind::Timeout, "the server stopped the statement; nothing was written")
        }
        "57" => new(ErrorKind::Unavailable, "the server starts or stops"),
        "25" if *code == SqlState::READ_ONLY_SQL_TRANSACTION => takes_no_writes(),
        // The plan of a prepared statement fits the table no more: the next connection prepares it anew.
        "0A" => new(ErrorKind::Unavailable, "the table was changed under the store"),
        "26" => new(
            ErrorKind::Config,
            "the server forgot a prepared statement: behind a PgBouncer in transaction mode, set `pgbouncer = true`",
        ),
        "42" if *code == SqlState::DUPLICATE_PSTATEMENT => new(
            ErrorKind::Config,
            "another client's prepared statements are seen: behind a PgBouncer in transaction mode, set \
             `pgbouncer = true`",
        ),
        "42" if *code == SqlState::INSUFFICIENT_PRIVILEGE => new(
            ErrorKind::Config,
            "the role may not use the table: grant SELECT, INSERT, UPDATE and DELETE on it, and USAGE on its schema \
             and sequence",
        ),
        "42" | "3F" => new(ErrorKind::Config, MISSING),
        "28" | "3D" => new(ErrorKind::Config, "the server refuses the user, the password or the database"),
        _ => new(ErrorKind::Unavailable, "the server refused the statement").with_retryable(false),
    }
}

/// The error of a server that answers reads only; one that takes over from another soon takes writes.
pub(crate) fn takes_no_writes() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "the server takes no writes: it is a standby, or its sessions are read only",
    )
}

/// How to come by a table.
pub(crate) const MISSING: &str = "the table is missing, or not as this version needs it: set `create_table = true`, \
                                  call `PostgresStore::migrate`, or run `migrations/0001_cache.sql` of larder-postgres";

/// The error of an attempt to connect.
pub(crate) fn of_connecting(cause: tokio_postgres::Error, server: &str) -> Error {
    let error = match cause.as_db_error() {
        Some(said) if said.code().code().starts_with("57") => {
            Error::new(ErrorKind::Unavailable, "the server starts or stops")
        }
        Some(said) if said.code().code().starts_with("08") => Error::new(
            ErrorKind::Unavailable,
            "no connection through the proxy (one in transaction mode needs `pgbouncer = true`)",
        ),
        Some(said) => of_refusal(said),
        None => match cause.to_string().as_str() {
            "authentication error" | "invalid configuration" => {
                Error::new(ErrorKind::Config, format!("the settings do not suit the server at {server}"))
            }
            _ if is_of_tls(&cause) => Error::new(
                ErrorKind::Config,
                format!("no TLS with the server at {server}: see `sslmode` and `ca`"),
            ),
            _ => Error::new(ErrorKind::Unavailable, format!("no connection to {server}")),
        },
    };
    keep(error, cause)
}

fn is_of_tls(cause: &tokio_postgres::Error) -> bool {
    // An unknown certificate is invalid data to the stream; a handshake cut short is trouble on the way.
    cause.to_string() == "error performing TLS handshake"
        && io_cause(cause).is_none_or(|io| io.kind() == io::ErrorKind::InvalidData)
}

fn io_cause(error: &tokio_postgres::Error) -> Option<&io::Error> {
    let mut next = error.source();
    while let Some(cause) = next {
        if let Some(io) = cause.downcast_ref() {
            return Some(io);
        }
        next = cause.source();
    }
    None
}

/// Whether nothing good will come from this connection any more.
pub(crate) fn is_last_word(cause: &tokio_postgres::Error) -> bool {
    match cause.as_db_error() {
        Some(said) => {
            ends_the_connection(said)
                || matches!(said.code().code(), "25006" | "0A000" | "26000" | "42P01" | "42703" | "3F000")
        }
        None => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_a_connection_leaves_a_write_in_doubt() {
        let end = |severity, code: &str| is_an_end(severity, &SqlState::from_code(code));
        assert!(end(None, "08P01"), "a proxy, which says no severity that is not translated");
        assert!(end(Some(Severity::Error), "08P01"));
        assert!(end(Some(Severity::Fatal), "53300"));
        assert!(end(Some(Severity::Panic), "XX000"));
        assert!(end(None, "57P01") && end(None, "57P02"));
        assert!(!end(Some(Severity::Error), "22003") && !end(Some(Severity::Error), "57014"));
        assert!(!end(None, "40001"));
    }
}
