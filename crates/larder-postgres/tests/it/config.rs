//! Settings, and the texts of what is wrong with them.

use std::time::Duration;

use larder_core::{CacheStore, ErrorKind, Hazard, Result};
use larder_postgres::{PostgresStore, PostgresStoreBuilder, SslMode};

use crate::key;

const NOWHERE: &str = "postgres://ada:geheim@127.0.0.1:1/shop";

fn refused(builder: PostgresStoreBuilder) -> String {
    let error = builder.build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(!error.is_retryable());
    assert!(!format!("{error} {error:?}").contains("geheim"), "{error:?}");
    error.to_string()
}

#[tokio::test]
async fn what_is_wrong_names_the_setting_what_was_given_and_what_is_allowed() {
    let builder = || PostgresStore::builder(NOWHERE);
    let second = Duration::from_secs(1);
    let cases: Vec<(PostgresStoreBuilder, &str)> = vec![
        (builder().connections(0), "`connections` is 0: it must be 1 to 64"),
        (builder().connections(65), "`connections` is 65"),
        (builder().max_in_flight(0), "`max_in_flight` is 0: it must be 1 to 1000000"),
        (builder().max_value_bytes(0), "`max_value_bytes` is 0: it must be 1 to 536870912"),
        (builder().max_entries(0), "`max_entries` is 0"),
        (builder().max_bytes(1), "`max_bytes` is 1: it must be 16384 to 9223372036854775807"),
        (builder().max_bytes(16_383), "`max_bytes` is 16383"),
        (builder().max_bytes(u64::MAX), "`max_bytes` is 18446744073709551615"),
        (
            builder().operation_timeout(Duration::ZERO),
            "`operation_timeout` is 0ns: it must be 1 ms to 24 hours",
        ),
        (builder().walk_timeout(second * 90_000), "`walk_timeout` is 90000s"),
        (builder().connect_timeout(Duration::ZERO), "`connect_timeout` is 0ns"),
        (
            builder().sweep_every(Duration::from_millis(1)),
            "`sweep_every` is 1ms: it must be 0 (never), or 100 ms",
        ),
        (builder().prefix("a b"), "`prefix` is a b: it must be at most 50 bytes of `A-Z a-z 0-9 - . ~ : /`"),
        (builder().prefix("x".repeat(51)), "`prefix` is xxx"),
        (builder().table("a\"b"), "`table` is `a\\\"b`: it must be 1 to 55 bytes of letters"),
        (builder().schema(""), "`schema` is ``"),
        (builder().synchronous_writes(false), "`synchronous_writes = false` needs `logged = true`"),
        (builder().ca("/nowhere"), "`ca` is given, but `sslmode` is `disable`"),
        (PostgresStore::builder("mysql://h/d"), "must start with `postgres://`"),
        (PostgresStore::builder("postgres://h/d?table=x"), "options"),
    ];
    for (builder, text) in cases {
        let said = refused(builder);
        assert!(said.contains(text), "expected {text:?}, saw {said:?}");
    }
    assert!(builder().max_bytes(16_384).build().is_ok());
    assert!("verify-ca".parse::<SslMode>().unwrap_err().to_string().contains("`sslmode` is `verify-ca`"));
}

#[cfg(feature = "tls")]
#[tokio::test]
async fn a_file_of_certificates_that_is_none_is_refused_at_once() {
    let said = refused(PostgresStore::builder(NOWHERE).sslmode(SslMode::Require).ca("/nowhere/ca.pem"));
    assert!(said.contains("`ca` is `/nowhere/ca.pem`: it cannot be read"), "{said}");
    let said = refused(PostgresStore::builder(NOWHERE).sslmode(SslMode::Require).ca("/dev/null"));
    assert!(said.contains("`ca` is `/dev/null`: it holds no certificate"), "{said}");
}

#[test]
fn without_a_runtime_it_says_what_is_missing() {
    let error = PostgresStore::connect(NOWHERE).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("no Tokio runtime"), "{error}");
}

#[tokio::test]
async fn no_password_is_ever_shown() {
    let builder = PostgresStore::builder(NOWHERE).password("streng");
    let shown = format!("{builder:?} {builder:#?}");
    let store = builder.build().unwrap();
    let error = store.get(&key("a")).await.unwrap_err();
    let shown = format!(
        "{shown} {store:?} {store:#?} {error} {error:?} {:?} {}",
        store.servers(),
        store.guarantees()
    );
    assert!(!shown.contains("geheim") && !shown.contains("streng"), "{shown}");
    assert_eq!(store.servers(), ["127.0.0.1:1"]);
}

#[tokio::test]
async fn a_dead_server_costs_the_first_caller_a_wait_and_the_others_nothing() {
    let store = PostgresStore::connect(NOWHERE).unwrap();
    let started = std::time::Instant::now();
    let error = store.get(&key("a")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.is_retryable());
    assert!(error.to_string().contains("no connection to 127.0.0.1:1"), "{error}");
    assert!(error.to_string().contains("refused"), "{error}");
    assert!(error.downcast_ref::<std::io::Error>().is_some(), "{error:?}");
    let writes: [Result<()>; 3] = [
        store.set(&key("a"), larder_core::Value::Int(1), larder_core::Expiry::Never).await,
        store.delete(&key("a")).await.map(drop),
        store.increment(&key("a"), 1, larder_core::Expiry::Never).await.map(drop),
    ];
    for write in writes {
        // Never sent: not ambiguous.
        assert_eq!(write.unwrap_err().kind(), ErrorKind::Unavailable);
    }
    assert!(store.ping(0).await.is_err());
    assert!(started.elapsed() < Duration::from_millis(400), "{:?}", started.elapsed());
}

#[tokio::test]
async fn guarantees_say_what_each_setting_costs() {
    let of = |builder: PostgresStoreBuilder| builder.build().unwrap().guarantees();
    let builder = || PostgresStore::builder(NOWHERE);
    let unlogged = of(builder());
    let ordinary = [Hazard::Restart, Hazard::PowerLoss, Hazard::Failover, Hazard::Rollback];
    for hazard in ordinary.into_iter().chain([Hazard::Stall, Hazard::Eviction]) {
        assert!(unlogged.is_weakened_by(hazard), "{unlogged}");
    }
    assert!(unlogged.to_string().contains("logged = true"), "{unlogged}");
    let logged = of(builder().logged(true));
    assert!(!logged.is_weakened_by(Hazard::Restart) && !logged.is_weakened_by(Hazard::PowerLoss), "{logged}");
    let relaxed = of(builder().logged(true).synchronous_writes(false));
    assert!(relaxed.is_weakened_by(Hazard::PowerLoss), "{relaxed}");
    assert!(relaxed.to_string().contains("synchronous_writes = true"), "{relaxed}");
}

#[tokio::test]
async fn capabilities_need_no_server() {
    let store = PostgresStore::builder(NOWHERE).max_value_bytes(1_000).build().unwrap();
    let capabilities = store.capabilities();
    assert!(capabilities.shared() && capabilities.remote());
    assert_eq!(capabilities.max_value_bytes(), Some(1_000));
    assert_eq!(capabilities.operations(), larder_core::Operations::ALL);
}
