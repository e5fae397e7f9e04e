//! The options of the layer.

use std::time::Duration;

use http::{Response, StatusCode};
use larder_core::{ErrorKind, Timeout};
use larder_tower::{
    Authorization, CacheLayer, CacheLayerBuilder, CacheOutcome, CacheTimeout, Cookies, KeyPart, NoStore,
    Query, Reason,
};

use crate::site::{Body, Site, cache, request, respond, respond_with};

fn counting(options: impl FnOnce(CacheLayerBuilder) -> CacheLayerBuilder) -> Site {
    Site::with(options, |_, call| respond(call.to_string()))
}

/// A site whose pages show the request as the handler saw it.
fn mirror(options: impl FnOnce(CacheLayerBuilder) -> CacheLayerBuilder) -> Site {
    Site::with(options, |head, _| {
        let mut headers: Vec<_> = head.headers.iter().filter(|(name, _)| *name != "host").collect();
        headers.sort_by_key(|(name, _)| name.as_str());
        respond(format!("{} {headers:?}", head.uri))
    })
}

#[tokio::test]
async fn the_timeout_is_the_layers_or_the_caches() {
    let site = counting(|layer| layer.timeout(Duration::from_mins(1)));
    site.get("/").await;
    site.clock.advance(Duration::from_secs(59));
    assert_eq!(site.get("/").await.body, "1");
    site.clock.advance(Duration::from_secs(1));
    assert_eq!(site.get("/").await.body, "2");

    let default = counting(|layer| layer);
    default.get("/").await;
    default.clock.advance(Duration::from_secs(299));
    assert_eq!(default.get("/").await.body, "1");
    default.clock.advance(Duration::from_secs(1));
    assert_eq!(default.get("/").await.body, "2");

    let never = counting(|layer| layer.timeout(Timeout::Never));
    never.get("/").await;
    never.clock.advance(Duration::from_secs(1 << 30));
    assert_eq!(never.get("/").await.body, "1");
}

#[tokio::test]
async fn a_response_can_have_its_own_timeout() {
    let site = Site::new(|head, call| {
        let mut response = respond(call.to_string());
        match head.uri.path() {
            "/short" => drop(response.extensions_mut().insert(CacheTimeout(Duration::from_secs(1)))),
            "/zero" => drop(response.extensions_mut().insert(CacheTimeout(Duration::ZERO))),
            _ => drop(response.extensions_mut().insert(NoStore)),
        }
        response
    });
    assert!(site.caches("/short", &[]).await);
    site.clock.advance(Duration::from_secs(1));
    assert_eq!(site.get("/short").await.outcome, CacheOutcome::Miss);
    assert_eq!(site.get("/zero").await.outcome, CacheOutcome::NotStored(Reason::ZeroTimeout));
    assert_eq!(site.get("/never").await.outcome, CacheOutcome::NotStored(Reason::NoStore));
}

#[tokio::test]
async fn the_handler_sees_the_query_that_is_in_the_key() {
    for (query, sent, seen) in [
        (Query::Exact, "/?b=1&a=2", "/?b=1&a=2"),
        (Query::Sorted, "/?b=1&a=2", "/?a=2&b=1"),
        (Query::Only(["a"].into()), "/?b=1&a=2", "/?a=2"),
        (Query::Except(["a"].into()), "/?b=1&a=2", "/?b=1"),
        (Query::Ignore, "/?b=1&a=2", "/"),
        (Query::Ignore, "http://localhost/?b=1", "http://localhost/"),
    ] {
        let site = mirror(|layer| layer.query(query.clone()));
        assert_eq!(site.get(sent).await.body, format!("{seen} []"), "{query:?}");
        assert!(matches!(site.get(seen).await.outcome, CacheOutcome::Hit { .. }), "{query:?}");
    }
}

#[tokio::test]
async fn a_request_past_the_cache_is_seen_as_it_came() {
    let site = mirror(|layer| layer.query(Query::Ignore).unless(|head| head.headers.contains_key("x-past")));
    let headers =
        [("x-past", "1"), ("if-none-match", "\"a\""), ("x-forwarded-host", "b"), ("cookie", "_ga=1")];
    let answer = site.get_with("/?q=1", &headers).await;
    assert_eq!(answer.outcome, CacheOutcome::Bypass(Reason::Unless));
    for part in ["/?q=1", "if-none-match", "x-forwarded-host", "_ga=1"] {
        assert!(answer.body.contains(part), "{part}");
    }
}

