//! Which requests share an entry.

use http::Request;
use larder_core::Key;
use larder_tower::{CacheLayer, Cookies, KeyPart, Query, RequestHead};
use proptest::prelude::*;

use crate::site::{cache, request};

fn layer() -> CacheLayer {
    CacheLayer::builder(cache().0)
        .vary_header("accept-language")
        .vary_header("x-tenant")
        .cookies(Cookies::Only(["theme", "lang"].into()))
        .key_with(|head| match head.headers.get("x-part") {
            Some(part) => KeyPart::new(part.as_bytes()),
            None => KeyPart::absent(),
        })
        .build()
        .unwrap()
}

fn key(layer: &CacheLayer, path: &str, headers: &[(&str, &str)]) -> Option<Key> {
    layer.key_for(&request("GET", path, headers).into_parts().0)
}

/// All that a key holds, in the form in which two requests are the same.
#[derive(Clone, Debug, PartialEq)]
struct Fields {
    host: String,
    path: String,
    query: Option<String>,
    language: Vec<String>,
    tenant: Vec<String>,
    theme: Option<String>,
    lang: Option<String>,
    part: Option<String>,
}

fn fields() -> impl Strategy<Value = Fields> {
    let text = "[ab.]{0,2}";
    let lines = || proptest::collection::vec(text, 0..3);
    let option = || proptest::option::of(text);
    (("[ab]{1,2}", "[ab/]{0,3}", option()), (lines(), lines()), (option(), option(), option())).prop_map(
        |((host, path, query), (language, tenant), (theme, lang, part))| Fields {
            host,
            path: format!("/{path}"),
            query,
            language,
            tenant,
            theme,
            lang,
            part,
        },
    )
}

fn head(fields: &Fields) -> RequestHead {
    let target =
        fields.path.clone() + &fields.query.as_ref().map_or(String::new(), |query| format!("?{query}"));
    let mut request = Request::get(target).header("host", &fields.host);
    for (name, lines) in [("accept-language", &fields.language), ("x-tenant", &fields.tenant)] {
        for line in lines {
            request = request.header(name, line);
        }
    }
    for (name, value) in [("lang", &fields.lang), ("theme", &fields.theme)] {
        if let Some(value) = value {
            request = request.header("cookie", format!("{name}={value}"));
        }
    }
    if let Some(part) = &fields.part {
        request = request.header("x-part", part);
    }
    request.body(()).unwrap().into_parts().0
}

proptest! {
    #[test]
    fn requests_that_differ_in_what_the_key_holds_never_share_one(one in fields(), two in fields()) {
        let layer = layer();
        let (first, second) = (layer.key_for(&head(&one)), layer.key_for(&head(&two)));
        prop_assert!(first.is_some());
        prop_assert_eq!(one == two, first == second);
    }
}

#[test]
fn fields_do_not_run_into_each_other() {
    let layer = layer();
    let keys = [
        key(&layer, "/a?b", &[]),
        key(&layer, "/a", &[("accept-language", "b")]),
        key(&layer, "/a", &[("x-tenant", "b")]),
        key(&layer, "/a", &[("x-part", "b")]),
        key(&layer, "/a", &[("cookie", "theme=b")]),
        key(&layer, "/a", &[("cookie", "lang=b")]),
        key(&layer, "/ab", &[]),
        key(&layer, "/a", &[("host", "b")]),
        key(&layer, "/a", &[]),
        key(&layer, "/a?", &[]),
        key(&layer, "/a", &[("accept-language", "")]),
        key(&layer, "/a", &[("accept-language", "a"), ("accept-language", "b")]),
        key(&layer, "/a", &[("accept-language", "ab")]),
        key(&layer, "/a", &[("accept-language", "a,b")]),
    ];
    for (at, one) in keys.iter().enumerate() {
        assert!(one.is_some());
        assert!(keys[at + 1..].iter().all(|two| one != two), "{at}");
    }
}

#[test]
fn a_key_is_short_and_in_the_caches_namespace() {
    let cache = cache().0.namespace("pages").unwrap();
    let layer = CacheLayer::builder(cache).build().unwrap();
    let key = key(&layer, &format!("/{}", "long".repeat(500)), &[]).unwrap();
    assert_eq!(key.namespace(), "1/pages/");
    assert!(key.as_str().len() <= 60);
}

#[test]
fn the_scheme_is_configured_and_never_the_clients() {
    let layer = |scheme: &str| CacheLayer::builder(cache().0).scheme(scheme).build().unwrap();
    let plain = key(&layer("http"), "/", &[]);
    let secure = key(&layer("https"), "/", &[]);
    assert_ne!(plain, secure);
    for headers in [[("x-forwarded-proto", "http")], [("forwarded", "proto=http")]] {
        assert_eq!(key(&layer("https"), "/", &headers), secure);
    }
    assert_eq!(key(&layer("https"), "http://localhost/", &[]), secure);
}

#[test]
fn a_key_of_your_own_replaces_the_target() {
    let layer = CacheLayer::builder(cache().0)
        .key_only(|head| KeyPart::new(head.uri.path()))
        .query(Query::Exact)
        .build()
        .unwrap();
    let same = key(&layer, "/a", &[]);
    assert_eq!(key(&layer, "/a?b", &[("host", "other")]), same);
    assert_ne!(key(&layer, "/b", &[]), same);
}

#[test]
fn the_key_of_a_target_does_not_depend_on_who_asks() {
    let layer = CacheLayer::builder(cache().0).build().unwrap();
    let anonymous = key(&layer, "/a", &[]);
    assert_eq!(key(&layer, "/a", &[("cookie", "session=1"), ("authorization", "Bearer x")]), anonymous);
    assert_eq!(layer.key_for(&request("POST", "/a", &[]).into_parts().0), anonymous);
}
