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
    let own = "a store of your own: implement `CacheStore`, and register it by `Registry::register`";
    for (name, instead) in [
        ("CACHE_ARGS", options),
        ("CACHE_OPTIONS", options),
        ("CACHE_HASH_METHOD", keys),
        ("CACHE_FILE_HASH_METHOD", keys),
        ("CACHE_SERIALIZER", "`codec=messagepack` or `codec=json`"),
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
fn a_type_is_one_of_those_there_are() {
    let known = "`SimpleCache`, `NullCache`, `FileSystemCache`, `RedisCache`, `RedisSentinelCache`, \
                 `RedisClusterCache`, `MemcachedCache`";
    let sasl = "SASL needs the binary protocol of memcached, which is not spoken here; instead: `MemcachedCache` with \
                ASCII authentication (`memcached -Y`), which reads `CACHE_MEMCACHED_USERNAME` and \
                `CACHE_MEMCACHED_PASSWORD`";
    let own = "there is no such store; instead: one of your own, an implementation of `CacheStore`, registered by \
               `Registry::register`";
    assert_eq!(
        refusal(&[]),
        format!("`CACHE_TYPE` is not set, and nothing would be kept: set it to one of {known}")
    );
    for (kind, expected) in [
        ("SASLMemcachedCache", format!("`CACHE_TYPE=SASLMemcachedCache`: {sasl}")),
        (
            "flask_caching.backends.SpreadSASLMemcachedCache",
            format!("`CACHE_TYPE=flask_caching.backends.SpreadSASLMemcachedCache`: {sasl}"),
        ),
        ("UWSGICache", format!("`CACHE_TYPE=UWSGICache`: {own}")),
        ("GoogleCloudStorageCache", format!("`CACHE_TYPE=GoogleCloudStorageCache`: {own}")),
        (
            "RedisSentinel",
            "`CACHE_TYPE=RedisSentinel`: write `RedisSentinelCache`, as Flask-Caching wants it too"
                .to_owned(),
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

/// The URL that they make, with the settings beside it.
fn address(variables: &[(&str, &str)]) -> (String, Vec<(String, Option<u16>)>, String) {
    let config = read(variables).unwrap_or_else(|error| panic!("{variables:?}: {error}"));
    let url = config.url();
    (url.scheme().to_owned(), url.hosts().to_vec(), url.path().to_owned())
}

#[test]
fn servers_are_found_by_their_names() {
    let host = |name: &str, port| (name.to_owned(), Some(port));
    let kind = |name| ("CACHE_TYPE", name);
    for (variables, scheme, hosts, path) in [
        (&[kind("RedisCache")][..], "redis", vec![host("localhost", 6379)], ""),
        (
            &[kind("RedisCache"), ("CACHE_REDIS_HOST", "db.internal"), ("CACHE_REDIS_PORT", "7000")],
            "redis",
            vec![host("db.internal", 7000)],
            "",
        ),
        (&[kind("RedisCache"), ("CACHE_REDIS_HOST", "::1")], "redis", vec![host("::1", 6379)], ""),
        (
            &[kind("RedisCache"), ("CACHE_REDIS_URL", "rediss://me:s3cret@db:1/2")],
            "rediss",
            vec![host("db", 1)],
            "/2",
        ),
        (&[kind("RedisCache"), ("CACHE_REDIS_URL", "unix:///run/r.sock")], "unix", vec![], "/run/r.sock"),
        (&[kind("RedisSentinelCache")], "redis+sentinel", vec![host("127.0.0.1", 26379)], "/mymaster"),
        (
            &[
                kind("RedisSentinelCache"),
                ("CACHE_REDIS_SENTINELS", "a:1, b:2"),
                ("CACHE_REDIS_SENTINEL_MASTER", "my/shop"),
            ],
            "redis+sentinel",
            vec![host("a", 1), host("b", 2)],
            "/my/shop",
        ),
        (
            &[kind("RedisClusterCache"), ("CACHE_REDIS_CLUSTER", "a:1,b:2")],
            "redis+cluster",
            vec![host("a", 1), host("b", 2)],
            "",
        ),
        (&[kind("MemcachedCache")], "memcached", vec![host("127.0.0.1", 11211)], ""),
        (
            &[kind("MemcachedCache"), ("CACHE_MEMCACHED_SERVERS", "a:1,[::1]:2")],
            "memcached",
            vec![host("a", 1), host("::1", 2)],
            "",
        ),
    ] {
        assert_eq!(address(variables), (scheme.to_owned(), hosts, path.to_owned()), "{variables:?}");
    }
    let redis = read(&[
        kind("RedisSentinelCache"),
        ("CACHE_REDIS_DB", "3"),
        ("CACHE_REDIS_USERNAME", "me"),
        ("CACHE_REDIS_PASSWORD", "s3cret"),
        ("CACHE_REDIS_SENTINEL_PASSWORD", "hunter2"),
    ])
    .unwrap();
    let set = ["database", "username", "password", "sentinel_password"].map(|name| redis.url().text(name));
    assert_eq!(set, [Some("3"), Some("me"), Some("s3cret"), Some("hunter2")]);
    assert!(!format!("{redis:?}").contains("s3cret") && !format!("{redis:?}").contains("hunter2"));
    let memcached = read(&[
        kind("MemcachedCache"),
        ("CACHE_MEMCACHED_USERNAME", "me"),
        ("CACHE_MEMCACHED_PASSWORD", "s3cret"),
    ])
    .unwrap();
    assert_eq!(
        (memcached.url().text("username"), memcached.url().text("password")),
        (Some("me"), Some("s3cret"))
    );
}

#[test]
fn servers_out_of_shape_are_named() {
    let (redis, memcached) = (("CACHE_TYPE", "RedisCache"), ("CACHE_TYPE", "MemcachedCache"));
    let list = "servers with commas between, as `10.0.0.1:7000,10.0.0.2:7000`";
    for (variables, expected) in [
        (
            &[redis, ("CACHE_REDIS_HOST", "")][..],
            "`CACHE_REDIS_HOST=`: `CACHE_REDIS_HOST` must be the name or address of a host".to_owned(),
        ),
        (
            &[redis, ("CACHE_REDIS_HOST", "db/0")],
            "`CACHE_REDIS_HOST=db/0`: `CACHE_REDIS_HOST` must be the name or address of a host".to_owned(),
        ),
        (
            &[redis, ("CACHE_REDIS_PORT", "0")],
            "`CACHE_REDIS_PORT=0`: `CACHE_REDIS_PORT` must be a whole number from 1 to 65535".to_owned(),
        ),
        (
            &[redis, ("CACHE_REDIS_URL", "redis://h"), ("CACHE_REDIS_PORT", "1")],
            "`CACHE_REDIS_PORT` and `CACHE_REDIS_URL` both say where the server is: leave one".to_owned(),
        ),
        (
            &[redis, ("CACHE_REDIS_URL", "http://me:hunter2@h")],
            "`CACHE_REDIS_URL` begins with `http://`: it must begin with `redis://`, `rediss://` or `unix://`"
                .to_owned(),
        ),
        (
            &[redis, ("CACHE_MEMCACHED_SERVERS", "a")],
            "`CACHE_MEMCACHED_SERVERS` means nothing with `CACHE_TYPE=RedisCache`, only with `MemcachedCache`: remove it"
                .to_owned(),
        ),
        (
            &[SIMPLE, ("CACHE_REDIS_PASSWORD", "hunter2")],
            "`CACHE_REDIS_PASSWORD` means nothing with `CACHE_TYPE=SimpleCache`, only with the stores of Redis: remove it"
                .to_owned(),
        ),
        (
            &[redis, ("CACHE_THRESHOLD", "5")],
            "`CACHE_THRESHOLD` means nothing with `CACHE_TYPE=RedisCache`, only with `SimpleCache` and \
             `FileSystemCache`: remove it"
                .to_owned(),
        ),
        (
            &[("CACHE_TYPE", "RedisClusterCache")],
            format!("`CACHE_TYPE=RedisClusterCache` needs `CACHE_REDIS_CLUSTER`: {list}"),
        ),
        (
            &[("CACHE_TYPE", "RedisClusterCache"), ("CACHE_REDIS_CLUSTER", "a:1"), ("CACHE_REDIS_DB", "1")],
            "`CACHE_REDIS_DB` means nothing with `CACHE_TYPE=RedisClusterCache`, only with `RedisCache` and \
             `RedisSentinelCache`: remove it"
                .to_owned(),
        ),
        (
            &[("CACHE_TYPE", "RedisSentinelCache"), ("CACHE_REDIS_SENTINELS", "[('a', 1)]")],
            format!("`CACHE_REDIS_SENTINELS=[(\\'a\\', 1)]`: `CACHE_REDIS_SENTINELS` must be {list}"),
        ),
        (
            &[memcached, ("CACHE_MEMCACHED_SERVERS", "a:1/b")],
            format!("`CACHE_MEMCACHED_SERVERS=a:1/b`: `CACHE_MEMCACHED_SERVERS` must be {list}"),
        ),
    ] {
        let said = refusal(variables);
        assert!(said == expected || said.starts_with(&format!("{expected}: ")), "{said}\n{expected}");
        assert!(!said.contains("hunter2"));
    }
}

#[cfg(feature = "redis")]
#[tokio::test]
async fn a_password_that_redis_refuses_is_named_as_it_stands_there() {
    let kind = ("CACHE_TYPE", "RedisCache");
    let url = ("CACHE_REDIS_URL", "redis://me:hunter2@127.0.0.1:1/2");
    for (name, value, says) in [
        ("CACHE_REDIS_PASSWORD", "hunter2", "`CACHE_REDIS_PASSWORD` is given more than once: before the `@`"),
        ("CACHE_REDIS_DB", "2", "`CACHE_REDIS_DB` is given more than once: as the path of the URL"),
        (
            "CACHE_REDIS_DB",
            "two",
            "`CACHE_REDIS_DB=two`: `CACHE_REDIS_DB` must be a whole number from 0 to 255",
        ),
    ] {
        let error = read(&[kind, url, (name, value)]).unwrap().connect().await.unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }
}
