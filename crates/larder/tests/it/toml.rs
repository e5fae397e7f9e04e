use larder::{CacheConfig, CachesConfig, ErrorKind};

fn refusal(text: &str) -> String {
    let error = CacheConfig::from_toml(text).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    error.to_string()
}

#[test]
fn one_cache() {
    let config = CacheConfig::from_toml(
        "[cache]\nurl = 'memory://'\nmax_entries = 10_000\ntimeout = 90\ncodec = 'json'\nnamespace = 'a b'\n",
    )
    .unwrap();
    assert_eq!(config.url().number("max_entries").unwrap(), Some(10_000));
    assert_eq!(config.url().text("namespace"), Some("a b"));
    assert!(CacheConfig::from_toml("cache.url = 'memory://'").is_ok());
}

#[test]
fn several_caches() {
    let text = "[cache.pages]\nurl = 'memory://'\n\n[cache.users]\nurl = 'memory://?timeout=1h'\n";
    let caches = CachesConfig::from_toml(text).unwrap();
    assert_eq!(caches.names().collect::<Vec<_>>(), ["pages", "users"]);
    assert_eq!(refusal(text), "one cache is asked for, but several are described (pages, users): say which");
    let one = CachesConfig::from_toml("[cache]\nurl = 'memory://'").unwrap_err();
    assert_eq!(
        one.to_string(),
        "several caches are asked for, but `[cache]` describes one: give it a name, as in `[cache.pages]`"
    );
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    for (text, expected) in [
        ("", "there is no table `[cache]`"),
        (
            "[caches]\nurl = 'memory://'",
            "`caches` has no meaning here (did you mean `cache`?): all stands in `[cache]`",
        ),
        ("timeout = 5", "`timeout` has no meaning here: all stands in `[cache]`"),
        ("cache = 5", "`cache` is a value, not a table: write `[cache]` and settings below it"),
        (
            "[[cache]]\nurl = 'memory://'",
            "`cache` is a list, not a table: write `[cache]` and settings below it",
        ),
        ("[cache]", "`[cache]`: there is no `url`, which says what store to use: `url = \"memory://\"`"),
        (
            "[cache]\nurl = 'memory'",
            "`[cache]`: not a URL: a store URL looks like `memory://?max_entries=10000`",
        ),
        (
            "[cache]\nurl = 'memory://'\ntimeout = 'soon'",
            "`[cache]`: `timeout=soon`: `timeout` must be seconds (`300`), a duration (`500ms`, `5m`, `1h30m`, `2d`), or \
             `never`",
        ),
        (
            "[cache]\nurl = 'memory://'\n[cache.pages]\nurl = 'memory://'",
            "`[cache]` describes one cache (with `url`) and several (as `pages`): give each a table of its own",
        ),
        (
            "[cache.a]\nurl = 'memory://'\nload_timeout = 2026-01-01",
            "`[cache.a]`: `load_timeout` is a table, not one value",
        ),
    ] {
        assert_eq!(refusal(text), expected, "{text}");
    }
}

#[test]
fn what_is_not_toml_is_told_with_line_and_column() {
    for (text, at) in [
        ("[cache]\nurl = 'memory://'\nurl = 'null://'", "line 3, column 1"),
        ("[cache]\nurl = memory://", "line 2, column 7"),
        ("# é\n  é", "line 2, column 4"),
        ("[cache", "line 1, column 7"),
    ] {
        let said = refusal(text);
        assert!(said.starts_with(&format!("not TOML, at {at}: ")), "{said}");
        assert!(!said.contains('\n'), "{said}");
    }
}

#[test]
fn a_file_is_named_in_its_errors() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("larder.toml");
    let shown = path.display();
    let read = || CacheConfig::from_file(&path);

    let missing = read().unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::Config);
    assert!(missing.to_string().starts_with(&format!("`{shown}`: there is no such file: ")), "{missing}");

    std::fs::write(&path, b"\xff").unwrap();
    assert!(read().unwrap_err().to_string().starts_with(&format!("`{shown}`: it is not UTF-8: ")));

    std::fs::write(&path, "[cache.pages]\nurl = 'memory://?codec=xml'").unwrap();
    assert_eq!(
        CachesConfig::from_file(&path).unwrap_err().to_string(),
        format!("`{shown}`: `[cache.pages]`: `codec=xml`: `codec` must be one of `messagepack`, `json`")
    );

    std::fs::write(&path, "[cache]\nurl = 'memory://'").unwrap();
    assert!(read().is_ok());
    let unreadable = CacheConfig::from_file(directory.path()).unwrap_err().to_string();
    assert!(unreadable.contains("`: it cannot be read: "), "{unreadable}");
}

#[cfg(feature = "simple")]
#[tokio::test]
async fn an_error_on_opening_has_its_place_too() {
    let config = CacheConfig::from_toml("[cache]\nurl = 'memory://'\nmax_entires = 5").unwrap();
    let error = config.connect().await.unwrap_err().to_string();
    let expected = "`[cache]`: `memory://` has no setting `max_entires` (did you mean `max_entries`?); ";
    assert!(error.starts_with(expected), "{error}");
}
