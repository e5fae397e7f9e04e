//! The pages, as HTML.

use std::fmt::Write as _;
use std::io::Write as _;

use axum::body::Body;
use axum::http::{HeaderMap, Response, StatusCode};
use larder::Stats;

use crate::docs::Document;
use crate::layout::{escape, in_path, page, plain, wants_html};
use crate::markdown;
use crate::report::Report;
use crate::search::{Found, Fragment};
use crate::users::{User, Users};

/// The list of all documents.
pub fn index(documents: &[Document]) -> Response<Body> {
    let items: String = documents.iter().map(|document| item(&document.path, &document.title, "")).collect();
    page(StatusCode::OK, "Documents", &format!("<h1>Documents</h1>\n<ul>\n{items}</ul>"))
}

/// A document.
pub fn document(document: &Document) -> Response<Body> {
    let body = format!(
        "<p class=\"note\">{}</p>\n<article>\n{}</article>",
        escape(&document.path),
        markdown::to_html(&document.source)
    );
    page(StatusCode::OK, &document.title, &body)
}

/// What a search for `query` in `total` documents found.
pub fn search(query: &str, found: &[Found], total: usize) -> Response<Body> {
    let items: String = found.iter().map(|hit| item(&hit.path, &hit.title, &marked(&hit.snippet))).collect();
    let query = escape(query);
    let body = format!(
        "<h1>Search</h1>\n<form><input type=\"search\" name=\"q\" value=\"{query}\" aria-label=\"Search\"></form>\n\
         <p class=\"note\">{} of {total} documents</p>\n<ol>\n{items}</ol>",
        found.len()
    );
    page(StatusCode::OK, "Search", &body)
}

/// Someone in the directory, or that there is no such person.
pub fn user(user: Option<&User>) -> Response<Body> {
    let others: Vec<_> = Users::names().map(|name| format!("<a href=\"/user/{name}\">{name}</a>")).collect();
    let others = others.join(" ");
    let Some(user) = user else {
        let body = format!("<h1>Not found</h1>\n<p>The directory knows: {others}</p>");
        return page(StatusCode::NOT_FOUND, "Not found", &body);
    };
    let (full_name, known_for) = (escape(&user.full_name), escape(&user.known_for));
    let body = format!(
        "<h1>{full_name}</h1>\n<p>Born in {}, known for {known_for}.</p>\n<p class=\"note\">{others}</p>",
        user.born
    );
    page(StatusCode::OK, &user.full_name, &body)
}

/// What the cache was good for: a page for a browser, JSON for everything else.
pub fn stats(headers: &HeaderMap, stats: &Stats) -> Response<Body> {
    let Stats { hits, misses, loads, joined, evictions, time_saved, .. } = *stats;
    let ratio = stats.hit_ratio();
    let saved = time_saved.as_secs_f64();
    if !wants_html(headers) {
        let ratio = ratio.map_or("null".to_owned(), |ratio| format!("{ratio:.4}"));
        let json = format!(
            "{{\"hits\": {hits}, \"misses\": {misses}, \"hit_ratio\": {ratio}, \"loads\": {loads}, \
             \"joined\": {joined}, \"evictions\": {evictions}, \"time_saved_seconds\": {saved:.3}}}\n"
        );
        return plain("application/json", json);
    }
    let ratio = ratio.map_or("no reads yet".to_owned(), |ratio| format!("{:.1} %", ratio * 100.0));
    let rows = [
        ("Hit ratio", ratio),
        ("Time saved", format!("{saved:.3} s")),
        ("Hits", hits.to_string()),
        ("Misses", misses.to_string()),
        ("Loads", loads.to_string()),
        ("Callers who joined a running load", joined.to_string()),
        ("Evictions", evictions.to_string()),
    ];
    let rows: Vec<_> =
        rows.iter().map(|(name, value)| format!("<tr><th>{name}</th><td>{value}</td></tr>")).collect();
    page(
        StatusCode::OK,
        "Statistics",
        &format!("<h1>Statistics</h1>\n<table>\n{}\n</table>", rows.join("\n")),
    )
}

/// That the cache is empty now.
pub fn emptied(headers: &HeaderMap) -> Response<Body> {
    if wants_html(headers) {
        page(
            StatusCode::OK,
            "Emptied",
            "<h1>The cache is empty</h1>\n<p>The next look at each page is slow again.</p>",
        )
    } else {
        plain("text/plain; charset=utf-8", "The cache is empty.\n".to_owned())
    }
}

/// Something is wrong with the request.
pub fn error(status: StatusCode, message: &str) -> Response<Body> {
    let name = status.canonical_reason().unwrap_or("Error");
    page(status, name, &format!("<h1>{}</h1>\n<p>{}</p>", escape(name), escape(message)))
}

/// Something is wrong with the server. The reader learns that, the terminal learns what.
pub fn broken(report: &Report) -> Response<Body> {
    let text = format!("error: {report:?}\n");
    // A terminal that was closed is no reason to stop answering, and there is nowhere else to say so.
    let _closed = std::io::stderr().lock().write_all(text.as_bytes());
    error(StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong; the server's log says what.")
}

fn item(path: &str, title: &str, snippet: &str) -> String {
    format!(
        "<li><a href=\"/docs/{}\">{}</a> <span class=\"note\">{}</span><br>{snippet}</li>\n",
        in_path(path),
        escape(title),
        escape(path)
    )
}

fn marked(snippet: &[Fragment]) -> String {
    let mut html = String::new();
    for fragment in snippet {
        match fragment {
            Fragment::Text(text) => write!(html, "{}", escape(text)),
            Fragment::Match(text) => write!(html, "<mark>{}</mark>", escape(text)),
        }
        .expect("writing to a string cannot fail");
    }
    html
}
