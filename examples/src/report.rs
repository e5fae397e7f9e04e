//! What `main` and the handlers return when something went wrong.

use std::error::Error;
use std::fmt;

use axum::response::{IntoResponse, Response};

use crate::pages;

/// Any error, printed for people: its message, then what caused it.
///
/// `main` prints an error by its `Debug`, so that is what this writes.
pub struct Report(Box<dyn Error + Send + Sync>);

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut said = self.0.to_string();
        let mut source = self.0.source();
        while let Some(cause) = source {
            // Some errors already end in their cause's message.
            let message = cause.to_string();
            if !said.contains(&message) {
                write!(f, ": {message}")?;
            }
            said = message;
            source = cause.source();
        }
        Ok(())
    }
}

impl IntoResponse for Report {
    /// "Something went wrong" for the reader, the error itself for the terminal.
    fn into_response(self) -> Response {
        pages::broken(&self)
    }
}

impl<E: Into<Box<dyn Error + Send + Sync>>> From<E> for Report {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}
