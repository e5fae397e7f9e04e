//! What credentials in a request mean to the cache.

/// What an `Authorization` or `Proxy-Authorization` header in a request means to the cache.
///
/// To keep one entry per user instead, put the header in the key: `vary_header("authorization")`.
///
/// ```
/// assert_eq!(larder_tower::Authorization::default(), larder_tower::Authorization::Bypass);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Authorization {
    /// A request with credentials goes past the cache: the default.
    #[default]
    Bypass,
    /// Credentials do not matter: every request is looked up, and the handler that fills an entry does not see them. For
    /// content that is the same for everyone, behind a layer that has checked the credentials before the cache is asked.
    Ignore,
}
