//! The holes that caching layers have been found to have: each is one test, named after it.

use http::{Response, StatusCode};
use larder_tower::{CacheOutcome, Reason};

use crate::site::{Body, Site, request, respond, respond_with};

/// A site that answers each request with its number, and these headers.
fn counting(headers: &'static [(&'static str, &'static str)]) -> Site {
    Site::new(move |_, call| respond_with(headers, call.to_string()))
}

async fn assert_not_stored(headers: &'static [(&'static str, &'static str)], reason: Reason) {
    let site = counting(headers);
    assert_eq!(site.get("/").await.outcome, CacheOutcome::NotStored(reason), "{headers:?}");
    assert_eq!(site.get("/").await.body, "2", "{headers:?}");
}

async fn assert_bypass(headers: &[(&str, &str)], reason: Reason) {
    let site = counting(&[]);
    site.get("/").await;
    let answer = site.get_with("/", headers).await;
    assert_eq!((answer.outcome, answer.body.as_str()), (CacheOutcome::Bypass(reason), "2"), "{headers:?}");
    assert_eq!(site.get("/").await.body, "1", "what went past the cache did not get into it");
}

#[tokio::test]
async fn another_query_is_not_served() {
    let site = Site::new(|head, _| respond(head.uri.to_string()));
    assert_eq!(site.get("/?q=1").await.body, "/?q=1");
    assert_eq!(site.get("/?q=2").await.body, "/?q=2");
    assert_eq!(site.get("/").await.body, "/");
    assert_eq!(site.get("/?").await.body, "/?");
    assert_eq!(site.get("/?q=1").await.body, "/?q=1");
    assert_eq!(site.calls(), 4);
}

#[tokio::test]
async fn another_host_is_not_served() {
    let site = Site::new(|head, _| respond(format!("{:?}", head.headers["host"])));
    for host in ["a.org", "b.org"] {
        assert_eq!(site.get_with("/", &[("host", host)]).await.body, format!("{host:?}"));
    }
    assert_eq!(site.get_with("/", &[("host", "A.ORG:80")]).await.body, "\"a.org\"");
    assert_eq!(site.calls(), 2);
}

#[tokio::test]
async fn a_request_whose_host_is_unclear_goes_past() {
    assert_bypass(&[("host", "a@b")], Reason::Host).await;
    let site = counting(&[]);
    let mut twice = request("GET", "/", &[("host", "a.org")]);
    twice.headers_mut().append("host", "b.org".parse().unwrap());
    assert_eq!(site.send(twice).await.outcome, CacheOutcome::Bypass(Reason::Host));
    let no_path = request("GET", "*", &[("host", "a.org")]);
    assert_eq!(site.send(no_path).await.outcome, CacheOutcome::Bypass(Reason::Host));
    let two = request("GET", "http://a.org/", &[("host", "b.org")]);
    assert_eq!(site.send(two).await.outcome, CacheOutcome::Bypass(Reason::Host));
}

#[tokio::test]
async fn post_reaches_the_handler_and_is_not_stored() {
    let site = counting(&[("cache-control", "max-age=60")]);
    for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PURGE"] {
        let before = site.calls();
        for _ in 0..2 {
            let answer = site.send(request(method, "/", &[])).await;
            assert_eq!(answer.outcome, CacheOutcome::Bypass(Reason::Method));
        }
        assert_eq!(site.calls(), before + 2, "{method}");
    }
    assert_eq!(site.get("/").await.outcome, CacheOutcome::Miss);
}

#[tokio::test]
async fn head_does_not_poison_get() {
    let site =
        Site::new(|head, call| respond(if head.method == "HEAD" { String::new() } else { call.to_string() }));
    let head = site.send(request("HEAD", "/", &[])).await;
    assert_eq!(head.outcome, CacheOutcome::NotStored(Reason::Head));
    assert_eq!(site.get("/").await.body, "2");
    let head = site.send(request("HEAD", "/", &[])).await;
    assert!(matches!(head.outcome, CacheOutcome::Hit { .. }), "GET and HEAD share an entry");
    assert_eq!((head.body.as_str(), head.headers["content-length"].to_str().unwrap()), ("", "1"));
}

#[tokio::test]
async fn set_cookie_is_not_replayed() {
    assert_not_stored(&[("set-cookie", "session=1")], Reason::SetCookie).await;
}

