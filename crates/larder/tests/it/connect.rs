use crate::refusal;
#[cfg(any(feature = "simple", feature = "null"))]
use crate::with_common;

#[cfg(feature = "simple")]
#[tokio::test]
async fn memory_is_a_cache_with_the_settings_of_its_url() {
    let url =
        "memory://?max_entries=20&timeout=1h&namespace=shop&codec=json&operation_timeout=1s&load_timeout=2m";
    let cache = larder::connect(url).await.unwrap();
    assert_eq!(cache.path().as_str(), "1/shop/");
    for number in 0..100_u32 {
        cache.set(&number.to_string(), number).await.unwrap();
    }
    assert_eq!(cache.get::<u32>("99").await.unwrap().as_deref(), Some(&99));
    assert_eq!(cache.keys().await.unwrap().len(), 20, "`max_entries` holds");
    let left = cache.expiry("99").await.unwrap();
    let hour = std::time::Duration::from_hours(1);
    assert!(matches!(left, Some(larder::Expiry::After(left)) if left <= hour && left > hour / 2), "{left:?}");
}

#[cfg(feature = "simple")]
#[tokio::test]
async fn what_a_store_lets_go_is_counted_whatever_is_put_before_it() {
    for guards in ["", "&batching=false", "&circuit_breaker_window=30s"] {
        let cache = larder::connect(&format!("memory://?max_entries=10{guards}")).await.unwrap();
        for number in 0..50_u32 {
            cache.set(&number.to_string(), number).await.unwrap();
        }
        // Lets the store come to its bounds.
        assert_eq!(cache.keys().await.unwrap().len(), 10);
        assert_eq!(cache.stats().evictions, 40, "`{guards}`");
    }
}

#[cfg(feature = "simple")]
#[tokio::test]
async fn every_way_to_write_the_settings_of_memory() {
    for url in [
        "memory://",
        "memory:///",
        "MEMORY://?",
        "memory://?&max_entries=1&",
        "memory://?max_entries=1_000_000&max_bytes=64MiB&eviction=tiny_lfu",
        "memory://?max_bytes=65536&eviction=lru",
        "memory://?timeout=never",
        "memory://?timeout=0",
        "memory://?timeout=300&namespace=caf%C3%A9%2F*",
    ] {
        larder::connect(url).await.unwrap();
    }
}

#[cfg(feature = "null")]
#[tokio::test]
async fn null_is_a_cache_that_keeps_nothing() {
    for url in ["null://", "null://?warn=false&timeout=5m", "null://?warn=true"] {
        let cache = larder::connect(url).await.unwrap();
        cache.set("k", 1).await.unwrap();
        assert_eq!(cache.get::<i32>("k").await.unwrap(), None);
    }
}

#[cfg(feature = "simple")]
#[tokio::test]
async fn a_wrong_setting_of_memory_is_named_with_what_is_allowed() {
    let all = &*with_common(&["eviction", "max_bytes", "max_entries"]);
    for (setting, expected) in [
        (
            "max_entires=10",
            &*format!(
                "`memory://` has no setting `max_entires` (did you mean `max_entries`?); its settings: {all}"
            ),
        ),
        ("colour=red", &format!("`memory://` has no setting `colour`; its settings: {all}")),
        ("warn=false", &format!("`memory://` has no setting `warn`; its settings: {all}")),
        ("max_entries=10&max_entries=20", "`max_entries` is given more than once"),
        ("max_entries", "`max_entries` has no value: write `max_entries=..`"),
        ("max_entries=", "`max_entries=`: `max_entries` must be a whole number"),
        ("max_entries=ten", "`max_entries=ten`: `max_entries` must be a whole number"),
        ("max_entries=-1", "`max_entries=-1`: `max_entries` must be a whole number"),
        (
            "max_entries=0",
            "`max_entries` is 0: a store keeps at least one entry (use the null store to keep nothing)",
        ),
        (
            "max_bytes=64MB",
            "`max_bytes=64MB`: `max_bytes` must be a number of bytes (`65536`, `64KiB`, `64MiB`, `1GiB`)",
        ),
        ("max_bytes=100", "`max_bytes` is 100: one entry takes up to 600 bytes besides its value"),
        ("eviction=random", "`eviction=random`: `eviction` must be one of `lru`, `tiny_lfu`"),
    ] {
        assert_eq!(refusal(&format!("memory://?{setting}")).await, expected);
    }
    assert_eq!(
        refusal("memory://localhost").await,
        "`memory://` takes no user, host or path: settings follow at once, as in `memory://?timeout=5m`"
    );
}

#[cfg(feature = "null")]
#[tokio::test]
async fn a_wrong_setting_of_null_is_named_with_what_is_allowed() {
    assert_eq!(refusal("null://?warn=no").await, "`warn=no`: `warn` must be one of `true`, `false`");
    assert_eq!(
        refusal("null://?max_entries=1").await,
        format!("`null://` has no setting `max_entries`; its settings: {}", with_common(&["warn"]))
    );
}

#[cfg(not(feature = "simple"))]
#[tokio::test]
async fn memory_without_its_feature_names_the_feature() {
    let expected = "`memory://` needs the feature `simple` of the crate `larder`, which is off";
    assert_eq!(refusal("memory://").await, expected);
}

