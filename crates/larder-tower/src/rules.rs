//! What a layer was told, and the functions it was given.

use std::{fmt, sync::Arc};

use http::{HeaderName, StatusCode, header};
use larder_core::Timeout;

use crate::{Authorization, Cookies, KeyPart, Names, Query, RequestHead, ResponseHead, scheme::Scheme};

pub(crate) type PartFn = Arc<dyn Fn(&RequestHead) -> KeyPart + Send + Sync>;
pub(crate) type RequestFn = Arc<dyn Fn(&RequestHead) -> bool + Send + Sync>;
pub(crate) type ResponseFn = Arc<dyn Fn(&ResponseHead) -> bool + Send + Sync>;

/// The options of a layer, checked.
#[derive(Clone)]
pub(crate) struct Rules {
    pub(crate) timeout: Timeout,
    pub(crate) scheme: Scheme,
    pub(crate) query: Query,
    /// Sorted, each once.
    pub(crate) keyed_headers: Vec<HeaderName>,
    pub(crate) parts: Vec<PartFn>,
    pub(crate) only: Option<PartFn>,
    pub(crate) unless: Option<RequestFn>,
    pub(crate) forced_update: Option<RequestFn>,
    pub(crate) response_filter: Option<ResponseFn>,
    pub(crate) statuses: Vec<StatusCode>,
    /// In bytes.
    pub(crate) max_body: u64,
    pub(crate) hit_header: Option<HeaderName>,
    pub(crate) authorization: Authorization,
    pub(crate) cookies: Cookies,
    pub(crate) analytics: Names,
    pub(crate) hidden_headers: Vec<HeaderName>,
    pub(crate) coalesce: bool,
}

impl Rules {
    /// Whether a request header is in the key as it is, or as much of it as the handler sees.
    pub(crate) fn is_keyed(&self, name: &str) -> bool {
        self.keyed_headers.iter().any(|keyed| name.eq_ignore_ascii_case(keyed.as_str()))
            || (name.eq_ignore_ascii_case(header::HOST.as_str()) && self.only.is_none())
            || (name.eq_ignore_ascii_case(header::COOKIE.as_str())
                && matches!(self.cookies, Cookies::Only(_)))
    }
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rules")
            .field("timeout", &self.timeout)
            .field("scheme", &self.scheme)
            .field("query", &self.query)
            .field("keyed_headers", &self.keyed_headers)
            .field("key_functions", &(self.parts.len() + usize::from(self.only.is_some())))
            .field("statuses", &self.statuses)
            .field("max_body", &self.max_body)
            .field("authorization", &self.authorization)
            .field("cookies", &self.cookies)
            .field("coalesce", &self.coalesce)
            .finish_non_exhaustive()
    }
}