#[tokio::test]
async fn authorization_is_not_shared() {
    assert_bypass(&[("authorization", "Bearer a")], Reason::Authorization).await;
    assert_bypass(&[("proxy-authorization", "Basic a")], Reason::Authorization).await;
    // The key of an API, and what a proxy that has checked who asks says of it.
    for name in ["x-api-key", "Remote-User", "x-forwarded-email", "cf-access-jwt-assertion", "X-Client-Cert"]
    {
        assert_bypass(&[(name, "a")], Reason::Authorization).await;
    }
}

#[tokio::test]
async fn a_personal_page_is_not_shared_by_cookie() {
    assert_bypass(&[("cookie", "session=1")], Reason::Cookie).await;
    assert_bypass(&[("cookie", "_ga=1; session=1")], Reason::Cookie).await;
}

#[tokio::test]
async fn analytics_cookies_neither_count_nor_show() {
    let site = Site::new(|head, _| respond(format!("{:?}", head.headers.get("cookie"))));
    assert_eq!(site.get_with("/", &[("cookie", "_ga=GA1.1; _gid=2")]).await.body, "None");
    assert!(matches!(site.get("/").await.outcome, CacheOutcome::Hit { .. }));
}

#[tokio::test]
async fn vary_is_respected() {
    for vary in ["accept-language", "Cookie", "Authorization", "Accept-Encoding, Host"] {
        let site = Site::new(move |_, call| {
            respond_with(&[("vary", vary), ("cache-control", "max-age=60")], call.to_string())
        });
        assert_eq!(site.get("/").await.outcome, CacheOutcome::NotStored(Reason::Vary), "{vary}");
    }
    let site = counting(&[("vary", "Host, Connection")]);
    assert!(site.caches("/", &[]).await, "the host is in every key");
}

#[tokio::test]
async fn vary_star_is_not_served() {
    assert_not_stored(&[("vary", "*")], Reason::Vary).await;
}

#[tokio::test]
async fn variants_live_side_by_side() {
    let site = Site::with(
        |layer| layer.vary_header("Accept-Language"),
        |head, _| {
            let language =
                head.headers.get("accept-language").map_or("none", |value| value.to_str().unwrap());
            respond_with(&[("vary", "accept-language")], language)
        },
    );
    for _ in 0..2 {
        assert_eq!(site.get_with("/", &[("accept-language", "de")]).await.body, "de");
        assert_eq!(site.get_with("/", &[("accept-language", "en")]).await.body, "en");
        assert_eq!(site.get("/").await.body, "none");
    }
    assert_eq!(site.calls(), 3);
}

#[tokio::test]
async fn an_encoded_body_without_vary_counts_as_varying() {
    assert_not_stored(&[("content-encoding", "gzip")], Reason::Vary).await;
    let site = Site::with(
        |layer| layer.vary_header("accept-encoding"),
        |_, call| {
            respond_with(&[("content-encoding", "gzip"), ("vary", "accept-encoding")], call.to_string())
        },
    );
    assert!(site.caches("/", &[]).await);
    assert!(counting(&[("content-encoding", "identity")]).caches("/", &[]).await);
}

#[tokio::test]
async fn no_store_private_and_no_cache_in_any_case() {
    for control in
        ["no-store", "private", "no-cache", "Private", "NO-STORE", "max-age=9, No-Cache=\"set-cookie\""]
    {
        let site = Site::new(move |_, call| respond_with(&[("cache-control", control)], call.to_string()));
        assert!(!site.caches("/", &[]).await, "{control}");
    }
    for control in ["public, max-age=60", "x=\"no-store, private\"", "max-age=0"] {
        let site = Site::new(move |_, call| respond_with(&[("cache-control", control)], call.to_string()));
        assert!(site.caches("/", &[]).await, "the layer's timeout decides: {control}");
    }
}

#[tokio::test]
async fn a_partial_response_is_not_served_whole() {
    let site = Site::new(|_, _| {
        Response::builder().status(206).header("content-range", "bytes 0-0/9").body(Body::from("a")).unwrap()
    });
    assert_eq!(site.get("/").await.outcome, CacheOutcome::NotStored(Reason::Partial));
    assert_not_stored(&[("content-range", "bytes 0-0/9")], Reason::Partial).await;
    assert_bypass(&[("range", "bytes=0-0")], Reason::Range).await;
}

