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
        ("codec=xml", "`codec=xml`: `codec` must be one of `messagepack`, `json`"),
        ("namespace=", "`namespace` is out of range: a namespace needs a name of at least one character"),
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
    assert!(refusal(&format!("namespace={}", "n".repeat(200))).starts_with("`namespace` is out of range: "));
}

#[cfg(feature = "simple")]
#[test]
fn a_configuration_builds_on_any_store() {
    let config: CacheConfig = "memory://?namespace=a&timeout=1m".parse().unwrap();
    let cache = config.builder(larder::SimpleStore::new()).namespace("b").build().unwrap();
    assert_eq!(cache.path().as_str(), "1/a/b/");
}
