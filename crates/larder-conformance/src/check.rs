//! What cases say when a store is not as it should be: always what was expected and what was seen.

use std::{
    fmt::{self, Debug, Write as _},
    panic::Location,
};

use larder_core::{Error, ErrorKind, Result, Value};

/// How a case ends.
pub(crate) type Outcome = Result<(), Failure>;

/// Why a case failed, and where.
#[derive(Debug)]
pub(crate) struct Failure {
    message: String,
    place: &'static Location<'static>,
}

impl Failure {
    #[track_caller]
    pub(crate) fn new(message: impl fmt::Display) -> Self {
        Self { message: message.to_string(), place: Location::caller() }
    }

    /// Says where the failure is, for helpers that were told who called them.
    pub(crate) fn at(self, place: &'static Location<'static>) -> Self {
        Self { place, ..self }
    }

    pub(crate) fn into_message(self) -> String {
        let Self { message, place } = self;
        format!("{message}\n  at {}:{}", place.file(), place.line())
    }
}

/// For `?` on operations that must not fail.
impl From<Error> for Failure {
    #[track_caller]
    fn from(error: Error) -> Self {
        Self::new(format_args!(
            "expected the operation to succeed, saw the error {:?}: {error}",
            error.kind()
        ))
    }
}

/// A value in few words.
pub(crate) fn show(value: &Value) -> String {
    match value {
        Value::Bytes(bytes) if bytes.len() <= 48 => format!("b\"{}\"", bytes.escape_ascii()),
        Value::Bytes(bytes) => format!("b\"{}..\" ({} bytes)", bytes[..32].escape_ascii(), bytes.len()),
        Value::Int(int) => format!("Int({int})"),
        other => format!("{other:?}"),
    }
}

pub(crate) fn show_read(seen: Option<&Value>) -> String {
    seen.map_or_else(|| "a miss".to_owned(), show)
}

/// Whether what was read is what was written. An object may come back as itself or as its bytes.
pub(crate) fn same(read: &Value, written: &Value) -> bool {
    match (read, written) {
        (Value::Bytes(read), Value::Bytes(written)) => read == written,
        (Value::Int(read), Value::Int(written)) => read == written,
        (Value::Object(read), Value::Object(written)) => {
            matches!((read.encode(), written.encode()), (Ok(read), Ok(written)) if read == written)
        }
        (Value::Bytes(read), Value::Object(written)) => {
            written.encode().is_ok_and(|written| *read == written)
        }
        _ => false,
    }
}

/// Fails unless the value was read.
#[track_caller]
pub(crate) fn hit(what: &str, seen: Option<Value>, expected: &Value) -> Outcome {
    match seen {
        Some(seen) if same(&seen, expected) => Ok(()),
        seen => Err(Failure::new(format_args!(
            "{what}: expected {}, saw {}",
            show(expected),
            show_read(seen.as_ref())
        ))),
    }
}

/// Fails unless nothing was read.
#[track_caller]
pub(crate) fn miss(what: &str, seen: Option<Value>) -> Outcome {
    match seen {
        None => Ok(()),
        Some(seen) => Err(Failure::new(format_args!("{what}: expected a miss, saw {}", show(&seen)))),
    }
}

/// Fails unless the two are equal.
#[track_caller]
#[expect(clippy::needless_pass_by_value, reason = "callers compare what an operation has just returned")]
pub(crate) fn equal<T: PartialEq<U> + Debug, U: Debug>(what: &str, seen: T, expected: U) -> Outcome {
    if seen == expected {
        return Ok(());
    }
    Err(Failure::new(format_args!("{what}: expected {expected:?}, saw {seen:?}")))
}

/// Fails with the message unless the condition holds.
#[track_caller]
pub(crate) fn ensure(holds: bool, message: impl FnOnce() -> String) -> Outcome {
    if holds { Ok(()) } else { Err(Failure::new(message())) }
}

/// Fails unless the operation was refused with an error of this kind.
#[track_caller]
pub(crate) fn refused<T: Debug>(what: &str, result: Result<T>, kind: ErrorKind) -> Outcome {
    match result {
        Err(error) if error.kind() == kind => Ok(()),
        Err(error) => Err(Failure::new(format_args!(
            "{what}: expected an error of kind {kind:?}, saw one of kind {:?}: {error}",
            error.kind()
        ))),
        Ok(seen) => {
            let mut text = format!("{seen:?}");
            if text.len() > 200 {
                text.truncate(text.floor_char_boundary(200));
                // Writing to a string cannot fail.
                let _ = write!(text, "..");
            }
            Err(Failure::new(format_args!("{what}: expected an error of kind {kind:?}, saw Ok({text})")))
        }
    }
}

/// Takes the value out of something that must be there.
#[track_caller]
pub(crate) fn some<T>(what: &str, seen: Option<T>) -> Result<T, Failure> {
    match seen {
        Some(seen) => Ok(seen),
        None => Err(Failure::new(format_args!("{what}: expected Some(..), saw None"))),
    }
}
