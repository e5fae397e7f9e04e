//! Wrong settings are named, and nothing secret is shown.

use std::time::Duration;

use larder_core::{CacheStore, ErrorKind, Hazard};
use larder_redis::{
    OnRollback, ReadFrom, RedisStore, RedisStoreBuilder,
    fred::{
        clients::Pool,
        types::config::{Config, ConnectionConfig, PerformanceConfig, ReconnectPolicy, ReplicaConfig},
    },
};

fn refused(builder: RedisStoreBuilder, names: &str) {
    let error = builder.build().unwrap_err();
    let text = error.to_string();
    assert_eq!(error.kind(), ErrorKind::Config, "{text}");
    assert!(text.contains(names), "{text} names no {names}");
    assert!(!error.is_retryable());
}

fn at(address: &str) -> RedisStoreBuilder {
    RedisStore::builder(address)
}

#[tokio::test]
async fn a_wrong_setting_is_named() {
    let alone = || at("redis://h");
    refused(alone().connections(0), "`connections`: 0 is not between 1 and 64");
    refused(alone().connections(65), "`connections`");
    refused(alone().max_in_flight(0), "`max_in_flight`");
    refused(alone().max_value_bytes(0), "`max_value_bytes`");
    refused(alone().max_value_bytes(512 << 20), "`max_value_bytes`");
    refused(alone().operation_timeout(Duration::ZERO), "`operation_timeout`");
    refused(alone().operation_timeout(Duration::from_secs(61)), "`operation_timeout`: 61s is not between");
    refused(alone().connect_timeout(Duration::ZERO), "`connect_timeout`");
    refused(alone().scan_timeout(Duration::MAX), "`scan_timeout`");
    refused(alone().database(256), "`database`: 256");
    refused(alone().wait_replicas(17), "`wait_replicas`");
    refused(alone().username("u"), "`username`: it needs a `password`");
    refused(alone().sentinel_password("p"), "`sentinel_password`: only");
    refused(at("redis+sentinel://h/s").sentinel_username("u"), "`sentinel_username`");
    for prefix in ["a b", "é", "a*", "a{b}", &"x".repeat(51), "v1/"] {
        refused(alone().prefix(prefix), "`prefix`");
    }
    refused(at("redis+cluster://h").database(1), "`database`: a cluster");
    refused(at("redis+cluster://h").on_rollback(OnRollback::Distrust), "`on_rollback`");
    let replica = alone().on_rollback(OnRollback::Distrust).read_from(ReadFrom::Replica);
    refused(replica, "`read_from = replica`");
    refused(at("redis://h?prefix=a"), "methods of the builder");
}

#[tokio::test]
async fn wrong_files_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let (nothing, rubbish) = (dir.path().join("nothing.pem"), dir.path().join("rubbish.pem"));
    std::fs::write(&rubbish, "rubbish").unwrap();
    for file in [nothing, rubbish.clone()] {
        refused(at("rediss://h").ca(&file), "`ca`");
    }
    refused(at("redis://h").ca(&rubbish), "`ca`: only a `rediss` address");
    refused(at("rediss://h").client_cert(&rubbish), "`client_cert`: it needs a `client_key`");
    refused(at("rediss://h").client_key(&rubbish), "`client_key`: it needs a `client_cert`");
}

#[test]
fn outside_a_runtime_it_says_so() {
    refused(at("redis://127.0.0.1:1"), "runtime");
}

