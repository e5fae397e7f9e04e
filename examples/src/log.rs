//! A line on the terminal for every request.

use std::io::{self, Write as _};
use std::time::{Duration, Instant};

use axum::extract::Request;
use axum::http::{Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::Response;

/// The response header that says `hit` or `miss`. The log reads it, and `curl -i` shows it.
pub const CACHE_HEADER: &str = "x-cache";

/// Prints each request once it is answered; made for [`axum::middleware::from_fn`].
#[expect(
    clippy::disallowed_methods,
    reason = "the duration is for the reader's eyes; nothing is decided by it"
)]
pub async fn requests(request: Request, next: Next) -> Response {
    let started = Instant::now();
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let response = next.run(request).await;
    let cache = response.headers().get(CACHE_HEADER).and_then(|value| value.to_str().ok());
    let mut text = line(&method, &uri, response.status(), cache, started.elapsed());
    text.push('\n');
    // A terminal that was closed is no reason to stop answering, and there is nowhere else to say so.
    let _closed = io::stdout().lock().write_all(text.as_bytes());
    response
}

/// The line itself: method, status, hit or miss, duration, path and query.
pub fn line(method: &Method, uri: &Uri, status: StatusCode, cache: Option<&str>, took: Duration) -> String {
    let target = uri.path_and_query().map_or("/", |target| target.as_str());
    let cache = cache.unwrap_or("-");
    format!(
        "{:<5}{:<5}{:<8}{took:>9.1?}  {}",
        method.as_str(),
        status.as_u16(),
        printable(cache),
        printable(target)
    )
}

/// Nothing a client sends may move the cursor.
fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}
