use larder::{CacheConfig, ErrorKind, Timeout};

const SIMPLE: (&str, &str) = ("CACHE_TYPE", "SimpleCache");

fn read(variables: &[(&str, &str)]) -> larder::Result<CacheConfig> {
    CacheConfig::from_flask_vars(variables.iter().copied())
}

fn refusal(variables: &[(&str, &str)]) -> String {
    let error = read(variables).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    error.to_string()
}

#[test]
fn what_is_honoured_does_what_it_says() {
    let config = read(&[
        SIMPLE,
        ("CACHE_DEFAULT_TIMEOUT", "0"),
        ("CACHE_THRESHOLD", "20"),
        ("CACHE_KEY_PREFIX", "shop_"),
        ("CACHE_IGNORE_ERRORS", "False"),
        ("CACHE_SOURCE_CHECK", "0"),
        ("CACHE_ENABLE_SIGNALS", "false"),
        ("LARDER_TIMEOUT", "never read"),
    ])
    .unwrap();
    let url = config.url();
    assert_eq!(url.scheme(), "memory");
    assert_eq!(url.timeout("timeout").unwrap(), Some(Timeout::Never));
    assert_eq!(url.number("max_entries").unwrap(), Some(20));
    assert_eq!(url.text("namespace"), Some("shop_"));

    let null = read(&[("CACHE_TYPE", "NullCache"), ("CACHE_NO_NULL_WARNING", "True")]).unwrap();
    assert_eq!((null.url().scheme(), null.url().flag("warn").unwrap()), ("null", Some(false)));

    let kind = ("CACHE_TYPE", "flask_caching.backends.FileSystemCache");
    let file = read(&[kind, ("CACHE_DIR", "/var/cache/a b?%41"), ("CACHE_KEY_PREFIX", "")]).unwrap();
    assert_eq!((file.url().scheme(), file.url().path()), ("file", "/var/cache/a b?%41"));
    assert_eq!(file.url().text("namespace"), None);
}

#[cfg(feature = "simple")]
#[tokio::test]
async fn a_cache_opens_from_it() {
    let config = read(&[SIMPLE, ("CACHE_KEY_PREFIX", "shop"), ("CACHE_THRESHOLD", "5")]).unwrap();
    assert_eq!(config.connect().await.unwrap().path().as_str(), "1/shop/");
}

#[test]
fn what_is_refused_names_what_replaces_it() {
    let options = "each option is a setting of its own: `max_entries`, `max_bytes`, .., as `docs::configuration` lists them";
    let keys = "nothing to choose: keys are kept as they are, and those too long are hashed by BLAKE3";
    let redis = "this version of Larder has no store for Redis";
    let memcached = "this version of Larder has no store for memcached";
    let own = "a store of your own: implement `CacheStore`, and register it by `Registry::register`";
    for (name, instead) in [
        ("CACHE_ARGS", options),
        ("CACHE_OPTIONS", options),
        ("CACHE_HASH_METHOD", keys),
        ("CACHE_FILE_HASH_METHOD", keys),
        ("CACHE_SERIALIZER", "`codec=messagepack` or `codec=json`"),
        ("CACHE_REDIS_HOST", redis),
        ("CACHE_REDIS_PORT", redis),
        ("CACHE_REDIS_DB", redis),
        ("CACHE_REDIS_PASSWORD", redis),
        ("CACHE_REDIS_URL", redis),
        ("CACHE_REDIS_SENTINELS", redis),
        ("CACHE_REDIS_SENTINEL_MASTER", redis),
        ("CACHE_REDIS_SENTINEL_PASSWORD", redis),
        ("CACHE_REDIS_CLUSTER", redis),
        ("CACHE_MEMCACHED_SERVERS", memcached),
        ("CACHE_MEMCACHED_USERNAME", memcached),
        ("CACHE_MEMCACHED_PASSWORD", memcached),
        ("CACHE_UWSGI_NAME", own),
        ("CACHE_GCS_BUCKET", own),
    ] {
        // The value may be a password.
        assert_eq!(
            refusal(&[SIMPLE, (name, "hunter2")]),
            format!("`{name}` is not honoured; instead: {instead}")
        );
    }
    for (name, instead) in [
        (
            "CACHE_IGNORE_ERRORS",
            "`explicit_errors=miss` for reads; what could not be deleted is always an error",
        ),
        ("CACHE_SOURCE_CHECK", "a `namespace` with the version of your code in it"),
        ("CACHE_ENABLE_SIGNALS", "`CacheBuilder::observer`, and the features `tracing` and `metrics`"),
    ] {
        let expected = format!("`{name}=True` is not honoured; instead: {instead}");
        assert_eq!(refusal(&[SIMPLE, (name, "True")]), expected);
        assert_eq!(
            refusal(&[SIMPLE, (name, "yes")]),
            format!("`{name}=yes`: `{name}` must be `True` or `False`")
        );
    }
}

