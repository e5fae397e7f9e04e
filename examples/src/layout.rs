//! The frame around every page, and the escaping of what goes into it.

use std::fmt::{self, Display, Write as _};

use axum::body::Body;
use axum::http::header::{ACCEPT, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, Response, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

const IN_A_PATH: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A whole page: `body` is HTML, `title` is text.
///
/// The policy header lets nothing run and nothing load but images, in case a document ever gets past the escaping.
pub fn page(status: StatusCode, title: &str, body: &str) -> Response<Body> {
    let mut html = String::with_capacity(body.len() + 2048);
    frame(&mut html, title, body).expect("writing to a string cannot fail");
    Response::builder()
        .status(status)
        .header(CONTENT_TYPE, "text/html; charset=utf-8")
        .header(X_CONTENT_TYPE_OPTIONS, "nosniff")
        .header(
            CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' https:; form-action 'self'; base-uri 'none'",
        )
        .body(Body::from(html))
        .expect("these headers are valid")
}

/// A few words, or JSON, for `curl` and scripts.
pub fn plain(content_type: &'static str, body: String) -> Response<Body> {
    Response::builder()
        .header(CONTENT_TYPE, content_type)
        .header(X_CONTENT_TYPE_OPTIONS, "nosniff")
        .body(Body::from(body))
        .expect("these headers are valid")
}

/// Whether the client asked for HTML by name, as browsers do and `curl` does not.
pub fn wants_html(headers: &HeaderMap) -> bool {
    headers.get_all(ACCEPT).iter().any(|value| value.to_str().is_ok_and(|value| value.contains("text/html")))
}

/// Text as HTML, fit for an element or a quoted attribute.
pub fn escape(text: &str) -> impl Display {
    fmt::from_fn(move |f| {
        for c in text.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    })
}

/// Text as a part of a URL's path.
pub fn in_path(text: &str) -> impl Display {
    utf8_percent_encode(text, IN_A_PATH)
}

fn frame(out: &mut String, title: &str, body: &str) -> fmt::Result {
    let title = escape(title);
    write!(
        out,
        r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} · Larder</title>
<style>{STYLE}</style>
</head>
<body>
<header>
<a href="/">Documents</a> <a href="/user/ada">A user</a> <a href="/stats">Statistics</a>
<form action="/search"><input type="search" name="q" aria-label="Search" placeholder="Search"></form>
<form action="/reset" method="post"><button>Empty the cache</button></form>
</header>
<main>
{body}
</main>
</body>
</html>
"#
    )
}

const STYLE: &str = "\
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 52rem; margin: 0 auto; padding: 1rem; color: #222; }
header { display: flex; flex-wrap: wrap; gap: 1rem; align-items: center; border-bottom: 1px solid #ccc; padding-bottom: .5rem; }
a { color: #0550ae; }
pre { background: #f4f4f4; padding: .75rem; overflow-x: auto; }
code { font-size: .9em; }
table { border-collapse: collapse; display: block; overflow-x: auto; }
td, th { border: 1px solid #ccc; padding: .25rem .5rem; text-align: left; vertical-align: top; }
mark { background: #ffe08a; }
.note { color: #666; font-size: .9em; }
";
