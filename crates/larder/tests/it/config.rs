use larder::{CacheConfig, ErrorKind};

fn refusal(settings: &str) -> String {
    let error = format!("memory://?{settings}").parse::<CacheConfig>().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    error.to_string()
}

#[test]
fn the_settings_of_every_cache_are_checked_before_anything_opens() {
    let timeout = "seconds (`300`), a duration (`500ms`, `5m`, `1h30m`, `2d`), or `never`";
    let duration = "seconds (`2`) or a duration (`500ms`, `5s`, `1m30s`), longer than zero";
    for (setting, expected) in [
        ("timeout=soon", &*format!("`timeout=soon`: `timeout` must be {timeout}")),
        ("timeout=default", &format!("`timeout=default`: `timeout` must be {timeout}")),
        ("operation_timeout=0", &format!("`operation_timeout=0`: `operation_timeout` must be {duration}")),
        (
            "operation_timeout=never",
            &format!("`operation_timeout=never`: `operation_timeout` must be {duration}"),
        ),
        ("load_timeout=1m1m", &format!("`load_timeout=1m1m`: `load_timeout` must be {duration}")),
        ("bulk_timeout=never", &format!("`bulk_timeout=never`: `bulk_timeout` must be {duration}")),
        (
            "max_value_bytes=4GiB",
            "`max_value_bytes=4GiB`: `max_value_bytes` must be a number of bytes (`65536`, `64KiB`, `64MiB`, `1GiB`) \
             from 1 to 4294967295",
        ),
        (
            "max_concurrent_loads=0",
            "`max_concurrent_loads=0`: `max_concurrent_loads` must be a whole number from 1 to 4294967295",
        ),
        (
            "none_timeout=0s",
            "`none_timeout=0s`: `none_timeout` must be seconds (`5`), a duration (`500ms`, `5s`, `1m30s`), `0` for not at \
             all, or `never` for no end",
        ),
        ("late_tags=maybe", "`late_tags=maybe`: `late_tags` must be one of `true`, `false`"),
        ("Max-Entries=5", "`Max-Entries` is no setting: their names have lower-case letters, digits and `_`"),
        ("TIMEOUT", "`TIMEOUT` is no setting: their names have lower-case letters, digits and `_`"),
        (
            "hunter2%40host=5",
            "a setting's name in a store URL has other characters than lower-case letters, digits and `_` (a `?` or `&` \
             elsewhere in the URL must be percent-encoded)",
        ),
        ("explicit_errors=no", "`explicit_errors=no`: `explicit_errors` must be one of `return`, `miss`"),
        ("load_errors=", "`load_errors=`: `load_errors` must be one of `return`, `miss`"),
        ("codec=xml", "`codec=xml`: `codec` must be one of `messagepack`, `json`"),
        (
            "namespace=",
            "`namespace=`: `namespace` is out of range: a namespace needs a name of at least one character",
        ),
        (
            "namespace=%zz",
            "the value of `namespace` in a store URL has a `%` without two hex digits: write a `%` as `%25`",
        ),
        (
            "namespace=%ff",
            "the value of `namespace` in a store URL is not UTF-8 once decoded: invalid utf-8 sequence of 1 bytes from index 0",
        ),
    ] {
        assert_eq!(refusal(setting), expected);
    }
    let long = refusal(&format!("namespace={}", "n".repeat(200)));
    assert!(
        long.starts_with(&format!("`namespace={}..`: `namespace` is out of range: ", "n".repeat(80))),
        "{long}"
    );
}

#[cfg(feature = "simple")]
#[test]
fn a_configuration_builds_on_any_store() {
    let config: CacheConfig = "memory://?namespace=a&timeout=1m".parse().unwrap();
    let cache = config.builder(larder::SimpleStore::new()).namespace("b").build().unwrap();
    assert_eq!(cache.path().as_str(), "1/a/b/");
}

#[cfg(feature = "simple")]
#[tokio::test]
async fn a_none_is_kept_for_as_long_as_is_said() {
    for (settings, kept) in [
        ("timeout=1h", true),
        ("none_timeout=0", false),
        ("timeout=5&none_timeout=0", false),
        ("timeout=50ms&none_timeout=never", true),
        ("timeout=50ms&none_timeout=1h", true),
        ("none_timeout=50ms", false),
    ] {
        let cache = larder::connect(&format!("memory://?{settings}")).await.unwrap();
        cache.set("nobody", None::<String>).await.unwrap();
        cache.set("ada", Some("Ada".to_owned())).await.unwrap();
        larder::Clock::sleep(&larder::SystemClock::new(), std::time::Duration::from_millis(100)).await;
        assert_eq!(cache.has("nobody").await.unwrap(), kept, "{settings}");
        assert_eq!(cache.has("ada").await.unwrap(), !settings.contains("timeout=50ms&"), "{settings}");
    }
}

