//! Nothing that can be written makes it panic.

use std::ffi::OsString;

use larder::{CacheConfig, CachesConfig};
use proptest::prelude::*;

/// Names that mean something, and others.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        "(LARDER|CACHE)_(URL|TYPE|DIR|REDIS_(HOST|PORT|URL|SENTINELS|CLUSTER)|MEMCACHED_SERVERS|TIMEOUT|MAX_ENTRIES|THRESHOLD|KEY_PREFIX|NAMESPACE|DEFAULT_TIMEOUT)",
        "(LARDER|CACHE)_[A-Za-z_]{0,9}",
        any::<String>(),
    ]
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        "(memory|null|file|redis|redis[+]sentinel|memcached|postgres)://[a-z/.]{0,5}[?&a-z=0-9%*,]{0,20}",
        "(Simple|Null|FileSystem|Redis|RedisSentinel|RedisCluster|Memcached)Cache",
        "[0-9]{0,22}[a-zA-Z]{0,3}",
        any::<String>(),
    ]
}

proptest! {
    #[test]
    fn no_environment(variables in prop::collection::vec((name(), value()), 0..6)) {
        let _ = CacheConfig::from_vars(variables.clone());
        let _ = CacheConfig::from_flask_vars(variables);
    }

    #[test]
    fn no_json(text in "[\\[\\]{}\":,a-z0-9. -]{0,60}", key in any::<String>(), value in any::<String>()) {
        let _ = serde_json::from_str::<CacheConfig>(&text);
        let _ = serde_json::from_str::<CachesConfig>(&text);
        let cache = serde_json::json!({ "url": "memory://", &key: value });
        let _ = serde_json::from_value::<CacheConfig>(cache.clone());
        let _ = serde_json::from_value::<CachesConfig>(serde_json::json!({ &key: cache }));
    }
}

#[cfg(feature = "toml")]
proptest! {
    #[test]
    fn no_toml(any in any::<String>(), near in "[\\[\\]{}\"'=,#.a-z0-9\n -]{0,60}", key in "[a-z_]{1,12}", value in any::<String>()) {
        for text in [
            any.clone(),
            format!("[cache]\nurl = 'memory://'\n{any}"),
            format!("[cache]\n{near}"),
            format!("[cache.a]\nurl = 'memory://'\n{key} = {near}"),
            format!("[cache]\nurl = 'memory://'\n{key} = {value:?}"),
        ] {
            let _ = CacheConfig::from_toml(&text);
            let _ = CachesConfig::from_toml(&text);
        }
    }
}

#[cfg(feature = "toml")]
#[test]
fn nor_does_what_is_deep_or_long() {
    let deep = format!("cache = {}1{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(CacheConfig::from_toml(&deep).is_err());
    let dotted = format!("cache{} = 1", ".a".repeat(100_000));
    assert!(CacheConfig::from_toml(&dotted).is_err());
    let long = format!("[cache]\nurl = 'memory://'\ntimeout = '{}'", "9".repeat(1_000_000));
    let said = CacheConfig::from_toml(&long).unwrap_err().to_string();
    assert!(said.len() < 500, "an error is for people, and this has {} bytes", said.len());
}

#[test]
fn a_long_value_is_cut_in_its_error() {
    for value in ["x".repeat(1_000_000), "\0".repeat(1_000_000), "é".repeat(500_000)] {
        let variables = [("LARDER_URL", "memory://".to_owned()), ("LARDER_CODEC", value)];
        let said = CacheConfig::from_vars(variables.map(|(name, value)| (name, OsString::from(value))));
        assert!(said.unwrap_err().to_string().len() < 1_000);
    }
}