#[tokio::test]
async fn no_password_is_ever_shown() {
    let secrets = ["hunter2", "swordfish", "opensesame"];
    let builder = at("redis+sentinel://larder:hunter2@127.0.0.1:1/service")
        .sentinel_password("swordfish")
        .operation_timeout(Duration::from_millis(50));
    let shown = format!("{builder:?} {builder:#?}");
    let store = builder.build().unwrap();
    let error = store.get(&super::key("secrets")).await.unwrap_err();
    let with_password = at("redis://h").password("opensesame");
    let shown = format!(
        "{shown} {store:?} {store:#?} {:?} {error} {error:?} {with_password:?} {}",
        store.servers(),
        store.guarantees()
    );
    for secret in secrets {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[tokio::test]
async fn what_weakens_it_depends_on_the_settings() {
    let of = |builder: RedisStoreBuilder| builder.build().unwrap().guarantees();
    let alone = of(at("redis://127.0.0.1:1"));
    for hazard in [Hazard::Restart, Hazard::Rollback, Hazard::PowerLoss, Hazard::Stall, Hazard::Eviction] {
        assert!(alone.is_weakened_by(hazard), "{hazard}");
    }
    for hazard in [Hazard::Failover, Hazard::SplitBrain, Hazard::ReplicaReads] {
        assert!(!alone.is_weakened_by(hazard), "{hazard}");
    }
    assert!(of(at("redis://127.0.0.1:1").read_from(ReadFrom::Replica)).is_weakened_by(Hazard::ReplicaReads));
    let sentinel = of(at("redis+sentinel://127.0.0.1:1/s"));
    assert!(sentinel.is_weakened_by(Hazard::Failover) && sentinel.is_weakened_by(Hazard::SplitBrain));
    let remedy =
        sentinel.weaknesses().iter().find(|weakness| weakness.hazard() == Hazard::SplitBrain).unwrap();
    assert_eq!(remedy.remedy(), Some("wait_replicas = 1"));
    let distrust = of(at("redis://127.0.0.1:1").on_rollback(OnRollback::Distrust));
    assert!(!distrust.is_weakened_by(Hazard::PowerLoss));
    assert!(distrust.to_string().contains("only under the server run it was written under"));
}

#[tokio::test]
async fn a_client_that_would_mix_up_a_late_answer_is_refused() {
    let pool = |ignore, timeout| {
        let replica = ReplicaConfig { ignore_reconnection_errors: ignore, ..ReplicaConfig::default() };
        let connection = ConnectionConfig { replica, ..ConnectionConfig::default() };
        let performance =
            PerformanceConfig { default_command_timeout: timeout, ..PerformanceConfig::default() };
        let policy = ReconnectPolicy::new_exponential(0, 50, 500, 2);
        let config = Config::from_url("redis://127.0.0.1:1").unwrap();
        Pool::new(config, Some(performance), Some(connection), Some(policy), 1).unwrap()
    };
    let some = Duration::from_secs(1);
    refused(RedisStore::from_client(pool(true, some)), "ignore_reconnection_errors");
    RedisStore::from_client(pool(false, some)).build().unwrap();
    RedisStore::from_client(pool(true, Duration::ZERO)).build().unwrap();
    let replica = RedisStore::from_client(pool(true, Duration::ZERO)).read_from(ReadFrom::Replica);
    refused(replica, "`read_from`: `replica`");
}

#[tokio::test]
async fn a_client_that_would_mix_up_answers_is_refused() {
    let pool = |redirections| {
        let connection = ConnectionConfig { max_redirections: redirections, ..ConnectionConfig::default() };
        let policy = ReconnectPolicy::new_exponential(0, 50, 500, 2);
        let config = Config::from_url("redis-cluster://127.0.0.1:1").unwrap();
        Pool::new(config, None, Some(connection), Some(policy), 1).unwrap()
    };
    refused(RedisStore::from_client(pool(5)), "max_redirections");
    RedisStore::from_client(pool(0)).build().unwrap();
}

#[tokio::test]
async fn a_client_that_would_hang_is_refused() {
    let config = || Config::from_url("redis://127.0.0.1:1").unwrap();
    let policy = || Some(ReconnectPolicy::new_exponential(0, 50, 500, 2));
    let pool = |connection, policy| Pool::new(config(), None, connection, policy, 1).unwrap();
    refused(RedisStore::from_client(pool(None, None)), "no reconnect policy");
    let bounded = ConnectionConfig { max_command_buffer_len: 100, ..ConnectionConfig::default() };
    refused(RedisStore::from_client(pool(Some(bounded), policy())), "max_command_buffer_len");
    refused(
        RedisStore::from_client(pool(None, policy())).password("p"),
        "`password`: the client has its own",
    );
    refused(RedisStore::from_client(pool(None, policy())).connections(2), "`connections`");
    RedisStore::from_client(pool(None, policy())).prefix("shop:").build().unwrap();
}