#[test]
fn a_type_is_one_of_three() {
    let known = "`SimpleCache`, `NullCache`, `FileSystemCache`";
    assert_eq!(
        refusal(&[]),
        format!("`CACHE_TYPE` is not set, and nothing would be kept: set it to one of {known}")
    );
    for (kind, expected) in [
        (
            "RedisCache",
            format!("`CACHE_TYPE=RedisCache`: this version of Larder has no such store; it has {known}"),
        ),
        (
            "flask_caching.backends.MemcachedCache",
            format!(
                "`CACHE_TYPE=flask_caching.backends.MemcachedCache`: this version of Larder has no such store; it has \
                 {known}"
            ),
        ),
        (
            "shop.caching.OwnCache",
            format!(
                "`CACHE_TYPE=shop.caching.OwnCache`: a store of your own is an implementation of `CacheStore`, \
                 registered by `Registry::register`; built in are {known}"
            ),
        ),
        (
            "SimpelCache",
            format!(
                "`CACHE_TYPE=SimpelCache`: `CACHE_TYPE` must be one of {known} (did you mean `SimpleCache`?)"
            ),
        ),
        ("", format!("`CACHE_TYPE=`: `CACHE_TYPE` must be one of {known}")),
    ] {
        assert_eq!(refusal(&[("CACHE_TYPE", kind)]), expected);
    }
}

#[test]
fn what_is_out_of_range_or_contradicts_is_named() {
    let file = ("CACHE_TYPE", "FileSystemCache");
    let null = ("CACHE_TYPE", "NullCache");
    for (variables, expected) in [
        (
            &[SIMPLE, ("CACHE_DEFAULT_TIMEOUT", "-1")][..],
            "`CACHE_DEFAULT_TIMEOUT=-1`: `CACHE_DEFAULT_TIMEOUT` must be a whole number of seconds, or 0 for no end",
        ),
        (
            &[SIMPLE, ("CACHE_DEFAULT_TIMEOUT", "99999999999999999999")],
            "`CACHE_DEFAULT_TIMEOUT=99999999999999999999`: `CACHE_DEFAULT_TIMEOUT` must be a whole number of seconds, or \
             0 for no end",
        ),
        (
            &[SIMPLE, ("CACHE_THRESHOLD", "")],
            "`CACHE_THRESHOLD=`: `CACHE_THRESHOLD` must be a whole number of entries",
        ),
        (
            &[SIMPLE, ("CACHE_THRESHOLD", "0")],
            "`CACHE_THRESHOLD=0`: that is 500 to Flask-Caching's `SimpleCache`, and no bound to its `FileSystemCache`: \
             write the number that is meant",
        ),
        (&[file], "`CACHE_TYPE=FileSystemCache` needs `CACHE_DIR`, the absolute path of a directory"),
        (
            &[file, ("CACHE_DIR", "")],
            "`CACHE_TYPE=FileSystemCache` needs `CACHE_DIR`, the absolute path of a directory",
        ),
        (
            &[file, ("CACHE_DIR", "cache")],
            "`CACHE_DIR=cache`: `CACHE_DIR` must be absolute: another path depends on where the program is started",
        ),
        (
            &[SIMPLE, ("CACHE_DIR", "/var")],
            "`CACHE_DIR` means nothing with `CACHE_TYPE=SimpleCache`, only with `FileSystemCache`: remove it",
        ),
        (
            &[null, ("CACHE_THRESHOLD", "5")],
            "`CACHE_THRESHOLD` means nothing with `CACHE_TYPE=NullCache`, only with `SimpleCache` and `FileSystemCache`: \
             remove it",
        ),
        (
            &[SIMPLE, ("CACHE_NO_NULL_WARNING", "True")],
            "`CACHE_NO_NULL_WARNING` means nothing with `CACHE_TYPE=SimpleCache`, only with `NullCache`: remove it",
        ),
        (
            &[SIMPLE, ("CACHE_TRESHOLD", "5")],
            "`CACHE_TRESHOLD` is no name of Flask-Caching (did you mean `CACHE_THRESHOLD`?)",
        ),
        (&[SIMPLE, ("CACHE_BUSTER", "5")], "`CACHE_BUSTER` is no name of Flask-Caching"),
        (&[SIMPLE, SIMPLE], "`CACHE_TYPE` is given more than once"),
    ] {
        assert_eq!(refusal(variables), expected);
    }
    let long = "n".repeat(200);
    let message = refusal(&[SIMPLE, ("CACHE_KEY_PREFIX", &long)]);
    assert!(message.starts_with("`CACHE_KEY_PREFIX=nnn"), "{message}");
    assert!(message.contains("`CACHE_KEY_PREFIX` is out of range: "), "{message}");
}
