//! From what the file system says to what a caller can act on.

use std::io;

use larder_core::{Error, ErrorKind};

/// The error of an operation that the file system refused. The cause is kept.
pub(crate) fn refused(cause: io::Error) -> Error {
    use io::ErrorKind as Io;
    let (kind, message, retryable) = match cause.kind() {
        Io::StorageFull | Io::QuotaExceeded => {
            (ErrorKind::Unavailable, "no space is left for the store's files", true)
        }
        Io::ReadOnlyFilesystem | Io::PermissionDenied => {
            (ErrorKind::Unavailable, "the store's directory cannot be written", false)
        }
        Io::NotFound => (ErrorKind::Unavailable, "the store's directory is gone", true),
        Io::FileTooLarge => (ErrorKind::TooLarge, "the file system takes no file of this size", false),
        Io::TimedOut => {
            (ErrorKind::Timeout, "a lock that another process holds was not given back in time", true)
        }
        Io::Interrupted => (ErrorKind::Unavailable, "the store is closed", false),
        _ => (ErrorKind::Unavailable, "the store's directory failed", true),
    };
    Error::new(kind, message).with_source(cause).with_retryable(retryable)
}

/// What the content library reports, as the file system's own error where there is one.
pub(crate) fn of_cacache(error: cacache::Error) -> io::Error {
    match error {
        cacache::Error::IoError(cause, _) => cause,
        other => io::Error::new(io::ErrorKind::InvalidData, other),
    }
}

/// Whether a read failed because of the one file asked for: something else stands in its place.
pub(crate) fn is_of_this_file(error: &io::Error) -> bool {
    use io::ErrorKind as Io;
    matches!(error.kind(), Io::PermissionDenied | Io::IsADirectory | Io::NotADirectory | Io::InvalidData)
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    #[test]
    fn each_refusal_has_a_kind_and_keeps_its_cause() {
        for (io, kind, retryable) in [
            (io::ErrorKind::StorageFull, ErrorKind::Unavailable, true),
            (io::ErrorKind::ReadOnlyFilesystem, ErrorKind::Unavailable, false),
            (io::ErrorKind::NotFound, ErrorKind::Unavailable, true),
            (io::ErrorKind::FileTooLarge, ErrorKind::TooLarge, false),
            (io::ErrorKind::TimedOut, ErrorKind::Timeout, true),
            (io::ErrorKind::Other, ErrorKind::Unavailable, true),
        ] {
            let error = refused(io.into());
            assert_eq!((error.kind(), error.is_retryable()), (kind, retryable), "{io:?}");
            assert!(error.source().is_some() && error.downcast_ref::<io::Error>().is_some());
        }
    }
}
