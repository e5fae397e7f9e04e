//! A password never comes out again, however the URL is wrong.

use larder::{CacheConfig, CachesConfig, Registry, StoreUrl};
use proptest::prelude::*;

use crate::refusal;

const SECRET: &str = "hunter2";

#[tokio::test]
async fn a_refused_url_does_not_show_its_password() {
    // Nothing that an error could show is left of what is well-formed.
    for url in [
        "redis://me:hunter2@host/x",
        "redis+sentinel://me:hunter2@host",
        "redis+cluster://me:hunter2@host/1",
        "unix://me:hunter2@host/run/redis.sock",
        "memcached://me:hunter2@host/path",
        "memcached://me:hunter2@host*0",
        "memcached://hunter2@host",
        "memcached+unix://me:hunter2@host",
        "postgres://me:hunter2@host/a/b",
        "postgres://me:hunter2@/a",
        "redis://host/?password=hunter2&username=",
        "redis://me:hunter2@host?password=hunter2",
        "redis+cluster://host/?sentinel_password=hunter2",
        "memcached://host?password=hunter2",
        "redis://me:hunter2@host:port",
        "redis://me:hunter2@ho st",
        "redis://me:hunter2@host?timeout=soon",
        "redis://me:hunter2@host?tiemout=1",
        "redis://me:hunter2@host?timeout=1&timeout=2",
        "redis://me:hunter2%zz@host",
        "redis:me:hunter2@host",
        "me:hunter2@host",
        // Characters that should have been encoded.
        "redis://me:#hunter2@host",
        "redis://me:/hunter2@host",
        "redis://me:1/hunter2@host",
        "redis://me:?hunter2@host",
        "redis://me:1?hunter2=x@host",
        "redis://me: hunter2@host",
        "redis://me:%hunter2@host",
        "memory://me:hunter2@host",
        "memory://:hunter2@",
        "null://:hunter2@",
    ] {
        let message = refusal(url).await;
        assert!(!message.contains(SECRET), "{message}");
    }
}

#[test]
fn debug_shows_neither_password_nor_settings() {
    let text = "redis://me:hunter2@host:6379/0?timeout=5m&token=hunter2";
    let url: StoreUrl = text.parse().unwrap();
    assert_eq!(
        format!("{url:?}"),
        "StoreUrl { scheme: \"redis\", username: Some(\"me\"), password: Some(\"***\"), \
         hosts: [(\"host\", Some(6379))], path: \"/0\", settings: [\"timeout\", \"token\"], .. }"
    );
    let config: CacheConfig = text.parse().unwrap();
    assert!(!format!("{config:?}").contains(SECRET));
}

proptest! {
    #[test]
    fn whatever_stands_around_it(
        before in "[a-z:/?#@&=%]{0,6}",
        after in "[a-z:/?#@&=%]{0,6}",
    ) {
        // Whoever writes a password into a URL writes it behind a user and before a host.
        for scheme in ["redis", "redis+sentinel", "redis+cluster", "unix", "memcached", "memcached+unix", "postgres"] {
            let text = format!("{scheme}://me:{before}{SECRET}{after}@host");
            let shown = match text.parse::<CacheConfig>() {
                Ok(config) => format!("{config:?} {}", opened(&config)),
                Err(error) => format!("{error} {error:?}"),
            };
            prop_assert!(!shown.contains(SECRET), "{} from {}", shown, text);
        }
    }
}

/// Whatever can be seen of it.
fn shown<T: std::fmt::Debug>(read: larder::Result<T>) -> String {
    match read {
        Ok(config) => format!("{config:?}"),
        Err(error) => format!("{error} {error:?}"),
    }
}

/// A URL with a password, and slips around it.
fn url_with_secret() -> impl Strategy<Value = String> {
    ("[a-z:/?#@&=%'\"\n]{0,4}", "[a-z:/?#@&=%'\"\n]{0,4}")
        .prop_map(|(before, after)| format!("redis://me:{before}{SECRET}{after}@host"))
}

proptest! {
    #[test]
    fn beside_others_in_the_environment(url in url_with_secret(), name in "(LARDER|CACHE)_[A-Z_]{0,12}") {
        for name in ["LARDER_URL", "LARDER_TIMEOUT", "LARDER_NAMESPACE", &name] {
            let variables = [("LARDER_URL", "memory://"), (name, url.as_str())];
            prop_assert!(!shown(CacheConfig::from_vars(variables)).contains(SECRET));
            prop_assert!(!shown(CacheConfig::from_vars([(name, url.as_str())])).contains(SECRET));
        }
        for name in ["CACHE_TYPE", "CACHE_DIR", "CACHE_REDIS_URL", "CACHE_KEY_PREFIX", "CACHE_THRESHOLD", &name] {
            let variables = [("CACHE_TYPE", "FileSystemCache"), (name, url.as_str())];
            prop_assert!(!shown(CacheConfig::from_flask_vars(variables)).contains(SECRET));
            prop_assert!(!shown(CacheConfig::from_flask_vars([(name, url.as_str())])).contains(SECRET));
        }
    }

    #[test]
    fn in_a_table(url in url_with_secret(), key in "url|timeout|codec|namespace|share_store|[a-z]{1,4}") {
        let table = serde_json::json!({ "url": "memory://", &key: &url });
        let one = serde_json::from_value::<CacheConfig>(table.clone()).map_err(|error| error.to_string());
        let several = serde_json::from_value::<CachesConfig>(serde_json::json!({ "a": table }));
        let misplaced = serde_json::from_value::<CachesConfig>(serde_json::json!({ "a": &url, &url: {} }));
        for text in [format!("{one:?}"), format!("{several:?}"), format!("{misplaced:?}")] {
            prop_assert!(!text.contains(SECRET), "{}", text);
        }
    }
}

#[cfg(feature = "toml")]
proptest! {
    #[test]
    fn in_toml_that_is_none(url in url_with_secret(), quote in "[\"']{0,3}", key in "url|timeout|[a-z]{1,3}|") {
        for text in [
            format!("[cache]\n{key} = {quote}{url}{quote}"),
            format!("[cache.a]\nurl = {quote}{url}"),
            format!("[{quote}{url}{quote}]"),
            format!("{quote}{url}{quote} = 1"),
            format!("[cache]\n{quote}{url}{quote}"),
            format!("[cache]\nurl = {quote}memory://{quote}\n{key} = {quote}{url}{quote}"),
            url.clone(),
        ] {
            prop_assert!(!shown(CacheConfig::from_toml(&text)).contains(SECRET), "{}", shown(CacheConfig::from_toml(&text)));
            prop_assert!(!shown(CachesConfig::from_toml(&text)).contains(SECRET));
        }
    }
}

/// What can be seen of opening it. No I/O that anyone waits for, so polling once is enough.
fn opened(config: &CacheConfig) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _here = runtime.enter();
    let registry = Registry::with_defaults();
    let mut open = std::pin::pin!(registry.open(config));
    match open.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
        std::task::Poll::Ready(Ok(builder)) => format!("{builder:?}"),
        std::task::Poll::Ready(Err(error)) => format!("{error} {error:?}"),
        std::task::Poll::Pending => panic!("it waits"),
    }
}
