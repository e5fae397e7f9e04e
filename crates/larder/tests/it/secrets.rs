//! A password never comes out again, however the URL is wrong.

use larder::{CacheConfig, Registry, StoreUrl};
use proptest::prelude::*;

use crate::refusal;

const SECRET: &str = "hunter2";

#[tokio::test]
async fn a_refused_url_does_not_show_its_password() {
    for url in [
        "redis://me:hunter2@host",
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
         hosts: [(\"host\", Some(6379))], path: \"/0\", settings: [\"timeout\", \"token\"] }"
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
        let text = format!("redis://me:{before}{SECRET}{after}@host");
        let shown = match text.parse::<CacheConfig>() {
            Ok(config) => format!("{config:?} {:?}", tokio_free(&config)),
            Err(error) => format!("{error} {error:?}"),
        };
        prop_assert!(!shown.contains(SECRET), "{} from {}", shown, text);
    }
}

/// The error of a registry that does not know the scheme; no I/O, so polling once is enough.
fn tokio_free(config: &CacheConfig) -> String {
    let registry = Registry::with_defaults();
    let mut open = std::pin::pin!(registry.open(config));
    match open.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
        std::task::Poll::Ready(Err(error)) => format!("{error} {error:?}"),
        other => panic!("{other:?}"),
    }
}
