//! The page about configuration lists exactly the settings there are.

use super::super::{
    BESIDE, CACHE, FILE, GUARDS, MEMCACHED, MEMORY, NULL, POSTGRES, REDIS, Setting, is_common, variable,
};

/// All tables, each with the name of its place on the page.
const TABLES: [(&str, &[Setting]); 8] = [
    ("every cache", &CACHE),
    ("every store", &GUARDS),
    ("file", &FILE),
    ("memcached", &MEMCACHED),
    ("memory", &MEMORY),
    ("null", &NULL),
    ("postgres", &POSTGRES),
    ("redis", &REDIS),
];

const PAGE: &str = include_str!("../../../docs/configuration.md");

/// The table between `<!-- settings: {of} -->` and `<!-- end -->`.
fn on_page(of: &str) -> &'static str {
    let begin = format!("<!-- settings: {of} -->\n");
    let table = PAGE.split_once(&begin).and_then(|(_, rest)| rest.split_once("<!-- end -->"));
    table.unwrap_or_else(|| panic!("no {begin}")).0.trim()
}

fn table(settings: &[Setting]) -> String {
    let mut lines = vec![
        "| setting | what it does | unit or values | default | in a URL | environment | Flask-Caching |"
            .to_owned(),
        "|---|---|---|---|---|---|---|".to_owned(),
    ];
    lines.extend(settings.iter().map(|Setting { name, page }| {
        let flask = match page.flask.split_once(',') {
            Some((name, more)) => format!("`{name}`,{more}"),
            None if page.flask.is_empty() => String::new(),
            None => format!("`{}`", page.flask),
        };
        format!(
            "| `{name}` | {} | {} | {} | `{name}={}` | `{}` | {flask} |",
            page.about,
            page.unit,
            page.default,
            page.example,
            variable(name)
        )
    }));
    lines.join("\n")
}

#[test]
fn the_page_lists_exactly_the_settings_there_are() {
    for (of, settings) in TABLES {
        let expected = table(settings);
        assert_eq!(on_page(of), expected, "of {of}, write:\n\n{expected}\n");
    }
    assert_eq!(PAGE.matches("<!-- settings: ").count(), TABLES.len() + 1, "no table for what there is not");
    let beside = on_page("beside");
    let names: Vec<_> = beside.lines().skip(2).filter_map(|line| line.split('`').nth(1)).collect();
    assert_eq!(names, BESIDE);
}

#[test]
fn names_are_in_order_and_of_one_kind() {
    for (of, settings) in TABLES {
        assert!(settings.is_sorted_by(|a, b| a.name < b.name), "{of}");
        for setting in settings {
            assert!(crate::url::is_setting_name(setting.name), "{}", setting.name);
            assert!(!BESIDE.contains(&setting.name));
            let is_every = of.starts_with("every ");
            assert_eq!(is_common(setting.name), is_every, "no store claims a setting of every cache");
        }
    }
}

#[cfg(feature = "simple")]
#[test]
fn the_defaults_on_the_page_are_those_of_the_code() {
    let store = crate::StoreHandle::new(crate::SimpleStore::new());
    let built = |settings: &str| {
        let config: crate::CacheConfig = format!("memory://?{settings}").parse().unwrap();
        format!("{:?}", config.builder(store.clone()))
    };
    for Setting { name, page } in &CACHE {
        // An option that is set to its default is set all the same, and is what is left to each entry.
        let is_option = ["early_refresh", "error_backoff", "jitter", "late_tags"].contains(name);
        if let Some(default) = page.default.strip_prefix('`') {
            let default = default.trim_end_matches('`');
            if is_option {
                assert!(built(&format!("{name}={default}")).len() > built("").len(), "{name}");
                continue;
            }
            assert_eq!(built(&format!("{name}={default}")), built(""), "{name}");
        }
        assert_ne!(built(&format!("{name}={}", page.example)), built(""), "{name}");
    }
}

#[test]
fn the_defaults_of_circuit_breaker_and_batching_are_those_of_the_core() {
    let read = |settings: &str| {
        let config: crate::CacheConfig = format!("memory://?{settings}").parse().unwrap();
        format!("{:?}", config.guards())
    };
    for Setting { name, page } in &GUARDS {
        let switch = if name.starts_with("batching") { "batching" } else { "circuit_breaker" };
        let plain = read(&format!("{switch}=true"));
        if *name != switch {
            let default = page.default.trim_matches('`');
            assert_eq!(read(&format!("{name}={default}")), plain, "{name}");
        }
        assert_ne!(read(&format!("{name}={}", page.example)), plain, "{name}");
    }
}
