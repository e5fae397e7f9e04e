//! The verdict on a response: whether it is kept, judged by its head.

use std::time::Duration;

use http::{HeaderMap, StatusCode, header};
use http_body::SizeHint;
use larder_core::Timeout;

use crate::{
    CacheTimeout, NoStore, Reason, ResponseHead, cache_control::forbids_keeping, rules::Rules, vary,
};

/// A response that is kept, if its body ends well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Keep {
    pub(crate) timeout: Timeout,
    /// How long the body must be, where that is known.
    pub(crate) length: Option<u64>,
}

/// Types of response that go on for as long as the connection does.
const STREAMING: [&str; 3] = ["text/event-stream", "application/grpc", "multipart/x-mixed-replace"];

/// Judges a response by its head. `Err` is a response for its own request only.
pub(crate) fn judge(rules: &Rules, head: &ResponseHead, body: &SizeHint) -> Result<Keep, Reason> {
    let headers = &head.headers;
    if head.status == StatusCode::SWITCHING_PROTOCOLS || headers.contains_key(header::UPGRADE) {
        return Err(Reason::Upgrade);
    }
    if head.status == StatusCode::PARTIAL_CONTENT || headers.contains_key(header::CONTENT_RANGE) {
        return Err(Reason::Partial);
    }
    if !rules.statuses.contains(&head.status) {
        return Err(Reason::Status);
    }
    if head.extensions.get::<NoStore>().is_some() {
        return Err(Reason::NoStore);
    }
    if headers.contains_key(header::SET_COOKIE) || headers.contains_key("set-cookie2") {
        return Err(Reason::SetCookie);
    }
    if forbids_keeping(headers) {
        return Err(Reason::CacheControl);
    }
    if !varies_by_key_only(rules, headers) {
        return Err(Reason::Vary);
    }
    // A handler that echoes the origin varies by it, whether it says so or not.
    let allows_one = headers.get_all(header::ACCESS_CONTROL_ALLOW_ORIGIN).iter().any(|origin| origin != "*");
    if allows_one && !rules.is_keyed(header::ORIGIN.as_str()) {
        return Err(Reason::Cors);
    }
    if is_streaming(headers) {
        return Err(Reason::Streaming);
    }
    if headers.contains_key(header::TRAILER) {
        return Err(Reason::Trailers);
    }
    let length = length(headers, body)?;
    if length.unwrap_or(body.lower()) > rules.max_body {
        return Err(Reason::TooLarge);
    }
    let timeout = match head.extensions.get::<CacheTimeout>() {
        Some(CacheTimeout(duration)) => Timeout::After(*duration),
        None => rules.timeout,
    };
    if timeout == Timeout::After(Duration::ZERO) {
        return Err(Reason::ZeroTimeout);
    }
    if rules.response_filter.as_ref().is_some_and(|filter| !filter(head)) {
        return Err(Reason::ResponseFilter);
    }
    Ok(Keep { timeout, length })
}

fn varies_by_key_only(rules: &Rules, headers: &HeaderMap) -> bool {
    // An encoded body was chosen by `Accept-Encoding`, whether `Vary` says so or not.
    let encoded = headers.get_all(header::CONTENT_ENCODING).iter().any(|encoding| encoding != "identity");
    vary::is_covered(headers, |name| rules.is_keyed(name))
        && (!encoded || rules.is_keyed(header::ACCEPT_ENCODING.as_str()))
}

fn is_streaming(headers: &HeaderMap) -> bool {
    headers.get_all(header::CONTENT_TYPE).iter().any(|value| {
        let value = value.as_bytes().trim_ascii_start();
        STREAMING.iter().any(|kind| {
            value.get(..kind.len()).is_some_and(|start| start.eq_ignore_ascii_case(kind.as_bytes()))
        })
    })
}

/// The length of the body: what `Content-Length` says, else what the body does; they must not differ.
fn length(headers: &HeaderMap, body: &SizeHint) -> Result<Option<u64>, Reason> {
    let mut said = None;
    for line in headers.get_all(header::CONTENT_LENGTH) {
        let length = line.to_str().ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        let length: u64 = length.and_then(|text| text.parse().ok()).ok_or(Reason::Length)?;
        if said.is_some_and(|said| said != length) {
            return Err(Reason::Length);
        }
        said = Some(length);
    }
    match (said, body.exact()) {
        (Some(said), Some(exact)) if said != exact => Err(Reason::Length),
        (said, exact) => Ok(said.or(exact)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn headers(lines: &[(&str, &str)]) -> HeaderMap {
        lines
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect::<HeaderMap>()
    }

    #[test]
    fn lengths_must_agree() {
        let known = SizeHint::with_exact(5);
        let unknown = SizeHint::default();
        let said = |value| headers(&[("content-length", value)]);
        assert_eq!(length(&HeaderMap::new(), &known), Ok(Some(5)));
        assert_eq!(length(&said("5"), &unknown), Ok(Some(5)));
        assert_eq!(length(&said("5"), &known), Ok(Some(5)));
        assert_eq!(length(&said("6"), &known), Err(Reason::Length));
        for bad in ["", "-1", "+5", "5, 5", "99999999999999999999"] {
            assert_eq!(length(&said(bad), &unknown), Err(Reason::Length), "{bad}");
        }
        let twice = HeaderMap::from_iter([
            (header::CONTENT_LENGTH, "5".parse().unwrap()),
            (header::CONTENT_LENGTH, "6".parse().unwrap()),
        ]);
        assert_eq!(length(&twice, &unknown), Err(Reason::Length));
    }

    #[test]
    fn streaming_types() {
        for kind in ["text/event-stream", "Text/Event-Stream; charset=utf-8", "application/grpc+proto"] {
            assert!(is_streaming(&headers(&[("content-type", kind)])), "{kind}");
        }
        assert!(!is_streaming(&headers(&[("content-type", "text/html")])));
    }

    proptest! {
        #[test]
        fn any_length_can_be_read(line in "[ -~]{0,24}", exact in any::<Option<u64>>()) {
            let hint = exact.map_or_else(SizeHint::default, SizeHint::with_exact);
            if let Ok(Some(found)) = length(&headers(&[("content-length", &line)]), &hint) {
                prop_assert!(exact.is_none_or(|exact| exact == found));
            }
        }
    }
}
