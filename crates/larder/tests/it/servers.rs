//! Stores that are servers: what is wrong is told before anyone connects, and what is right needs nobody there.

#[cfg(any(feature = "memcached", feature = "postgres", feature = "redis"))]
use crate::refusal;

/// A URL that is taken, with nobody listening: that is told by the first operation.
#[cfg(any(feature = "memcached", feature = "postgres", feature = "redis"))]
async fn taken(url: &str) {
    let cache = larder::connect(url).await.unwrap_or_else(|error| panic!("{url}: {error}"));
    assert_ne!(cache.get::<u8>("k").await.unwrap_err().kind(), larder::ErrorKind::Config, "{url}");
}

#[cfg(feature = "redis")]
#[tokio::test]
async fn every_form_of_redis_is_taken() {
    for url in [
        "redis://127.0.0.1:1",
        "redis://:p%40ss@127.0.0.1:1/3",
        "REDIS://me:secret@[::1]:1/",
        "rediss://me:secret@localhost:1",
        "unix:///run/no%20such.sock",
        "unix://:secret@/run/no.sock?database=2",
        "redis+sentinel://127.0.0.1:1,127.0.0.1:2/shop/1?sentinel_password=secret",
        "rediss+sentinel://localhost:1/shop",
        "redis+cluster://127.0.0.1:1,127.0.0.1:2",
        "rediss+cluster://localhost:1",
        "redis://127.0.0.1:1?username=me&password=secret&read_from=replica&wait_replicas=2&prefix=shop:&connections=2",
    ] {
        taken(url).await;
    }
}

#[cfg(feature = "redis")]
#[tokio::test]
async fn what_contradicts_in_redis_is_named() {
    for (url, says) in [
        ("redis://", "a host is missing"),
        ("redis://a,b", "several hosts are a `redis+cluster://`"),
        ("redis://h/256", "`256` is not a database"),
        ("redis+sentinel://h", "the service that the sentinels watch is missing"),
        ("redis+cluster://h/1", "only database 0"),
        ("redis+cluster://h?database=1", "`database`: a cluster has only database 0"),
        ("redis://h/1?database=1", "`database` is given more than once: as the path of the URL as well"),
        ("redis://:p@h?password=q", "`password` is given more than once: before the `@` of the URL as well"),
        ("redis://h?username=me", "`username`: it needs a `password`"),
        ("redis://h?ca=/etc/ca.pem", "`ca`: only a `rediss` address speaks TLS"),
        ("rediss://h?client_cert=/etc/c.pem", "`client_cert`: it needs a `client_key`"),
        ("rediss://h?ca=/no/such/ca.pem", "`ca`"),
        ("redis://h?sentinel_password=p", "only a `redis+sentinel` address has sentinels"),
        ("redis+cluster://h?on_rollback=distrust", "`distrust` is not possible with a cluster"),
        (
            "redis://h?on_rollback=distrust&read_from=replica",
            "`distrust` is not possible with `read_from = replica`",
        ),
        ("redis://h?operation_timeout=2m", "from `1ms` to `1m`"),
        ("redis://h?bulk_timeout=2h", "from `1ms` to `1h`"),
        ("redis://h?max_value_bytes=1GiB", "from 1 to 536870848 with `redis://`"),
        ("redis://h?conections=2", "did you mean `connections`?"),
        ("redis://h?circuit_breaker=false&circuit_breaker_window=5s", "leave one"),
        ("redis://h?lanes=2", "`redis://` has no setting `lanes`"),
    ] {
        let said = refusal(url).await;
        assert!(said.contains(says), "{url}: {said}");
    }
}

#[cfg(feature = "memcached")]
#[tokio::test]
async fn every_form_of_memcached_is_taken() {
    for url in [
        "memcached://127.0.0.1:1",
        "memcached://127.0.0.1:1*3,127.0.0.1:2,[::1]:1*2",
        "memcached://me:p%40ss@127.0.0.1:1",
        "memcacheds://me:secret@localhost:1",
        "memcached+unix:///run/no%20such.sock",
        "memcached+unix://me:secret@/run/no.sock",
        "memcached://127.0.0.1:1?username=me&password=secret&rehash=true&lanes=1&prefix=shop:&max_value_bytes=4MiB",
    ] {
        taken(url).await;
    }
}

#[cfg(feature = "memcached")]
#[tokio::test]
async fn what_contradicts_in_memcached_is_named() {
    for (url, says) in [
        ("memcached://", "host"),
        ("memcached://a,b,a:11211", "`a:11211` twice"),
        ("memcached://a/path", "path"),
        ("memcached://me@a", "`user:password@`"),
        ("memcached://a*0", "a weight in a store URL is not a number from 1 to 65535"),
        ("memcached+unix://run/m.sock", "absolute path"),
        ("memcached+sasl://a", "no store is registered for `memcached+sasl://`; SASL needs"),
        ("memcached+sasl://a", "use ASCII authentication (`memcached -Y`)"),
        ("memcached://a?sasl_mechanism=PLAIN", "use ASCII authentication (`memcached -Y`)"),
        ("memcached://a?binary=true", "use ASCII authentication (`memcached -Y`)"),
        ("memcached://a?username=me", "`username=me`: `username` needs a `password`"),
        ("memcached://a?password=me", "`password=***`: `password` needs a `username`"),
        ("memcached://x:y@a?username=me&password=p", "`username` is given more than once"),
        ("memcached://a?ca=/etc/ca.pem", "`ca` is for TLS"),
        ("memcached://a?max_value_bytes=2GiB", "from 1 to 1073741488 with `memcached://`"),
        ("memcached://a?operation_timeout=11m", "from `1ms` to `10m`"),
    ] {
        let said = refusal(url).await;
        assert!(said.contains(says), "{url}: {said}");
    }
}

#[cfg(feature = "postgres")]
#[tokio::test]
async fn every_form_of_postgres_is_taken() {
    for url in [
        "postgres://127.0.0.1:1",
        "postgresql://me:p%40ss@127.0.0.1:1/shop",
        "postgres://me@127.0.0.1:1,[::1]:2/shop",
        "postgres://me@%2Frun%2Fnowhere:6000/shop",
        "postgres://127.0.0.1:1/shop?username=me&password=secret&sslmode=require&table=t&schema=s&sweep_every=never",
        "postgres://127.0.0.1:1/shop?logged=true&synchronous_writes=false&pgbouncer=true&create_table=true",
    ] {
        taken(url).await;
    }
}

#[cfg(feature = "postgres")]
#[tokio::test]
async fn what_contradicts_in_postgres_is_named() {
    for (url, says) in [
        ("postgres://", "it names no host"),
        ("postgres:///shop", "it names no host"),
        ("postgres://h/a/b", "its path must be the name of one database"),
        ("postgres://me@h/d?username=you", "`username` is given more than once"),
        ("postgres://h/d?ca=/etc/ca.pem", "`ca`"),
        ("postgres://h/d?sslmode=require&ca=/no/such.pem", "`ca`"),
        ("postgres://h/d?synchronous_writes=false", "`synchronous_writes = false` needs `logged = true`"),
        ("postgres://h/d?table=a%20b", "`table`"),
        ("postgres://h/d?max_bytes=0", "`max_bytes` is 0"),
        ("postgres://h/d?max_value_bytes=1GiB", "from 1 to 536870912 with `postgres://`"),
        ("postgres://h/d?application_name=x", "`postgres://` has no setting `application_name`"),
    ] {
        let said = refusal(url).await;
        assert!(said.contains(says), "{url}: {said}");
    }
}
