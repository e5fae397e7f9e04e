//! A response as the cache keeps it.

use std::fmt;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use larder_core::{Cacheable, Codec, Result, Timestamp};

use crate::{hop, wire};

/// A response as the cache keeps it: status, headers, the whole body, and when it was made.
///
/// On a store in this process a hit shares it; where a store keeps bytes, it has a binary form of its own, in which the
/// body comes last and is never copied.
///
/// ```
/// use http::{HeaderMap, StatusCode};
/// use larder_core::{Cacheable, Codec, Timestamp};
/// use larder_tower::StoredResponse;
///
/// let stored = StoredResponse::new(StatusCode::OK, HeaderMap::new(), "hello", Timestamp::from_nanos(1));
/// let mut bytes = Vec::new();
/// stored.encode(Codec::default(), &mut bytes)?;
/// assert_eq!(StoredResponse::decode(Codec::default(), bytes.into())?, stored);
/// # Ok::<(), larder_core::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct StoredResponse {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// When the response was made, which is earlier than when it was stored if it came with an `Age`.
    pub(crate) made: Timestamp,
}

/// What an entry weighs besides its text: the maps and pointers around it.
const OVERHEAD: usize = 256;
const OVERHEAD_PER_HEADER: usize = 72;

impl StoredResponse {
    /// A response to store. Headers that belong to a connection are left out, `Content-Length` is set from the body,
    /// and an `Age` moves `now` back.
    ///
    /// ```
    /// use http::{HeaderMap, StatusCode};
    /// use larder_core::Timestamp;
    /// use larder_tower::StoredResponse;
    ///
    /// let mut headers = HeaderMap::new();
    /// headers.insert("connection", "keep-alive".parse()?);
    /// let stored = StoredResponse::new(StatusCode::OK, headers, "hello", Timestamp::from_nanos(1));
    /// assert_eq!(stored.headers()["content-length"], "5");
    /// assert!(!stored.headers().contains_key("connection"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(status: StatusCode, mut headers: HeaderMap, body: impl Into<Bytes>, now: Timestamp) -> Self {
        let body = body.into();
        let made = match headers.get(header::AGE).and_then(age) {
            Some(seconds) => {
                Timestamp::from_nanos(now.as_nanos().saturating_sub(seconds.saturating_mul(1_000_000_000)))
            }
            None => now,
        };
        hop::strip(&mut headers);
        if status == StatusCode::NO_CONTENT {
            headers.remove(header::CONTENT_LENGTH);
        } else {
            headers.insert(header::CONTENT_LENGTH, body.len().into());
        }
        // Every hit sets its own; that the field is there already spares each of them growing the map.
        headers.insert(header::AGE, HeaderValue::from_static("0"));
        Self { status, headers, body, made }
    }

    /// The status.
    ///
    /// ```
    /// # use http::{HeaderMap, StatusCode};
    /// # use larder_core::Timestamp;
    /// let stored = larder_tower::StoredResponse::new(StatusCode::OK, HeaderMap::new(), "", Timestamp::MAX);
    /// assert_eq!(stored.status(), 200);
    /// ```
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The headers. `Age` is zero here; it is set when the response is served.
    ///
    /// ```
    /// # use http::{HeaderMap, StatusCode};
    /// # use larder_core::Timestamp;
    /// let stored = larder_tower::StoredResponse::new(StatusCode::OK, HeaderMap::new(), "hi", Timestamp::MAX);
    /// assert_eq!(stored.headers()["content-length"], "2");
    /// ```
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The body.
    ///
    /// ```
    /// # use http::{HeaderMap, StatusCode};
    /// # use larder_core::Timestamp;
    /// let stored = larder_tower::StoredResponse::new(StatusCode::OK, HeaderMap::new(), "hi", Timestamp::MAX);
    /// assert_eq!(stored.body(), "hi");
    /// ```
    pub fn body(&self) -> &Bytes {
        &self.body
    }
}

/// Digits only: anything else is not an age, and the response is taken for new.
fn age(value: &HeaderValue) -> Option<u64> {
    let text = value.to_str().ok()?.trim();
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(text.parse().unwrap_or(u64::MAX))
}

impl Cacheable for StoredResponse {
    fn encode(&self, _codec: Codec, out: &mut Vec<u8>) -> Result<()> {
        wire::encode(self, out)
    }

    fn decode(_codec: Codec, payload: Bytes) -> Result<Self> {
        wire::decode(payload)
    }

    fn weight(&self) -> Option<usize> {
        let headers: usize = self.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        Some(OVERHEAD + self.headers.len() * OVERHEAD_PER_HEADER + headers + self.body.len())
    }
}

/// Shows what it is, never what it says.
impl fmt::Debug for StoredResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredResponse")
            .field("status", &self.status)
            .field("headers", &self.headers.len())
            .field("body_len", &self.body.len())
            .finish_non_exhaustive()
    }
}