#[tokio::test]
async fn unless_and_key_functions_can_refuse() {
    let site = counting(|layer| {
        layer.unless(|head| head.uri.path() == "/admin").key_with(|head| match head.headers.get("x-tenant") {
            Some(tenant) => KeyPart::new(tenant.as_bytes()),
            None => KeyPart::bypass(),
        })
    });
    let tenant = |name| [("x-tenant", name)];
    assert_eq!(site.get_with("/admin", &tenant("a")).await.outcome, CacheOutcome::Bypass(Reason::Unless));
    assert_eq!(site.get("/").await.outcome, CacheOutcome::Bypass(Reason::KeyPart));
    assert!(site.caches("/", &tenant("a")).await);
    assert_eq!(site.get_with("/", &tenant("b")).await.outcome, CacheOutcome::Miss);
    let long = "a".repeat(KeyPart::MAX_LEN + 1);
    assert_eq!(site.get_with("/", &tenant(&long)).await.outcome, CacheOutcome::Bypass(Reason::KeyTooLarge));
}

#[tokio::test]
async fn a_forced_update_replaces_the_entry() {
    let site = counting(|layer| layer.forced_update(|head| head.headers.contains_key("x-refresh")));
    site.get("/").await;
    let forced = site.get_with("/", &[("x-refresh", "1")]).await;
    assert_eq!((forced.outcome, forced.body.as_str()), (CacheOutcome::Miss, "2"));
    assert_eq!(site.get("/").await.body, "2");
}

#[tokio::test]
async fn the_response_filter_is_asked_last() {
    let site = Site::with(
        |layer| {
            layer.response_filter(|head| {
                assert!(
                    !head.headers.contains_key("set-cookie"),
                    "asked about what may not be stored anyway"
                );
                !head.headers.contains_key("x-debug")
            })
        },
        |head, _| match head.uri.path() {
            "/debug" => respond_with(&[("x-debug", "1")], "x"),
            "/cookie" => respond_with(&[("set-cookie", "a=1")], "x"),
            _ => respond("x"),
        },
    );
    assert_eq!(site.get("/debug").await.outcome, CacheOutcome::NotStored(Reason::ResponseFilter));
    assert_eq!(site.get("/cookie").await.outcome, CacheOutcome::NotStored(Reason::SetCookie));
    assert!(site.caches("/", &[]).await);
}

#[tokio::test]
async fn other_statuses_can_be_stored() {
    let site = Site::with(
        |layer| {
            layer.statuses([StatusCode::NOT_FOUND, StatusCode::MOVED_PERMANENTLY, StatusCode::NO_CONTENT])
        },
        |head, _| {
            let status: u16 = head.uri.path()[1..].parse().unwrap();
            Response::builder().status(status).header("location", "/x").body(Body::default()).unwrap()
        },
    );
    for status in ["/404", "/301", "/204"] {
        assert!(site.caches(status, &[]).await, "{status}");
        assert_eq!(site.get(status).await.status.as_str(), &status[1..]);
    }
    assert!(!site.get("/204").await.headers.contains_key("content-length"));
    assert!(!site.caches("/200", &[]).await);
}

#[tokio::test]
async fn the_hit_header_is_off_until_named() {
    let silent = counting(|layer| layer);
    assert!(silent.get("/").await.headers.is_empty());
    let site = counting(|layer| layer.hit_header("x-cache").unless(|head| head.uri.path() == "/admin"));
    for (path, says) in [("/", "miss"), ("/", "hit"), ("/admin", "bypass")] {
        assert_eq!(site.get(path).await.headers["x-cache"], says);
    }
}

#[tokio::test]
async fn credentials_can_be_ignored_or_keyed() {
    let site = mirror(|layer| layer.authorization(Authorization::Ignore));
    let user = |name| [("authorization", name)];
    assert_eq!(site.get_with("/", &user("a")).await.body, "/ []", "nobody's credentials get into the entry");
    assert!(matches!(site.get_with("/", &user("b")).await.outcome, CacheOutcome::Hit { .. }));
    assert_eq!(
        site.get_with("/api", &[("x-api-key", "a"), ("x-kept", "1")]).await.body,
        "/api [(\"x-kept\", \"1\")]"
    );

    let site = mirror(|layer| layer.vary_header("x-api-key"));
    assert!(site.caches("/", &[("x-api-key", "a")]).await);
    assert_eq!(site.get_with("/", &[("x-api-key", "b")]).await.outcome, CacheOutcome::Miss);

    let site = mirror(|layer| layer.vary_header("authorization"));
    assert!(site.caches("/", &user("a")).await);
    assert!(site.get_with("/", &user("a")).await.body.contains("\"a\""));
    assert_eq!(site.get_with("/", &user("b")).await.outcome, CacheOutcome::Miss);
}

