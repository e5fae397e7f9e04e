//! From what the file system says to what a caller can act on.

use std::{io, path::Path};

use larder_core::{Error, ErrorKind};

/// What the file system said to a change, and whether the change may have been made all the same.
#[derive(Debug)]
pub(crate) struct Refusal {
    cause: io::Error,
    may_be_done: bool,
}

impl Refusal {
    /// The change may have been made.
    pub(crate) fn unknown(cause: io::Error) -> Self {
        Self { cause, may_be_done: true }
    }

    /// Of the one step that makes a change: most refusals say that it was not taken. The rest, an input/output error
    /// before all, say nothing.
    pub(crate) fn of_the_step(cause: io::Error) -> Self {
        use io::ErrorKind as Io;
        let is_a_no = matches!(
            cause.kind(),
            Io::NotFound
                | Io::PermissionDenied
                | Io::AlreadyExists
                | Io::NotADirectory
                | Io::IsADirectory
                | Io::DirectoryNotEmpty
                | Io::ReadOnlyFilesystem
                | Io::StorageFull
                | Io::QuotaExceeded
                | Io::CrossesDevices
                | Io::InvalidInput
                | Io::InvalidFilename
                | Io::Unsupported
                | Io::TooManyLinks
                | Io::OutOfMemory
        );
        Self { cause, may_be_done: !is_a_no }
    }

    /// Of a later part of a change, of which others may have been made.
    pub(crate) fn after(self, is_begun: bool) -> Self {
        Self { may_be_done: self.may_be_done || is_begun, ..self }
    }

    /// As far as it says that nothing was done: then the change may be tried again.
    pub(crate) fn nothing_done(&self) -> Option<io::ErrorKind> {
        if self.may_be_done { None } else { Some(self.cause.kind()) }
    }
}

/// Before the one step that counts, nothing was done.
impl From<io::Error> for Refusal {
    fn from(cause: io::Error) -> Self {
        Self { cause, may_be_done: false }
    }
}

impl From<Refusal> for Error {
    fn from(Refusal { cause, may_be_done }: Refusal) -> Self {
        if !may_be_done {
            return refused(cause);
        }
        let message = "the store's directory failed during the change, which may have been made";
        Self::new(ErrorKind::Ambiguous, message).with_source(cause)
    }
}

/// The error of an operation that the file system refused, and that changed nothing. The cause is kept.
pub(crate) fn refused(cause: io::Error) -> Error {
    let (kind, message, retryable) = described(&cause);
    Error::new(kind, message).with_source(cause).with_retryable(retryable)
}

/// The error of opening a store there.
pub(crate) fn not_opened(path: &Path, cause: io::Error) -> Error {
    let (kind, message, retryable) = match described(&cause) {
        (kind, ..) if cause.kind() == io::ErrorKind::NotFound => {
            (kind, "no directory can be made there", false)
        }
        described => described,
    };
    let message = format!("`path` is {}: {message}", path.display());
    Error::new(kind, message).with_source(cause).with_retryable(retryable)
}

fn described(cause: &io::Error) -> (ErrorKind, &'static str, bool) {
    use io::ErrorKind as Io;
    match cause.kind() {
        Io::StorageFull | Io::QuotaExceeded => {
            (ErrorKind::Unavailable, "no space is left for the store's files", true)
        }
        Io::ReadOnlyFilesystem => (ErrorKind::Unavailable, "the store's directory is read-only", false),
        Io::PermissionDenied => {
            (ErrorKind::Unavailable, "this process may not use the store's directory", false)
        }
        Io::NotFound => (ErrorKind::Unavailable, "the store's directory is gone, or what marks it", true),
        Io::FileTooLarge => (ErrorKind::TooLarge, "the file system takes no file of this size", false),
        Io::TimedOut => {
            (ErrorKind::Timeout, "a lock that another process holds was not given back in time", true)
        }
        Io::Interrupted => (ErrorKind::Unavailable, "the store is closed", false),
        _ => (ErrorKind::Unavailable, "the store's directory failed", true),
    }
}

/// What the content library reports, as the file system's own error where there is one.
pub(crate) fn of_cacache(error: cacache::Error) -> io::Error {
    match error {
        cacache::Error::IoError(cause, _) => cause,
        other => io::Error::new(io::ErrorKind::InvalidData, other),
    }
}

/// Whether a step failed because of the one file asked for: something else stands in its place.
pub(crate) fn is_of_this_file(error: &io::Error) -> bool {
    use io::ErrorKind as Io;
    matches!(error.kind(), Io::PermissionDenied | Io::IsADirectory | Io::NotADirectory | Io::InvalidData)
        || is_link_or_device(error)
}

#[cfg(unix)]
fn is_link_or_device(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let is = |errno: Errno| error.raw_os_error() == Some(errno.raw_os_error());
    is(Errno::LOOP) || is(Errno::NXIO) || is(Errno::NODEV)
}

#[cfg(not(unix))]
fn is_link_or_device(_error: &io::Error) -> bool {
    false
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
            (io::ErrorKind::PermissionDenied, ErrorKind::Unavailable, false),
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

    #[test]
    fn what_may_have_been_done_is_ambiguous_and_not_retried() {
        for (refusal, kind) in [
            (Refusal::from(io::Error::from(io::ErrorKind::Other)), ErrorKind::Unavailable),
            (Refusal::of_the_step(io::ErrorKind::StorageFull.into()), ErrorKind::Unavailable),
            (Refusal::of_the_step(io::ErrorKind::Other.into()), ErrorKind::Ambiguous),
            (Refusal::unknown(io::ErrorKind::StorageFull.into()), ErrorKind::Ambiguous),
        ] {
            let error = Error::from(refusal);
            assert_eq!((error.kind(), error.is_retryable()), (kind, kind == ErrorKind::Unavailable));
            assert!(error.downcast_ref::<io::Error>().is_some());
        }
    }
}
