//! What a handler says about its own response, by putting it into the response's extensions.

use std::time::Duration;

/// How long this response is kept, instead of the layer's timeout: a response extension. Zero is not to keep it.
///
/// With the feature `axum` a handler can also return it in a tuple.
///
/// ```
/// use std::time::Duration;
/// use larder_tower::CacheTimeout;
///
/// let mut response = http::Response::new("today's menu");
/// response.extensions_mut().insert(CacheTimeout(Duration::from_secs(3600)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheTimeout(pub Duration);

/// Do not keep this response: a response extension.
///
/// With the feature `axum` a handler can also return it in a tuple. Other caches and browsers do not see it; to tell
/// them, send `Cache-Control: no-store`, which this layer obeys too.
///
/// ```
/// let mut response = http::Response::new("your cart");
/// response.extensions_mut().insert(larder_tower::NoStore);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NoStore;
