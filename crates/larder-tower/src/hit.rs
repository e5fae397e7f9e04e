//! A stored response, made ready for one request.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use http_body::Body;
use larder_core::Timestamp;

use crate::{CacheBody, CacheOutcome, StoredResponse, conditional, rules::Rules};

/// The response to a request that a stored one answers.
pub(crate) fn respond<B: Body<Data = Bytes>>(
    rules: &Rules,
    stored: &StoredResponse,
    request: &HeaderMap,
    is_head: bool,
    now: Timestamp,
) -> Response<CacheBody<B>> {
    let age = now.saturating_since(stored.made);
    let not_modified =
        stored.status == StatusCode::OK && conditional::is_not_modified(request, &stored.headers);
    let body =
        if is_head || not_modified { CacheBody::empty() } else { CacheBody::full(stored.body.clone()) };
    let mut response = Response::new(body);
    *response.status_mut() = stored.status;
    *response.headers_mut() = stored.headers.clone();
    response.headers_mut().insert(header::AGE, seconds(age));
    if not_modified {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        conditional::strip_for_not_modified(response.headers_mut());
    }
    mark(rules, &mut response, CacheOutcome::Hit { age });
    response
}

/// Tells what the cache did: in the extension, and in the header if there is one.
pub(crate) fn mark<B>(rules: &Rules, response: &mut Response<B>, outcome: CacheOutcome) {
    response.extensions_mut().insert(outcome);
    if let Some(name) = &rules.hit_header {
        response.headers_mut().insert(name.clone(), HeaderValue::from_static(outcome.as_str()));
    }
}

/// An age as other caches read it: no more than 31 bits.
fn seconds(age: Duration) -> HeaderValue {
    HeaderValue::from(age.as_secs().min(1 << 31))
}
