//! Several caches, by name.

use std::collections::BTreeMap;

use larder_core::{Cache, Error, Result};
use serde::{Deserialize, Deserializer};

use super::{CacheConfig, config, raw::Raw, sharing, within};
use crate::{Registry, settings::shown, suggest};

/// Several caches as configuration describes them, by name: in a TOML file, one table `[cache.<name>]` each.
///
/// ```toml
/// [cache.pages]
/// url = "memory://?max_bytes=64MiB"
/// timeout = "1h"
///
/// [cache.users]
/// url = "memory://"
/// max_entries = 500
/// ```
///
/// By serde it reads what stands in `cache` there: a table of tables.
///
/// Caches whose URLs are the same but for the settings can share a store: each of them says `share_store = true`, and has a
/// `namespace` of its own.
///
/// ```
/// use larder::CachesConfig;
///
/// let json = r#"{ "pages": { "url": "memory://", "timeout": "1h" }, "users": { "url": "memory://" } }"#;
/// let caches: CachesConfig = serde_json::from_str(json).unwrap();
/// assert_eq!(caches.names().collect::<Vec<_>>(), ["pages", "users"]);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CachesConfig {
    caches: BTreeMap<String, CacheConfig>,
}

impl CachesConfig {
    /// From code. A name that is empty or has other characters than letters, digits, `_` and `-`, a name that is there
    /// twice, and no cache at all are errors of kind [`Config`](crate::ErrorKind::Config).
    ///
    /// ```
    /// let caches = larder::CachesConfig::new([("pages", "memory://".parse()?)])?;
    /// assert_eq!(caches.names().count(), 1);
    /// # Ok::<(), larder::Error>(())
    /// ```
    pub fn new<N: Into<String>>(caches: impl IntoIterator<Item = (N, CacheConfig)>) -> Result<Self> {
        let mut known = BTreeMap::new();
        for (name, config) in caches {
            let name = checked_name(name.into())?;
            let config = config.at(table(&name));
            if known.contains_key(&name) {
                return Err(super::config(format!("{} is given more than once", table(&name))));
            }
            known.insert(name, config);
        }
        if known.is_empty() {
            return Err(config(
                "no cache is described: write a table with a `url`, as in `[cache.pages]` and below it `url = \"memory://\"`",
            ));
        }
        sharing::check(&known)?;
        Ok(Self { caches: known })
    }

    /// One of them. A name that is not there is an error that lists those that are.
    ///
    /// ```
    /// let caches = larder::CachesConfig::new([("pages", "memory://".parse()?)])?;
    /// assert_eq!(caches.get("pages")?.url().scheme(), "memory");
    /// assert!(caches.get("page").unwrap_err().to_string().contains("did you mean `pages`?"));
    /// # Ok::<(), larder::Error>(())
    /// ```
    pub fn get(&self, name: &str) -> Result<&CacheConfig> {
        self.caches.get(name).ok_or_else(|| {
            let hint = suggest::near(name, self.names());
            let known: Vec<_> = self.names().collect();
            config(format!("no cache is named `{}`{hint}; there are: {}", shown(name), known.join(", ")))
        })
    }

    /// Their names, in alphabetical order.
    ///
    /// ```
    /// let caches = larder::CachesConfig::new([("b", "memory://".parse()?), ("a", "memory://".parse()?)])?;
    /// assert_eq!(caches.names().collect::<Vec<_>>(), ["a", "b"]);
    /// # Ok::<(), larder::Error>(())
    /// ```
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.caches.keys().map(String::as_str)
    }

    /// All of them, in the order of their names.
    ///
    /// ```
    /// let caches = larder::CachesConfig::new([("pages", "memory://".parse()?)])?;
    /// for (name, config) in caches.iter() {
    ///     println!("{name} is kept by {}", config.url().scheme());
    /// }
    /// # Ok::<(), larder::Error>(())
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = (&str, &CacheConfig)> {
        self.caches.iter().map(|(name, config)| (name.as_str(), config))
    }

    /// All caches, on the stores whose features are on. With stores of others see [`Registry::open_all`].
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> larder::Result<()> {
    /// # #[cfg(feature = "simple")] {
    /// let config = larder::CachesConfig::new([("pages", "memory://".parse()?)])?;
    /// let caches = config.connect().await?;
    /// caches["pages"].set("home", "hello".to_owned()).await?;
    /// # }
    /// # Ok(()) }
    /// ```
    pub async fn connect(&self) -> Result<BTreeMap<String, Cache>> {
        Registry::with_defaults().open_all(self).await
    }

    pub(super) fn from_raw(raw: Raw) -> Result<Self> {
        let Raw::Table(tables) = raw else {
            return Err(config(format!("caches are a table with a table for each, not {}", raw.kind())));
        };
        let caches = tables.into_iter().map(|(name, raw)| {
            let place = table(&checked_name(name.clone())?);
            let config = named(raw).map_err(|error| within(&place, error))?;
            Ok((name, config))
        });
        Self::new(caches.collect::<Result<Vec<_>>>()?)
    }
}

/// From a table with a table for each cache.
impl<'de> Deserialize<'de> for CachesConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        Self::from_raw(Raw::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// One of several: besides a cache's settings it can have `share_store`.
fn named(raw: Raw) -> Result<CacheConfig> {
    let Raw::Table(mut entries) = raw else {
        return Err(config(format!("one cache of several is a table with a `url`, not {}", raw.kind())));
    };
    let mut shares = false;
    if let Some(at) = entries.iter().position(|(name, _)| name == "share_store") {
        shares = match entries.remove(at).1 {
            Raw::Scalar(text) if text == "true" => true,
            Raw::Scalar(text) if text == "false" => false,
            Raw::Scalar(text) => return Err(bad_share(&shown(&text))),
            other => return Err(bad_share(other.kind())),
        };
    }
    let config = Raw::Table(entries).into_config()?;
    Ok(config.sharing(shares))
}

fn bad_share(given: &str) -> Error {
    config(format!("`share_store={given}`: `share_store` must be one of `true`, `false`"))
}

fn checked_name(name: String) -> Result<String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if name.is_empty() || !name.chars().all(is_plain) {
        return Err(config(format!(
            "`{}` cannot be the name of a cache: letters, digits, `_` and `-` can",
            shown(&name)
        )));
    }
    Ok(name)
}

pub(super) fn table(name: &str) -> String {
    format!("`[cache.{name}]`")
}
