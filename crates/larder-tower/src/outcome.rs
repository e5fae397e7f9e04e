//! What the cache did for a request.

use std::time::Duration;

use crate::Reason;

/// What the cache did for a request: an extension of every response that passed the layer.
///
/// ```
/// use std::time::Duration;
/// use larder_tower::{CacheOutcome, Reason};
///
/// fn log(response: &http::Response<()>) -> String {
///     match response.extensions().get::<CacheOutcome>() {
///         Some(CacheOutcome::Hit { age }) => format!("from the cache, {} s old", age.as_secs()),
///         Some(CacheOutcome::NotStored(why)) => format!("not cached: {why}"),
///         other => format!("{other:?}"),
///     }
/// }
/// let mut response = http::Response::new(());
/// response.extensions_mut().insert(CacheOutcome::NotStored(Reason::SetCookie));
/// assert_eq!(log(&response), "not cached: set_cookie");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CacheOutcome {
    /// The response came from the cache, or from the handler's answer to another request that asked for the same.
    Hit {
        /// How old it is; zero where it was made while this request waited.
        age: Duration,
    },
    /// The handler ran. Its response is kept: at once, or (a streaming body) as soon as it has passed whole.
    Miss,
    /// The handler ran, and its response was not kept.
    NotStored(Reason),
    /// The cache was not asked: the handler saw the request as it came.
    Bypass(Reason),
}

impl CacheOutcome {
    /// `hit`, `miss` (also for what was not stored) or `bypass`: what the hit header says.
    ///
    /// ```
    /// use larder_tower::{CacheOutcome, Reason};
    /// assert_eq!(CacheOutcome::Bypass(Reason::Cookie).as_str(), "bypass");
    /// ```
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hit { .. } => "hit",
            Self::Miss | Self::NotStored(_) => "miss",
            Self::Bypass(_) => "bypass",
        }
    }

    /// Why the cache was not asked or the response not kept; `None` for a hit and for a response that is kept.
    ///
    /// ```
    /// use larder_tower::{CacheOutcome, Reason};
    /// assert_eq!(CacheOutcome::NotStored(Reason::Vary).reason(), Some(Reason::Vary));
    /// assert_eq!(CacheOutcome::Miss.reason(), None);
    /// ```
    pub const fn reason(self) -> Option<Reason> {
        match self {
            Self::NotStored(reason) | Self::Bypass(reason) => Some(reason),
            Self::Hit { .. } | Self::Miss => None,
        }
    }
}