#[cfg(not(feature = "null"))]
#[tokio::test]
async fn null_without_its_feature_names_the_feature() {
    let expected = "`null://` needs the feature `null` of the crate `larder`, which is off";
    assert_eq!(refusal("null://").await, expected);
}

#[tokio::test]
async fn a_server_without_its_feature_names_the_feature() {
    let known: Vec<_> = larder::Registry::with_defaults().schemes().map(str::to_owned).collect();
    for (feature, is_on, schemes) in [
        (
            "redis",
            cfg!(feature = "redis"),
            &[
                "redis",
                "rediss",
                "unix",
                "redis+sentinel",
                "rediss+sentinel",
                "redis+cluster",
                "rediss+cluster",
            ][..],
        ),
        ("memcached", cfg!(feature = "memcached"), &["memcached", "memcacheds", "memcached+unix"]),
        ("postgres", cfg!(feature = "postgres"), &["postgres", "postgresql"]),
    ] {
        for scheme in schemes {
            assert_eq!(known.iter().any(|known| known == scheme), is_on, "{scheme}");
            if !is_on {
                let expected = format!(
                    "`{scheme}://` needs the feature `{feature}` of the crate `larder`, which is off"
                );
                assert_eq!(refusal(&format!("{scheme}://me:hunter2@localhost/x")).await, expected);
            }
        }
    }
}

#[cfg(not(feature = "filesystem"))]
#[tokio::test]
async fn file_without_its_feature_names_the_feature() {
    let expected = "`file://` needs the feature `filesystem` of the crate `larder`, which is off";
    assert_eq!(refusal("file:///var/cache/app").await, expected);
}

#[cfg(feature = "filesystem")]
#[tokio::test]
async fn file_is_a_cache_in_a_directory() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!(
        "file://{}/my%20cache?max_entries=100&max_bytes=64MiB&durability=data&sweep_every=1m&operation_timeout=5s",
        directory.path().display()
    );
    let cache = larder::connect(&url).await.unwrap();
    cache.set("k", 1).await.unwrap();
    assert_eq!(cache.get::<i32>("k").await.unwrap().as_deref(), Some(&1));
}

#[cfg(feature = "filesystem")]
#[tokio::test]
async fn a_wrong_directory_is_told_in_its_own_words() {
    let look = "write its absolute path behind three slashes, as in `file:///var/cache/app`";
    for url in ["file://", "file:///", "file:////", "file://?max_entries=1", "file://localhost"] {
        assert_eq!(refusal(url).await, format!("`file://` names no directory: {look}"), "{url}");
    }
    for url in ["file:///tmp/a%00b", "file:///tmp/%0a", "file:///tmp/%7f"] {
        let expected =
            format!("the path in a `file://` URL has a control character (`%00` to `%1f`, `%7f`): {look}");
        assert_eq!(refusal(url).await, expected, "{url}");
    }
    for url in ["file://var/cache", "file://.", "file://localhost:1/var", "file://a,b/var"] {
        assert_eq!(
            refusal(url).await,
            format!(
                "a `file://` URL names a directory on this machine, and what stands behind its two slashes is taken for a \
                 host: {look}"
            ),
            "{url}"
        );
    }
    assert_eq!(
        refusal("file://me@/var").await,
        "a user name in the URL of `file://`, a store that nobody logs in to: remove what stands before the `@`"
    );
}

#[cfg(feature = "simple")]
#[tokio::test]
async fn a_password_for_nobody_is_told_in_its_own_words() {
    for url in ["memory://:hunter2@", "memory://me:hunter2@localhost/x?timeout=1"] {
        assert_eq!(
            refusal(url).await,
            "a password in the URL of `memory://`, a store that nobody logs in to: remove what stands before the `@`"
        );
    }
}

#[cfg(feature = "simple")]
#[tokio::test]
async fn an_unknown_scheme_lists_the_known_ones() {
    let registry = larder::Registry::with_defaults();
    let known = registry.schemes().collect::<Vec<_>>().join(", ");
    assert!(known.contains("memory"));
    assert_eq!(
        refusal("memroy://").await,
        format!(
            "no store is registered for `memroy://` (did you mean `memory`?); schemes known here: {known}"
        )
    );
    assert_eq!(
        refusal("etcd://localhost").await,
        format!("no store is registered for `etcd://`; schemes known here: {known}")
    );
}

#[tokio::test]
async fn what_is_no_url_is_told_so() {
    let look = "a store URL looks like `memory://?max_entries=10000`";
    for text in ["", "memory", "memory:", "memory:/?a=b", "localhost:6379", "user:password@host"] {
        assert_eq!(refusal(text).await, format!("not a URL: {look}"), "{text}");
    }
    for text in ["://", "1a://", "a_b://", "é://"] {
        assert_eq!(refusal(text).await, format!("not a URL: what stands before `://` is no scheme; {look}"));
    }
    for text in ["memory://\n", " memory://", "memory://?namespace=a b", "memory://?namespace=a\0"] {
        assert_eq!(
            refusal(text).await,
            format!("a space or control character in a store URL: percent-encode it; {look}")
        );
    }
}