#[tokio::test]
async fn cookies_can_be_ignored_keyed_or_declared_analytics() {
    let cookie = |value| [("cookie", value)];
    let site = mirror(|layer| layer.cookies(Cookies::Ignore));
    assert_eq!(site.get_with("/", &cookie("session=1")).await.body, "/ []");
    assert!(matches!(site.get_with("/", &cookie("session=2")).await.outcome, CacheOutcome::Hit { .. }));

    let site = mirror(|layer| layer.cookies(Cookies::Only(["theme"].into())));
    assert_eq!(
        site.get_with("/", &cookie("session=1; theme=dark")).await.body,
        "/ [(\"cookie\", \"theme=dark\")]"
    );
    assert!(matches!(
        site.get_with("/", &cookie("theme=dark; session=2")).await.outcome,
        CacheOutcome::Hit { .. }
    ));
    assert_eq!(site.get_with("/", &cookie("theme=light")).await.outcome, CacheOutcome::Miss);
    assert_eq!(site.get("/").await.outcome, CacheOutcome::Miss);

    let site = mirror(|layer| layer.analytics_cookies(["mine_*"]));
    assert!(site.caches("/", &cookie("mine_1=a")).await);
    assert_eq!(site.get_with("/", &cookie("_ga=1")).await.outcome, CacheOutcome::Bypass(Reason::Cookie));

    let site = mirror(|layer| layer.vary_header("cookie"));
    assert!(site.caches("/", &cookie("session=1")).await);
    assert_eq!(site.get_with("/", &cookie("session=2")).await.outcome, CacheOutcome::Miss);
}

#[tokio::test]
async fn hidden_headers_can_be_replaced_and_keyed() {
    let site = mirror(|layer| layer.hidden_headers(["x-experiment"]));
    assert_eq!(
        site.get_with("/", &[("x-experiment", "1"), ("x-host", "b")]).await.body,
        "/ [(\"x-host\", \"b\")]"
    );
    let site = mirror(|layer| layer.vary_header("x-forwarded-host"));
    assert!(site.get_with("/", &[("x-forwarded-host", "a")]).await.body.contains("\"a\""));
    assert_eq!(site.get_with("/", &[("x-forwarded-host", "b")]).await.outcome, CacheOutcome::Miss);
}

#[tokio::test]
async fn one_entry_can_be_invalidated_and_all_cleared() {
    let site = counting(|layer| layer);
    site.get("/a").await;
    site.get("/b").await;
    let head = |path| request("POST", path, &[]).into_parts().0;
    assert!(site.layer.invalidate(&head("/a")).await.unwrap());
    assert!(!site.layer.invalidate(&head("/a")).await.unwrap());
    assert_eq!(site.get("/a").await.body, "3");
    assert_eq!(site.get("/b").await.body, "2");
    site.layer.cache().clear().await.unwrap();
    assert_eq!(site.get("/b").await.body, "4");
    let no_host = http::Request::get("/a").body(()).unwrap().into_parts().0;
    assert_eq!(site.layer.invalidate(&no_host).await.unwrap_err().kind(), ErrorKind::InvalidKey);
}

type Options = fn(CacheLayerBuilder) -> CacheLayerBuilder;

#[test]
fn wrong_options_are_named() {
    let wrong: [(&str, Options); 9] = [
        ("timeout", |layer| layer.timeout(Duration::ZERO)),
        ("scheme", |layer| layer.scheme("HTTPS ")),
        ("vary_header", |layer| layer.vary_header("no header")),
        ("vary_header", |layer| layer.vary_header("*")),
        ("hit_header", |layer| layer.hit_header("")),
        ("hidden_headers", |layer| layer.hidden_headers(["a", "b c"])),
        ("statuses", |layer| layer.statuses([])),
        ("statuses", |layer| layer.statuses([StatusCode::OK, StatusCode::PARTIAL_CONTENT])),
        ("statuses", |layer| layer.statuses([StatusCode::NOT_MODIFIED])),
    ];
    for (name, options) in wrong {
        let error = options(CacheLayer::builder(cache().0)).build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains(&format!("`{name}`")), "{error}");
    }
}
