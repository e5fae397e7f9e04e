//! A web site that is fast because what it makes is cached.
//!
//! `cargo run --example quickstart`, then `curl localhost:3000/user/ada`, twice. `-- --help` lists the options.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use larder::tower::CacheLayer;
use larder::{Cache, Source, Timeout};
use larder_examples::log::CACHE_HEADER;
use larder_examples::{Args, Report, Site, pages, serve};

#[tokio::main]
async fn main() -> Result<(), Report> {
    let args = Args::from_env();
    // The store is whatever the address or the file says; nothing below knows which.
    let cache = args.cache()?.connect().await?;
    let site = Site::open(&args.root, Duration::from_secs(1))?;
    serve(args.port, app(cache, site, args.timeout)?).await?;
    Ok(())
}

pub(crate) fn app(cache: Cache, site: Site, timeout: Timeout) -> Result<Router, Report> {
    // Whole pages: a layer around handlers that know nothing of it.
    let pages =
        CacheLayer::builder(cache.namespace("pages")?).timeout(timeout).hit_header(CACHE_HEADER).build()?;
    let documents = Router::new()
        .route("/", get(Site::index))
        .route("/docs/{*path}", get(Site::document))
        .route("/search", get(Site::search))
        .layer(pages)
        .with_state(site.clone());

    let users = cache.namespace("users")?;
    Ok(Router::new()
        .route("/user/{name}", get(user))
        .route("/stats", get(stats))
        .route("/reset", post(reset))
        .fallback(Site::not_found)
        .with_state(App { cache, users, site, timeout })
        .merge(documents))
}

#[derive(Clone)]
struct App {
    cache: Cache,
    users: Cache,
    site: Site,
    timeout: Timeout,
}

/// One value: looked up once, however many ask for it at the same time, then kept.
async fn user(State(app): State<App>, Path(name): Path<String>) -> Result<Response, Report> {
    let directory = Arc::clone(app.site.users());
    let who = name.clone();
    let look_up = || async move { Ok::<_, Infallible>(directory.lookup(&who).await) };
    let user = app.users.get_or_load_with(&name, app.timeout, look_up).await?;

    let loaded_here = matches!(user.source(), Source::Loaded(_));
    let header = (CACHE_HEADER, if loaded_here { "miss" } else { "hit" });
    Ok(([header], pages::user(user.as_ref())).into_response())
}

/// Empties the cache. A lookup that is running now will not put its result back.
async fn reset(State(app): State<App>, headers: HeaderMap) -> Result<Response, Report> {
    app.cache.clear().await?;
    Ok(pages::emptied(&headers))
}

/// What the cache was good for: hits, misses, time saved.
async fn stats(State(app): State<App>, headers: HeaderMap) -> Response {
    pages::stats(&headers, &app.cache.stats())
}