#[tokio::test]
async fn a_conditional_request_fills_with_the_whole_response() {
    let site = Site::new(|head, _| {
        let conditional = ["if-none-match", "if-modified-since", "if-range"]
            .iter()
            .any(|name| head.headers.contains_key(*name));
        let mut response = respond_with(&[("etag", "\"a\"")], "whole");
        if conditional {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        }
        response
    });
    let conditions = [("if-none-match", "\"a\""), ("if-modified-since", "Sun, 06 Nov 1994 08:49:37 GMT")];
    let first = site.get_with("/", &conditions).await;
    assert_eq!((first.status, first.body.as_str()), (StatusCode::OK, "whole"));
    let again = site.get_with("/", &conditions).await;
    assert_eq!((again.status, again.body.as_str()), (StatusCode::NOT_MODIFIED, ""));
    assert_eq!(again.headers["etag"], "\"a\"");
    assert!(!again.headers.contains_key("content-length"));
    assert_eq!(site.get("/").await.body, "whole");
    assert_eq!(site.calls(), 1);
    assert_bypass(&[("if-match", "\"a\"")], Reason::Precondition).await;
}

#[tokio::test]
async fn errors_are_not_stored() {
    for status in [201, 204, 301, 302, 304, 400, 403, 404, 405, 410, 414, 500, 502, 503] {
        let site = Site::new(move |_, _| Response::builder().status(status).body(Body::default()).unwrap());
        assert_eq!(site.get("/").await.outcome, CacheOutcome::NotStored(Reason::Status), "{status}");
        assert!(!site.caches("/", &[]).await, "{status}");
    }
}

#[tokio::test]
async fn a_client_cannot_force_a_miss() {
    let site = counting(&[]);
    site.get("/").await;
    for header in
        [("cache-control", "no-cache"), ("cache-control", "no-store, max-age=0"), ("pragma", "no-cache")]
    {
        assert_eq!(site.get_with("/", &[header]).await.body, "1");
    }
}

#[tokio::test]
async fn age_is_sent() {
    let site = Site::new(|_, _| respond_with(&[("age", "30")], "x"));
    site.get("/").await;
    assert_eq!(site.get("/").await.headers["age"], "30", "it came from a cache further in");
    site.clock.advance(std::time::Duration::from_millis(12_900));
    let answer = site.get("/").await;
    assert_eq!(answer.headers.get_all("age").iter().collect::<Vec<_>>(), ["42"]);
    assert_eq!(answer.outcome, CacheOutcome::Hit { age: std::time::Duration::from_millis(42_900) });
    assert_eq!(counting(&[("age", "99999999999999999999999")]).get("/").await.outcome, CacheOutcome::Miss);
}

#[tokio::test]
async fn hop_by_hop_headers_stay_with_their_connection() {
    let site = counting(&[
        ("connection", "keep-alive, x-hop"),
        ("keep-alive", "timeout=5"),
        ("x-hop", "1"),
        ("x-request-id", "7"),
        ("x-kept", "1"),
        ("link", "</a>"),
        ("link", "</b>"),
    ]);
    site.get("/").await;
    let hit = site.get("/").await;
    for gone in ["connection", "keep-alive", "x-hop", "x-request-id"] {
        assert!(!hit.headers.contains_key(gone), "{gone}");
    }
    assert_eq!(hit.headers["x-kept"], "1");
    assert_eq!(hit.headers.get_all("link").iter().count(), 2, "every line is kept");
}

#[tokio::test]
async fn header_bytes_that_are_not_utf8_are_kept() {
    let site = Site::new(|_, _| {
        let mut response = respond("x");
        response.headers_mut().insert("x-bytes", http::HeaderValue::from_bytes(b"\xff\xfe").unwrap());
        response
    });
    site.get("/").await;
    assert_eq!(site.get("/").await.headers["x-bytes"].as_bytes(), b"\xff\xfe");
}

#[tokio::test]
async fn an_unkeyed_override_does_not_poison() {
    let overrides = [
        ("x-forwarded-host", "evil.org"),
        ("forwarded", "host=evil.org"),
        ("x-original-url", "/evil"),
        ("x-rewrite-url", "/evil"),
        ("x-http-method-override", "DELETE"),
        ("x-forwarded-proto", "https"),
    ];
    for (name, value) in overrides {
        let site = Site::new(move |head, _| respond(format!("{:?}", head.headers.get(name))));
        assert_eq!(site.get_with("/", &[(name, value)]).await.body, "None", "{name}");
    }
    let site = Site::with(
        |layer| layer.scheme("https"),
        |head, _| respond(format!("{:?}", head.headers.get("x-forwarded-proto"))),
    );
    assert_eq!(site.get_with("/", &[("x-forwarded-proto", "https")]).await.body, "Some(\"https\")");
}

