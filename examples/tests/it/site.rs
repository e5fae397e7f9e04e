use std::path::Path;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response, StatusCode};
use axum::routing::get;
use http_body_util::BodyExt as _;
use larder_examples::{Site, pages};
use tower::ServiceExt as _;

use crate::fixture::directory;

fn app(root: &Path) -> Router {
    Router::new()
        .route("/", get(Site::index))
        .route("/docs/{*path}", get(Site::document))
        .route("/search", get(Site::search))
        .fallback(Site::not_found)
        .with_state(Site::open(root, Duration::ZERO).unwrap())
}

async fn ask(app: &Router, uri: &str) -> (StatusCode, String) {
    let response = app.clone().oneshot(Request::get(uri).body(Body::empty()).unwrap()).await.unwrap();
    (response.status(), text(response).await)
}

async fn text(response: Response<Body>) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().into()).unwrap()
}

#[tokio::test]
async fn pages_show_their_content_and_nothing_a_visitor_or_document_made_of_it() {
    let hostile = "<script>alert('&\"')</script>";
    let root =
        directory("site_pages", &[("a.md", &format!("# {hostile}\n\nwords")), ("b c/d?.md", "# Odd name")]);
    let app = app(&root);

    let (status, index) = ask(&app, "/").await;
    assert_eq!(status, StatusCode::OK);
    assert!(index.contains("href=\"/docs/b%20c/d%3F.md\""), "{index}");

    let (status, odd) = ask(&app, "/docs/b%20c/d%3F.md").await;
    assert_eq!(status, StatusCode::OK);
    assert!(odd.contains("<h1 id=\"odd-name\">Odd name</h1>"), "{odd}");

    let (status, found) = ask(&app, "/search?q=words+%3Cscript%3E%22%27").await;
    assert_eq!(status, StatusCode::OK);
    assert!(found.contains("<mark>words</mark>"), "{found}");
    assert!(found.contains("value=\"words &lt;script&gt;&quot;&#39;\""), "{found}");

    for page in [index, odd, found, ask(&app, "/docs/a.md").await.1] {
        assert!(!page.contains("<script"), "{page}");
    }
}

#[tokio::test]
async fn what_is_not_there_is_404_and_what_is_wrong_is_400() {
    let app = app(&directory("site_errors/root", &[("a.md", "a")]));
    std::fs::write(Path::new(env!("CARGO_TARGET_TMPDIR")).join("site_errors/out.md"), "outside").unwrap();
    for uri in [
        "/docs/no.md",
        "/docs/../out.md",
        "/docs/%2e%2e/out.md",
        "/docs/..%2fout.md",
        "/docs/%00.md",
        "/nothing",
    ] {
        let (status, page) = ask(&app, uri).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{uri}");
        assert!(!page.contains("outside"), "{uri}: {page}");
    }
    let (status, _) = ask(&app, &format!("/search?q={}", "x".repeat(201))).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(ask(&app, "/search").await.0, StatusCode::OK);
    assert_eq!(ask(&app, "/search?q=").await.0, StatusCode::OK);
}

#[tokio::test]
async fn trouble_is_told_without_its_details() {
    let root = directory("site_trouble", &[("a.md", "a")]);
    let app = app(&root);
    std::fs::remove_dir_all(&root).unwrap();
    let (status, page) = ask(&app, "/").await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(!page.contains("os error"), "{page}");
}

#[tokio::test]
async fn this_repository_has_documents_and_they_render() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let app = app(&root);
    assert!(ask(&app, "/").await.1.contains("href=\"/docs/examples/README.md\""));
    assert!(ask(&app, "/docs/examples/README.md").await.1.contains("The demonstration site"));
    let found = ask(&app, "/search?q=demonstration+site").await.1;
    assert!(found.contains("href=\"/docs/examples/README.md\""), "{found}");
}

#[tokio::test]
async fn a_lookup_takes_its_time_is_counted_and_knows_who_is_there() {
    let root = directory("site_users", &[]);
    let site = Site::open(&root, Duration::from_millis(30)).unwrap();
    let started = Instant::now();
    let ada = site.users().lookup("ada").await.unwrap();
    assert!(started.elapsed() >= Duration::from_millis(30));
    assert_eq!(site.users().lookup("<nobody>").await, None);
    assert_eq!(site.users().lookups(), 2);

    let page = pages::user(Some(&ada));
    assert_eq!(page.status(), StatusCode::OK);
    assert!(text(page).await.contains("<h1>Ada Lovelace</h1>"));
    let page = pages::user(None);
    assert_eq!(page.status(), StatusCode::NOT_FOUND);
    assert!(text(page).await.contains("href=\"/user/ada\""));
}
