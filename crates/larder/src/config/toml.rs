//! Configuration in a TOML file of its own.

use std::{fs, io, path::Path};

use larder_core::{Error, ErrorKind, Result};
use serde::Deserialize as _;

use super::{CacheConfig, CachesConfig, config, raw::Raw, within};
use crate::{settings::shown, suggest};

impl CacheConfig {
    /// The one cache that a TOML text describes, in a table `[cache]`.
    ///
    /// # Errors
    ///
    /// Of kind [`Config`](ErrorKind::Config): text that is not TOML, anything but `[cache]` in it, several caches, no `url`,
    /// a setting out of range or given in the URL as well. One that no store has is an error when the store is opened.
    ///
    /// ```
    /// let config = larder::CacheConfig::from_toml(
    ///     r#"
    ///     [cache]
    ///     url = "memory://"
    ///     max_entries = 10_000
    ///     timeout = "1h"
    ///     "#,
    /// )?;
    /// assert_eq!(config.url().text("timeout"), Some("1h"));
    /// # Ok::<(), larder::Error>(())
    /// ```
    pub fn from_toml(text: &str) -> Result<Self> {
        match read(text)? {
            Read::One(config) => Ok(*config),
            Read::Several(caches) => {
                let names: Vec<_> = caches.names().collect();
                Err(config(format!(
                    "one cache is asked for, but several are described ({}): say which",
                    names.join(", ")
                )))
            }
        }
    }

    /// The same from a file. It is read at once, so ask for it while the program starts. A file that cannot be read is an
    /// error of kind [`Config`](ErrorKind::Config) too.
    ///
    /// ```
    /// let error = larder::CacheConfig::from_file("no/such/larder.toml").unwrap_err();
    /// assert!(error.to_string().contains("`no/such/larder.toml`: there is no such file"));
    /// ```
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self> {
        in_file(path.as_ref(), Self::from_toml)
    }
}

impl CachesConfig {
    /// The caches that a TOML text describes, each in a table `[cache.<name>]`.
    ///
    /// # Errors
    ///
    /// As [`CacheConfig::from_toml`], and one cache in `[cache]` itself: it would have no name.
    ///
    /// ```
    /// let caches = larder::CachesConfig::from_toml(
    ///     r#"
    ///     [cache.pages]
    ///     url = "memory://"
    ///     share_store = true
    ///     namespace = "pages"
    ///
    ///     [cache.users]
    ///     url = "memory://"
    ///     share_store = true
    ///     namespace = "users"
    ///     "#,
    /// )?;
    /// assert_eq!(caches.names().collect::<Vec<_>>(), ["pages", "users"]);
    /// # Ok::<(), larder::Error>(())
    /// ```
    pub fn from_toml(text: &str) -> Result<Self> {
        match read(text)? {
            Read::Several(caches) => Ok(caches),
            Read::One(_) => Err(config(
                "several caches are asked for, but `[cache]` describes one: give it a name, as in `[cache.pages]`",
            )),
        }
    }

    /// The same from a file, as [`CacheConfig::from_file`].
    ///
    /// ```
    /// assert!(larder::CachesConfig::from_file("no/such/larder.toml").is_err());
    /// ```
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self> {
        in_file(path.as_ref(), Self::from_toml)
    }
}

enum Read {
    One(Box<CacheConfig>),
    Several(CachesConfig),
}

fn read(text: &str) -> Result<Read> {
    let document =
        ::toml::Deserializer::parse(text).and_then(Raw::deserialize).map_err(|error| syntax(text, &error))?;
    let Raw::Table(tables) = document else {
        return Err(config("a TOML document is a table"));
    };
    if let Some((name, _)) = tables.iter().find(|(name, _)| name != "cache") {
        let hint = suggest::near(name, std::iter::once("cache"));
        return Err(config(format!("`{}` has no meaning here{hint}: all stands in `[cache]`", shown(name))));
    }
    let Some((_, cache)) = tables.into_iter().next() else {
        return Err(config("there is no table `[cache]`"));
    };
    let Raw::Table(entries) = cache else {
        return Err(config(format!(
            "`cache` is {}, not a table: write `[cache]` and settings below it",
            cache.kind()
        )));
    };
    let table = entries.iter().find(|(_, raw)| matches!(raw, Raw::Table(_)));
    let setting = entries.iter().find(|(_, raw)| !matches!(raw, Raw::Table(_)));
    match (table, setting) {
        (Some((table, _)), Some((setting, _))) => Err(config(format!(
            "`[cache]` describes one cache (with `{}`) and several (as `{}`): give each a table of its own",
            shown(setting),
            shown(table)
        ))),
        (Some(_), None) => CachesConfig::from_raw(Raw::Table(entries)).map(Read::Several),
        (None, _) => {
            let place = "`[cache]`";
            let config = Raw::Table(entries).into_config().map_err(|error| within(place, error))?;
            Ok(Read::One(Box::new(config.at(place))))
        }
    }
}

/// Where and why it is not TOML. The parser's own display would repeat the line, and a password in it.
fn syntax(text: &str, error: &::toml::de::Error) -> Error {
    let at = error.span().map_or(0, |span| span.start);
    let before = text.get(..at).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    let message = error.message().lines().next().unwrap_or_default();
    config(format!("not TOML, at line {line}, column {column}: {message}"))
}

fn in_file<T>(path: &Path, read: impl FnOnce(&str) -> Result<T>) -> Result<T> {
    let place = format!("`{}`", path.display());
    let text = fs::read_to_string(path).map_err(|error| {
        let message = match error.kind() {
            io::ErrorKind::NotFound => format!("{place}: there is no such file"),
            io::ErrorKind::InvalidData => format!("{place}: it is not UTF-8"),
            _ => format!("{place}: it cannot be read"),
        };
        Error::new(ErrorKind::Config, message).with_source(error)
    })?;
    read(&text).map_err(|error| within(&place, error))
}
