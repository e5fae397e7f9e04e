//! The site's handlers. None of them knows that there is a cache.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path as InPath, Query, State};
use axum::http::{Response, StatusCode};
use axum::response::IntoResponse as _;
use serde::Deserialize;

use crate::docs::Docs;
use crate::pages;
use crate::report::Report;
use crate::search::Index;
use crate::users::Users;

/// The longest query that is searched for, in bytes.
pub const LONGEST_QUERY: usize = 200;
const RESULTS: usize = 20;

/// What the pages are made from. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Site {
    docs: Arc<Docs>,
    users: Arc<Users>,
}

/// The query of `/search`.
#[derive(Debug, Deserialize)]
pub struct Search {
    #[serde(default)]
    q: String,
}

impl Site {
    /// A site over the Markdown files under `root`, with a user directory that takes `lookup` for each look-up.
    ///
    /// Fails when `root` is not a directory that can be read.
    pub fn open(root: &Path, lookup: Duration) -> io::Result<Self> {
        let docs = Docs::open(root).map_err(|error| {
            io::Error::new(error.kind(), format!("cannot read {}: {error}", root.display()))
        })?;
        Ok(Self { docs: Arc::new(docs), users: Arc::new(Users::new(lookup)) })
    }

    /// The slow directory.
    pub fn users(&self) -> &Arc<Users> {
        &self.users
    }

    /// `/`: every document by its title.
    pub async fn index(State(site): State<Self>) -> Response<Body> {
        site.page_of(|docs| Ok(pages::index(&docs.all()?))).await
    }

    /// `/docs/{*path}`: one document, rendered.
    pub async fn document(State(site): State<Self>, InPath(path): InPath<String>) -> Response<Body> {
        site.page_of(move |docs| {
            Ok(match docs.read(&path)? {
                Some(document) => pages::document(&document),
                None => pages::error(StatusCode::NOT_FOUND, "There is no such document."),
            })
        })
        .await
    }

    /// `/search?q=`: the documents that fit, best first.
    pub async fn search(State(site): State<Self>, Query(Search { q }): Query<Search>) -> Response<Body> {
        if q.len() > LONGEST_QUERY {
            return pages::error(StatusCode::BAD_REQUEST, "This is too long to search for.");
        }
        site.page_of(move |docs| {
            let documents = docs.all()?;
            let total = documents.len();
            let found = Index::build(documents).search(&q, RESULTS);
            Ok(pages::search(&q, &found, total))
        })
        .await
    }

    /// Every other path.
    #[expect(clippy::unused_async, reason = "a handler is an async function")]
    pub async fn not_found() -> Response<Body> {
        pages::error(StatusCode::NOT_FOUND, "There is no such page.")
    }

    /// Reads files and makes a page of them, on a thread that may block.
    #[expect(
        clippy::disallowed_methods,
        reason = "reading files blocks, and this is the site's one place that does"
    )]
    async fn page_of<F>(self, work: F) -> Response<Body>
    where
        F: FnOnce(&Docs) -> io::Result<Response<Body>> + Send + 'static,
    {
        let made = tokio::task::spawn_blocking(move || work(&self.docs)).await;
        match made {
            Ok(Ok(page)) => page,
            Ok(Err(error)) => Report::from(error).into_response(),
            Err(error) => Report::from(error).into_response(),
        }
    }
}
