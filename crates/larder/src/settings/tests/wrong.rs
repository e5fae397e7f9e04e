//! Every setting, given right and given wrong, in every form.

use std::path::Path;

use larder_core::{Error, ErrorKind};

use super::super::{CACHE, GUARDS, Setting, variable};
use crate::{CacheConfig, Result};

/// The URLs of the stores that are compiled in, with their settings.
fn stores(directory: &Path) -> Vec<(String, &'static [Setting])> {
    // Without the feature nobody asks where.
    let _ = directory;
    vec![
        #[cfg(feature = "filesystem")]
        (format!("file://{}/cache", directory.display()), &super::super::FILE),
        #[cfg(feature = "memcached")]
        ("memcached://127.0.0.1:1".to_owned(), &super::super::MEMCACHED),
        #[cfg(feature = "simple")]
        ("memory://".to_owned(), &super::super::MEMORY),
        #[cfg(feature = "null")]
        ("null://".to_owned(), &super::super::NULL),
        #[cfg(feature = "postgres")]
        ("postgres://127.0.0.1:1/shop".to_owned(), &super::super::POSTGRES),
        #[cfg(feature = "redis")]
        ("redis://127.0.0.1:1".to_owned(), &super::super::REDIS),
    ]
}

/// Where the setting means something, what else it needs, and a value: its example, unless that is a file.
fn right(directory: &Path, url: &str, setting: &Setting) -> (String, Vec<(&'static str, String)>, String) {
    let name = setting.name;
    let (scheme, _) = url.split_once("://").expect("URLs");
    let file = |name: &str| directory.join(name).to_str().unwrap().to_owned();
    let value = match name {
        "ca" | "client_cert" => file("certificate.pem"),
        "client_key" => file("key.pem"),
        _ => setting.page.example.to_owned(),
    };
    let url = match (scheme, name) {
        ("redis", "ca" | "client_cert" | "client_key") => "rediss://127.0.0.1:1",
        ("redis", "sentinel_username" | "sentinel_password") => "redis+sentinel://127.0.0.1:1/shop",
        ("memcached", "ca") => "memcacheds://127.0.0.1:1",
        _ => url,
    };
    let beside = match (scheme, name) {
        ("redis", "client_cert") => vec![("client_key", file("key.pem"))],
        ("redis", "client_key") => vec![("client_cert", file("certificate.pem"))],
        ("redis", "sentinel_username") => vec![("sentinel_password", "s3cret".to_owned())],
        ("redis" | "memcached", "username") => vec![("password", "s3cret".to_owned())],
        ("memcached", "password") => vec![("username", "shop".to_owned())],
        ("postgres", "ca") => vec![("sslmode", "require".to_owned())],
        ("postgres", "synchronous_writes") => vec![("logged", "true".to_owned())],
        _ => Vec::new(),
    };
    (url.to_owned(), beside, value)
}

/// A certificate and its key, as files.
fn with_certificate() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(directory.path().join("certificate.pem"), pair.cert.pem()).unwrap();
    std::fs::write(directory.path().join("key.pem"), pair.signing_key.serialize_pem()).unwrap();
    directory
}

/// Reads and opens it.
async fn opened(config: Result<CacheConfig>) -> Result<()> {
    config?.connect().await.map(drop)
}

fn in_json(url: &str, name: &str, value: &str) -> Result<CacheConfig> {
    let text = serde_json::json!({ "url": url, name: value }).to_string();
    serde_json::from_str(&text).map_err(|error| Error::new(ErrorKind::Config, error.to_string()))
}

/// In quotes, as all settings may be.
#[cfg(feature = "toml")]
fn in_toml(url: &str, name: &str, value: &str) -> Result<CacheConfig> {
    CacheConfig::from_toml(&format!("[cache]\nurl = \"{url}\"\n{name} = \"{value}\"\n"))
}

fn in_env(url: &str, name: &str, value: &str) -> Result<CacheConfig> {
    CacheConfig::from_vars([("LARDER_URL".to_owned(), url.to_owned()), (variable(name), value.to_owned())])
}

#[tokio::test]
async fn a_value_that_is_allowed_is_taken_in_every_form() {
    let directory = with_certificate();
    for (url, own) in stores(directory.path()) {
        for setting in CACHE.iter().chain(&GUARDS).chain(own) {
            let (name, (url, beside, value)) = (setting.name, right(directory.path(), &url, setting));
            let beside: Vec<_> = beside.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let url = format!("{url}?{}", beside.join("&"));
            for config in [
                format!("{url}&{name}={value}").parse(),
                in_json(&url, name, &value),
                in_env(&url, name, &value),
                #[cfg(feature = "toml")]
                in_toml(&url, name, &value),
            ] {
                opened(config).await.unwrap_or_else(|error| panic!("{url} {name}: {error}"));
            }
        }
    }
}

#[tokio::test]
async fn a_value_that_is_not_is_refused_by_name_in_every_form() {
    let directory = tempfile::tempdir().unwrap();
    for (url, own) in stores(directory.path()) {
        for Setting { name, page } in CACHE.iter().chain(&GUARDS).chain(own) {
            let value = page.wrong;
            let variable = variable(name);
            for (config, label) in [
                (format!("{url}?{name}={value}").parse(), *name),
                (in_json(&url, name, value), *name),
                (in_env(&url, name, value), &*variable),
                #[cfg(feature = "toml")]
                (in_toml(&url, name, value), *name),
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