#[tokio::test]
async fn a_host_in_another_spelling_does_not_poison() {
    for (scheme, spelling) in [("http", "A.Org:80"), ("https", "a.org:443")] {
        let page =
            |head: &http::request::Parts, _| respond(format!("{:?} {}", head.headers.get("host"), head.uri));
        let site = Site::with(|layer| layer.scheme(scheme), page);
        let answer = site.get_with("/x", &[("host", spelling)]).await;
        assert_eq!(answer.body, "Some(\"a.org\") /x", "the spelling that is in the key");
        let site = Site::with(|layer| layer.scheme(scheme), page);
        let answer = site.get(&format!("http://{spelling}/x")).await;
        assert_eq!(answer.body, format!("None {scheme}://a.org/x"));
        let past = site.get_with("/x", &[("host", spelling), ("cookie", "session=1")]).await;
        assert_eq!(past.body, format!("Some({spelling:?}) /x"), "past the cache it is as it came");
    }
}

#[tokio::test]
async fn a_cors_echo_is_not_shared() {
    assert_not_stored(&[("access-control-allow-origin", "https://a.org")], Reason::Cors).await;
    assert!(counting(&[("access-control-allow-origin", "*")]).caches("/", &[]).await);
    let site = Site::with(
        |layer| layer.vary_header("origin"),
        |head, _| {
            let origin = head.headers["origin"].to_str().unwrap();
            respond_with(&[("access-control-allow-origin", origin), ("vary", "origin")], origin)
        },
    );
    assert!(site.caches("/", &[("origin", "https://a.org")]).await);
    assert_eq!(site.get_with("/", &[("origin", "https://b.org")]).await.body, "https://b.org");
}

#[tokio::test]
async fn a_get_with_a_body_goes_past() {
    assert_bypass(&[("content-length", "5")], Reason::RequestBody).await;
    assert_bypass(&[("transfer-encoding", "chunked")], Reason::RequestBody).await;
    let site = counting(&[]);
    let fat = request("GET", "/", &[]).map(|_| Body::from("body"));
    assert_eq!(site.send(fat).await.outcome, CacheOutcome::Bypass(Reason::RequestBody));
    assert!(site.caches("/", &[("content-length", "0")]).await);
}

#[tokio::test]
async fn upgrades_go_past() {
    assert_bypass(&[("connection", "upgrade"), ("upgrade", "websocket")], Reason::Upgrade).await;
    let site = Site::new(|_, _| Response::builder().status(101).body(Body::default()).unwrap());
    assert_eq!(site.get("/").await.outcome, CacheOutcome::NotStored(Reason::Upgrade));
}

#[tokio::test]
async fn oversized_requests_have_no_key() {
    let site = counting(&[]);
    let parameters = vec!["a=1"; 65].join("&");
    for path in [format!("/{}", "a".repeat(8 * 1024)), format!("/?{parameters}")] {
        for _ in 0..2 {
            assert_eq!(site.get(&path).await.outcome, CacheOutcome::Bypass(Reason::KeyTooLarge));
        }
    }
    assert_eq!(site.calls(), 4);
    let site = Site::with(|layer| layer.vary_header("accept-language"), |_, _| respond("x"));
    for (len, is_cached) in [(1024, true), (1025, false)] {
        assert_eq!(site.caches("/", &[("accept-language", &"a".repeat(len))]).await, is_cached);
    }
}

#[tokio::test]
async fn paths_are_not_normalised() {
    let site = Site::new(|head, _| respond(head.uri.path()));
    for path in ["/a", "/a/", "/a/.", "/a//", "/a;x", "/%61", "/a%2f", "/a%2F", "/A", "/a/../b"] {
        assert_eq!(site.get(path).await.body, path);
        assert!(matches!(site.get(path).await.outcome, CacheOutcome::Hit { .. }), "{path}");
    }
}

#[tokio::test]
async fn streaming_types_are_not_stored() {
    for kind in ["text/event-stream", "application/grpc-web", "Multipart/X-Mixed-Replace; boundary=a"] {
        let site = Site::new(move |_, call| respond_with(&[("content-type", kind)], call.to_string()));
        assert_eq!(site.get("/").await.outcome, CacheOutcome::NotStored(Reason::Streaming), "{kind}");
    }
}
