//! Every setting, given right and given wrong, in every form.

use larder_core::{Error, ErrorKind};

use super::super::{CACHE, Setting, variable};
use crate::{CacheConfig, Result};

/// The URLs of the stores that are compiled in, with their settings.
fn stores(directory: &std::path::Path) -> Vec<(String, &'static [Setting])> {
    // Without the feature nobody asks where.
    let _ = directory;
    vec![
        #[cfg(feature = "filesystem")]
        (format!("file://{}/cache", directory.display()), &super::super::FILE),
        #[cfg(feature = "simple")]
        ("memory://".to_owned(), &super::super::MEMORY),
        #[cfg(feature = "null")]
        ("null://".to_owned(), &super::super::NULL),
    ]
}

/// Reads and opens it.
async fn opened(config: Result<CacheConfig>) -> Result<()> {
    config?.connect().await.map(drop)
}

fn in_json(url: &str, name: &str, value: &str) -> Result<CacheConfig> {
    let text = serde_json::json!({ "url": url, name: value }).to_string();
    serde_json::from_str(&text).map_err(|error| Error::new(ErrorKind::Config, error.to_string()))
}

fn in_env(url: &str, name: &str, value: &str) -> Result<CacheConfig> {
    CacheConfig::from_vars([("LARDER_URL".to_owned(), url.to_owned()), (variable(name), value.to_owned())])
}

#[tokio::test]
async fn a_value_that_is_allowed_is_taken_in_every_form() {
    let directory = tempfile::tempdir().unwrap();
    for (url, own) in stores(directory.path()) {
        for Setting { name, page } in CACHE.iter().chain(own) {
            let value = page.example;
            opened(format!("{url}?{name}={value}").parse()).await.unwrap();
            opened(in_json(&url, name, value)).await.unwrap();
            opened(in_env(&url, name, value)).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_value_that_is_not_is_refused_by_name_in_every_form() {
    let directory = tempfile::tempdir().unwrap();
    for (url, own) in stores(directory.path()) {
        for Setting { name, page } in CACHE.iter().chain(own) {
            let value = page.wrong;
            let variable = variable(name);
            for (config, label) in [
                (format!("{url}?{name}={value}").parse(), *name),
                (in_json(&url, name, value), *name),
                (in_env(&url, name, value), &*variable),
            ] {
                let error = opened(config).await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Config, "{error}");
                let text = error.to_string();
                // What only the store can tell, it tells by its own name for it.
                let by_reader = text.contains(&format!("`{label}={value}`: `{label}` "));
                let by_store = text.contains(&format!("`{name}` is {value}: "));
                assert!(by_reader || by_store, "{text}");
            }
        }
    }
}
