use larder::{CacheConfig, CachesConfig, ErrorKind};

fn read(json: &str) -> Result<CachesConfig, String> {
    serde_json::from_str(json).map_err(|error| {
        let text = error.to_string();
        text.rsplit_once(" at line ").map_or(text.clone(), |(message, _)| message.to_owned())
    })
}

#[test]
fn each_has_a_name_and_its_own_settings() {
    let caches = read(
        r#"{ "users": { "url": "memory://", "timeout": "1h" }, "pages-2": { "url": "null://?warn=false" } }"#,
    )
    .unwrap();
    assert_eq!(caches.names().collect::<Vec<_>>(), ["pages-2", "users"]);
    assert_eq!(caches.get("users").unwrap().url().text("timeout"), Some("1h"));
    assert_eq!(caches.iter().count(), 2);
    let error = caches.get("user").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert_eq!(
        error.to_string(),
        "no cache is named `user` (did you mean `users`?); there are: pages-2, users"
    );
}

#[test]
fn what_is_wrong_is_named_with_its_cache() {
    for (json, expected) in [
        (
            "{}",
            "no cache is described: write a table with a `url`, as in `[cache.pages]` and below it `url = \"memory://\"`",
        ),
        ("5", "caches are a table with a table for each, not a value"),
        (r#"{ "a": "memory://" }"#, "`[cache.a]`: one cache of several is a table with a `url`, not a value"),
        (r#"{ "a b": {} }"#, "`a b` cannot be the name of a cache: letters, digits, `_` and `-` can"),
        (r#"{ "": {} }"#, "`` cannot be the name of a cache: letters, digits, `_` and `-` can"),
        (r#"{ "a": {}, "a": {} }"#, "`a` is given more than once"),
        (
            r#"{ "a": { "timeout": 5 } }"#,
            "`[cache.a]`: there is no `url`, which says what store to use: `url = \"memory://\"`",
        ),
        (
            r#"{ "a": { "url": "memory://", "codec": "xml" } }"#,
            "`[cache.a]`: `codec=xml`: `codec` must be one of `messagepack`, `json`",
        ),
        (
            r#"{ "a": { "url": "memory://", "share_store": "yes" } }"#,
            "`[cache.a]`: `share_store=yes`: `share_store` must be one of `true`, `false`",
        ),
        (
            r#"{ "a": { "url": "memory://", "share_store": [] } }"#,
            "`[cache.a]`: `share_store=a list`: `share_store` must be one of `true`, `false`",
        ),
    ] {
        assert_eq!(read(json).unwrap_err(), expected, "{json}");
    }
    let config = || "memory://".parse::<CacheConfig>().unwrap();
    let twice = CachesConfig::new([("a", config()), ("a", config())]).unwrap_err();
    assert_eq!(twice.to_string(), "`[cache.a]` is given more than once");
}

const SAME_KEYS: &str = "`[cache.a]` and `[cache.b]` keep their entries in one place under the same keys: give each a \
                         `namespace` of its own";

#[test]
fn one_directory_is_not_one_memory() {
    let two = |url: &str, namespace: &str| {
        read(&format!(r#"{{ "a": {{ "url": "{url}" }}, "b": {{ "url": "{url}{namespace}" }} }}"#))
    };
    assert_eq!(two("file:///var/cache/app", "").unwrap_err(), SAME_KEYS);
    assert_eq!(two("file:///var/cache/app", "/?timeout=1h").unwrap_err(), SAME_KEYS);
    assert!(two("file:///var/cache/app", "?namespace=b").is_ok());
    assert!(two("memory://", "").is_ok());
    // One server is one place, unless the store keeps them apart.
    assert_eq!(two("redis://h/0", "").unwrap_err(), SAME_KEYS);
    assert_eq!(two("memcached://a*2,b", "").unwrap_err(), SAME_KEYS);
    for apart in
        ["redis://h/0?prefix=b:", "postgres://h/d?table=b", "postgres://h/d?schema=b", "unix:///s?database=1"]
    {
        let (url, setting) = apart.split_at(apart.find('?').unwrap());
        assert!(two(url, setting).is_ok(), "{apart}");
    }
}

fn sharing(one: &str, other: &str) -> Result<CachesConfig, String> {
    read(&format!(r#"{{ "a": {{ "share_store": true, {one} }}, "b": {{ "share_store": true, {other} }} }}"#))
}

#[test]
fn sharing_needs_one_store_and_two_namespaces() {
    let none =
        "has `share_store = true`, but shares with none: no other with `share_store = true` has the same URL";
    for (one, other, expected) in [
        (
            r#""url": "memory://", "namespace": "a""#,
            r#""url": "null://", "namespace": "b""#,
            format!("`[cache.a]` {none}"),
        ),
        (
            r#""url": "file:///var/a", "namespace": "a""#,
            r#""url": "file:///var/b", "namespace": "b""#,
            format!("`[cache.a]` {none}"),
        ),
        (
            r#""url": "memory://?namespace=a", "max_entries": 5"#,
            r#""url": "memory://?namespace=b", "max_entries": 6"#,
            "`[cache.a]` and `[cache.b]` share a store, but not the same `max_entries`: give each the same, or no \
             `share_store`"
                .to_owned(),
        ),
        (
            r#""url": "memory://", "timeout": "1h""#,
            r#""url": "memory://""#,
            SAME_KEYS.to_owned(),
        ),
    ] {
        assert_eq!(sharing(one, other).unwrap_err(), expected);
    }
    assert_eq!(
        read(r#"{ "a": { "url": "memory://", "share_store": true }, "b": { "url": "memory://" } }"#)
            .unwrap_err(),
        format!("`[cache.a]` {none}")
    );
    let same = r#""url": "file:///var/a", "max_entries": 5, "namespace": "a""#;
    assert!(
        sharing(same, r#""url": "file:///var/a/?max_entries=5", "namespace": "b", "timeout": "1h""#).is_ok()
    );
}

#[cfg(feature = "simple")]
#[tokio::test]
async fn those_that_share_fill_one_store_and_others_their_own() {
    let caches = read(
        r#"{
            "a": { "url": "memory://?max_entries=10", "share_store": true, "namespace": "a" },
            "b": { "url": "memory://", "max_entries": 10, "share_store": true, "namespace": "b" },
            "c": { "url": "memory://?max_entries=10", "namespace": "a" }
        }"#,
    )
    .unwrap();
    let caches = caches.connect().await.unwrap();
    for cache in caches.values() {
        for number in 0..10_u32 {
            cache.set(&number.to_string(), number).await.unwrap();
        }
    }
    let kept = |name: &str| {
        let cache = caches[name].clone();
        async move { cache.keys().await.unwrap().len() }
    };
    let (a, b) = (kept("a").await, kept("b").await);
    assert_eq!(a + b, 10, "ten in all, {a} and {b}");
    assert!(b > 0);
    assert_eq!(kept("c").await, 10, "its own ten");
    caches["b"].clear().await.unwrap();
    assert_eq!((kept("a").await, kept("b").await), (a, 0));
}

#[cfg(feature = "simple")]
#[tokio::test]
async fn an_error_on_opening_names_the_cache() {
    let caches =
        read(r#"{ "pages": { "url": "memory://", "max_entires": 10 }, "users": { "url": "memory://" } }"#)
            .unwrap();
    let error = caches.connect().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    let expected =
        "`[cache.pages]`: `memory://` has no setting `max_entires` (did you mean `max_entries`?); ";
    assert!(error.to_string().starts_with(expected), "{error}");
}
