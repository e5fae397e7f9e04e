use larder::{CacheConfig, ErrorKind};

fn refusal(variables: &[(&str, &str)]) -> String {
    let error = CacheConfig::from_vars(variables.iter().copied()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    error.to_string()
}

#[test]
fn settings_stand_beside_the_url() {
    let config = CacheConfig::from_vars([
        ("LARDER_TIMEOUT", "1h"),
        ("PATH", "/bin"),
        ("LARDER", "of food"),
        ("larder_url", "etcd://"),
        ("LARDER_URL", "memory://?max_entries=5"),
    ])
    .unwrap();
    assert_eq!(config.url().scheme(), "memory");
    assert_eq!(config.url().text("timeout"), Some("1h"));
    assert_eq!(config.url().number("max_entries").unwrap(), Some(5));
}

#[test]
fn what_is_wrong_is_named_as_it_stands_there() {
    let url = ("LARDER_URL", "memory://?timeout=5m");
    for (variables, expected) in [
        (&[][..], "`LARDER_URL` is not set: it says what store to use, as in `LARDER_URL=memory://`"),
        (
            &[("LARDER_TIMEOUT", "1h")],
            "`LARDER_URL` is not set: it says what store to use, as in `LARDER_URL=memory://`",
        ),
        (
            &[("LARDER_URL", "")],
            "`LARDER_URL`: not a URL: a store URL looks like `memory://?max_entries=10000`",
        ),
        (&[url, url], "`LARDER_URL` is given more than once"),
        (
            &[url, ("LARDER_TIMEOUT", "1h")],
            "`timeout` is given more than once: in the URL and as `LARDER_TIMEOUT`; leave one",
        ),
        (
            &[url, ("LARDER_CODEC", "xml"), ("LARDER_CODEC", "json")],
            "`codec` is given more than once: as `LARDER_CODEC` and as `LARDER_CODEC`; leave one",
        ),
        (
            &[url, ("LARDER_LOAD_TIMEOUT", "soon")],
            "`LARDER_LOAD_TIMEOUT=soon`: `LARDER_LOAD_TIMEOUT` must be seconds (`2`) or a duration (`500ms`, `5s`, \
             `1m30s`), longer than zero",
        ),
        (
            &[url, ("LARDER_NAMESPACE", "")],
            "`LARDER_NAMESPACE=`: `LARDER_NAMESPACE` is out of range: a namespace needs a name of at least one character",
        ),
        (
            &[url, ("LARDER_Codec", "json")],
            "`LARDER_Codec` is no setting: write it in capitals, `LARDER_CODEC`",
        ),
        (
            &[url, ("LARDER_", "json")],
            "`LARDER_` is no setting: behind `LARDER_` come capital letters, digits and `_`",
        ),
        (
            &[url, ("LARDER_MAX-BYTES", "1")],
            "`LARDER_MAX-BYTES` is no setting: behind `LARDER_` come capital letters, digits and `_`",
        ),
    ] {
        assert_eq!(refusal(variables), expected);
    }
}

#[cfg(feature = "simple")]
#[tokio::test]
async fn what_no_store_has_is_named_as_it_stands_there() {
    for (name, value, expected) in [
        (
            "LARDER_TIEMOUT",
            "1h",
            "in the environment: `LARDER_TIEMOUT`: `memory://` has no setting `tiemout` (did you mean `timeout`?); its \
             settings: ",
        ),
        (
            "LARDER_SHARE_STORE",
            "true",
            "in the environment: `LARDER_SHARE_STORE`: `memory://` has no setting `share_store`; ",
        ),
        (
            "LARDER_MAX_ENTRIES",
            "many",
            "in the environment: `LARDER_MAX_ENTRIES=many`: `LARDER_MAX_ENTRIES` must be a whole number",
        ),
        (
            "LARDER_MAX_ENTRIES",
            "0",
            "in the environment: `max_entries` is 0: a store keeps at least one entry",
        ),
    ] {
        let config = CacheConfig::from_vars([("LARDER_URL", "memory://"), (name, value)]).unwrap();
        let error = config.connect().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().starts_with(expected), "{error}");
    }
}

#[cfg(unix)]
#[test]
fn what_is_not_unicode_is_refused_where_it_is_ours() {
    use std::{ffi::OsString, os::unix::ffi::OsStringExt as _};

    let broken = || OsString::from_vec(b"LARDER_\xff".to_vec());
    let url = || (OsString::from("LARDER_URL"), OsString::from("memory://"));
    let refusal = |variable| CacheConfig::from_vars([url(), variable]).unwrap_err().to_string();
    assert_eq!(refusal((broken(), "1".into())), "`LARDER_\u{fffd}`: its name is not Unicode");
    assert_eq!(refusal(("LARDER_TIMEOUT".into(), broken())), "`LARDER_TIMEOUT`: its value is not Unicode");
    let others = (OsString::from_vec(b"\xffLARDER_".to_vec()), broken());
    assert!(CacheConfig::from_vars([url(), others]).is_ok());
}