#[cfg(feature = "simple")]
#[tokio::test]
async fn loaders_that_name_tags_late_are_expected_where_that_is_said() {
    use larder::{Kept, Loaded, NotKept, Source};
    for (settings, kept) in [
        ("", Kept::No(NotKept::LateTags)),
        ("late_tags=false", Kept::No(NotKept::LateTags)),
        ("late_tags=true", Kept::Yes),
    ] {
        let cache = larder::connect(&format!("memory://?{settings}")).await.unwrap();
        let load = || async { Ok::<_, larder::Error>(Loaded::new(1_u8).tag("late")) };
        let outcome = cache.get_or_load("a", load).await.unwrap();
        assert_eq!(outcome.source(), Source::Loaded(kept), "{settings}");
    }
}

#[derive(serde::Deserialize)]
struct Application {
    cache: CacheConfig,
}

fn refused_json(cache: &str) -> String {
    let text = format!("{{ \"cache\": {cache} }}");
    let error = serde_json::from_str::<Application>(&text).map(|application| application.cache).unwrap_err();
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or(text.clone(), |(message, _)| message.to_owned())
}

#[test]
fn serde_reads_a_url_or_a_table() {
    for cache in [
        r#""memory://?timeout=1h&max_entries=5""#,
        r#"{ "url": "memory://", "timeout": "1h", "max_entries": 5 }"#,
        r#"{ "timeout": 3600, "max_entries": "5", "url": "memory://" }"#,
        r#"{ "url": "memory://?timeout=60m", "max_entries": 5 }"#,
    ] {
        let text = format!("{{ \"cache\": {cache} }}");
        let application: Application = serde_json::from_str(&text).unwrap();
        let url = application.cache.url();
        let hour = larder::Timeout::After(std::time::Duration::from_hours(1));
        assert_eq!(
            (url.timeout("timeout").unwrap(), url.number("max_entries").unwrap()),
            (Some(hour), Some(5))
        );
    }
}

#[test]
fn what_serde_cannot_take_is_told_in_words() {
    for (cache, expected) in [
        ("null", "a cache is a URL or a table with a `url`, not nothing"),
        ("[1, 2]", "a cache is a URL or a table with a `url`, not a list"),
        ("\"memory\"", "not a URL: a store URL looks like `memory://?max_entries=10000`"),
        ("{}", "there is no `url`, which says what store to use: `url = \"memory://\"`"),
        (r#"{ "url": {} }"#, "`url` is a table, not one value"),
        (r#"{ "url": "memory://", "timeout": ["1h"] }"#, "`timeout` is a list, not one value"),
        (r#"{ "url": "memory://", "timeout": null }"#, "`timeout` is nothing, not one value"),
        (
            r#"{ "url": "memory://", "Timeout": "1h" }"#,
            "`Timeout` is no setting: their names have lower-case letters, digits and `_`",
        ),
        (r#"{ "url": "memory://", "timeout": 1, "timeout": 2 }"#, "`timeout` is given more than once"),
        (
            r#"{ "url": "memory://?timeout=1h", "timeout": "1h" }"#,
            "`timeout` is given more than once: in the URL and beside the URL; leave one",
        ),
        (
            r#"{ "url": "memory://", "max_concurrent_loads": 1.0 }"#,
            "`max_concurrent_loads=1.0`: `max_concurrent_loads` must be a whole number from 1 to 4294967295",
        ),
        (
            r#"{ "url": "memory://", "max_concurrent_loads": -1 }"#,
            "`max_concurrent_loads=-1`: `max_concurrent_loads` must be a whole number from 1 to 4294967295",
        ),
        (
            r#"{ "url": "memory://", "codec": true }"#,
            "`codec=true`: `codec` must be one of `messagepack`, `json`",
        ),
    ] {
        assert_eq!(refused_json(cache), expected, "{cache}");
    }
}

#[cfg(feature = "simple")]
#[tokio::test]
async fn what_no_store_has_is_refused_when_it_opens() {
    let application: Application =
        serde_json::from_str(r#"{ "cache": { "url": "memory://", "max_entires": 5 } }"#).unwrap();
    let error = application.cache.connect().await.unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("`memory://` has no setting `max_entires` (did you mean `max_entries`?)")
    );
    // Only one of several caches can share.
    let application: Application =
        serde_json::from_str(r#"{ "cache": { "url": "memory://", "share_store": true } }"#).unwrap();
    let error = application.cache.connect().await.unwrap_err();
    assert!(error.to_string().starts_with("`memory://` has no setting `share_store`; "), "{error}");
}
