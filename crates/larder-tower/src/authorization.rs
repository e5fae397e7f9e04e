//! What credentials in a request mean to the cache.

use http::HeaderName;

/// What credentials in a request mean to the cache.
///
/// Credentials are `Authorization` and `Proxy-Authorization`; the headers that commonly carry a key of an API (`X-API-Key`,
/// `X-Auth-Token`, `X-Access-Token`); and those in which a proxy that has checked who asks says so (`Remote-User`,
/// `X-Forwarded-User`, `X-Auth-Request-User`, a client's certificate, and the like).
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

/// Whether a header says who asks. Looked up for every request, so that the list is one `match`: no hashing.
pub(crate) fn is_credential(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "authorization"
            | "proxy-authorization"
            | "x-api-key"
            | "x-auth-token"
            | "x-access-token"
            | "remote-user"
            | "x-remote-user"
            | "x-authenticated-user"
            | "x-webauth-user"
            | "x-forwarded-user"
            | "x-forwarded-email"
            | "x-forwarded-preferred-username"
            | "x-forwarded-groups"
            | "x-forwarded-access-token"
            | "x-auth-request-user"
            | "x-auth-request-email"
            | "x-auth-request-preferred-username"
            | "x-auth-request-groups"
            | "x-auth-request-access-token"
            | "x-goog-iap-jwt-assertion"
            | "x-goog-authenticated-user-email"
            | "x-amzn-oidc-data"
            | "x-amzn-oidc-identity"
            | "x-amzn-oidc-accesstoken"
            | "cf-access-jwt-assertion"
            | "x-ms-client-principal"
            | "x-client-cert"
            | "x-ssl-client-cert"
            | "ssl-client-cert"
    )
}
