//! Whether connections are encrypted.

use larder_core::{Error, ErrorKind, Result};

/// Whether connections use TLS. Where they do, the certificate and the name of the server are always verified.
///
/// ```
/// use larder_postgres::SslMode;
/// assert_eq!("verify-full".parse::<SslMode>()?, SslMode::Require);
/// # Ok::<(), larder_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SslMode {
    /// Never.
    #[default]
    Disable,
    /// Where the server offers it. Who stands between can take the offer away.
    Prefer,
    /// Always. Stricter than the mode of this name in libpq, which verifies only with `verify-full`.
    Require,
}

impl std::str::FromStr for SslMode {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "disable" => Ok(Self::Disable),
            "prefer" => Ok(Self::Prefer),
            "require" | "verify-full" => Ok(Self::Require),
            _ => Err(Error::new(
                ErrorKind::Config,
                format!(
                    "`sslmode` is `{}`: it must be `disable`, `prefer`, `require` or `verify-full`",
                    text.escape_debug()
                ),
            )),
        }
    }
}
