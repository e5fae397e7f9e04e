//! Why a response did not come from the cache, or did not go into it.

use std::fmt;

/// Why a request went past the cache, or why a response was not kept: the answer to "why is this page not cached?".
///
/// Each has a stable name for logs and metrics.
///
/// ```
/// use larder_tower::Reason;
/// assert_eq!(Reason::SetCookie.as_str(), "set_cookie");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The request: its method is not GET or HEAD.
    Method,
    /// The request: it asks for another protocol.
    Upgrade,
    /// The request: a GET or HEAD with a body.
    RequestBody,
    /// The request: it asks for a part of the response.
    Range,
    /// The request: `If-Match` or `If-Unmodified-Since`, which only the handler can answer.
    Precondition,
    /// The request: it carries [credentials](crate::Authorization).
    Authorization,
    /// The request: it carries a cookie that may make the response personal.
    Cookie,
    /// The request: its host is missing, malformed, or said twice and differently; or its target has no path.
    Host,
    /// The request: a cache layer further out is filling the same entry.
    Nested,
    /// The request: `unless` said so.
    Unless,
    /// The request: its URI, or a part of the key, is over the bounds.
    KeyTooLarge,
    /// The request: a key function said so.
    KeyPart,
    /// The response: `HEAD` responses have nothing to keep.
    Head,
    /// The response: its status is not one of those to keep.
    Status,
    /// The response: it is a part of something, a 206 or with `Content-Range`.
    Partial,
    /// The response: it sets a cookie.
    SetCookie,
    /// The response: `Cache-Control` says `private`, `no-store` or `no-cache`, or cannot be read.
    CacheControl,
    /// The response: it varies by something the key does not hold.
    Vary,
    /// The response: it allows one origin, and `Origin` is not in the key.
    Cors,
    /// The response: it is of a type that streams without end.
    Streaming,
    /// The response: its body is over the limit.
    TooLarge,
    /// The response: its body is not as long as `Content-Length` says.
    Length,
    /// The response: it has trailers.
    Trailers,
    /// The response: its body ended in an error.
    BodyError,
    /// The response: the handler put [`NoStore`](crate::NoStore) into it.
    NoStore,
    /// The response: `response_filter` said so.
    ResponseFilter,
    /// The response: its timeout is zero.
    ZeroTimeout,
    /// Another request was filling the entry, and its response turned out to be its own only.
    LeaderGaveUp,
    /// Another request was filling the entry, and took too long.
    LeaderTimedOut,
    /// Another request is filling the entry, and this one did not wait: `coalesce` is off, or responses to this request
    /// have lately turned out not to be for sharing.
    NotWaiting,
    /// The entry was invalidated while the handler ran.
    Invalidated,
    /// The store failed; the handler ran as if there were no cache.
    StoreError,
}

impl Reason {
    /// A name that stays, for logs and metric labels.
    ///
    /// ```
    /// assert_eq!(larder_tower::Reason::TooLarge.as_str(), "too_large");
    /// ```
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Method => "method",
            Self::Upgrade => "upgrade",
            Self::RequestBody => "request_body",
            Self::Range => "range",
            Self::Precondition => "precondition",
            Self::Authorization => "authorization",
            Self::Cookie => "cookie",
            Self::Host => "host",
            Self::Nested => "nested",
            Self::Unless => "unless",
            Self::KeyTooLarge => "key_too_large",
            Self::KeyPart => "key_part",
            Self::Head => "head",
            Self::Status => "status",
            Self::Partial => "partial",
            Self::SetCookie => "set_cookie",
            Self::CacheControl => "cache_control",
            Self::Vary => "vary",
            Self::Cors => "cors",
            Self::Streaming => "streaming",
            Self::TooLarge => "too_large",
            Self::Length => "length",
            Self::Trailers => "trailers",
            Self::BodyError => "body_error",
            Self::NoStore => "no_store",
            Self::ResponseFilter => "response_filter",
            Self::ZeroTimeout => "zero_timeout",
            Self::LeaderGaveUp => "leader_gave_up",
            Self::LeaderTimedOut => "leader_timed_out",
            Self::NotWaiting => "not_waiting",
            Self::Invalidated => "invalidated",
            Self::StoreError => "store_error",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
