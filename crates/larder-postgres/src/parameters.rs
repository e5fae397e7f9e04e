//! What goes into statements: never shown, also not by the client, which logs what it sends.

use std::{error::Error as StdError, fmt};

use bytes::BytesMut;
use larder_core::{Error, ErrorKind, Result};
use tokio_postgres::types::{Format, IsNull, ToSql, Type, to_sql_checked};

/// The parameters of a statement.
pub(crate) type Parameters<'a> = &'a [&'a (dyn ToSql + Sync)];
/// With their types.
pub(crate) type Typed<'a> = &'a [(&'a (dyn ToSql + Sync), Type)];

/// A parameter that its `Debug` does not show.
pub(crate) struct Hidden<'a>(pub(crate) &'a (dyn ToSql + Sync));

impl fmt::Debug for Hidden<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("hidden")
    }
}

impl ToSql for Hidden<'_> {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        self.0.to_sql_checked(kind, out)
    }

    /// Whatever the parameter inside does, which is asked in its turn.
    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, kind: &Type) -> Format {
        self.0.encode_format(kind)
    }

    to_sql_checked!();
}

/// A parameter as it travels, which borrows nothing.
pub(crate) struct Encoded {
    bytes: Option<BytesMut>,
    kind: Type,
}

impl Encoded {
    /// With its type, as the client takes it.
    pub(crate) fn typed(self) -> (Self, Type) {
        let kind = self.kind.clone();
        (self, kind)
    }
}

pub(crate) fn encoded(parameters: Typed<'_>) -> Result<Vec<Encoded>> {
    let encode = |(parameter, kind): &(&(dyn ToSql + Sync), Type)| {
        let mut bytes = BytesMut::new();
        let is_null = parameter.to_sql_checked(kind, &mut bytes).map_err(|cause| {
            Error::new(ErrorKind::Encode, "a parameter that the client does not take").with_source(cause)
        })?;
        let bytes = matches!(is_null, IsNull::No).then_some(bytes);
        Ok(Encoded { bytes, kind: kind.clone() })
    };
    parameters.iter().map(encode).collect()
}

impl fmt::Debug for Encoded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("hidden")
    }
}

impl ToSql for Encoded {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        let Some(bytes) = &self.bytes else { return Ok(IsNull::Yes) };
        out.extend_from_slice(bytes);
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}
