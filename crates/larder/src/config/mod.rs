//! A cache as configuration describes it.

mod caches;
mod env;
mod flask;
mod guards;
mod raw;
mod settings;
mod sharing;
#[cfg(feature = "toml")]
mod toml;

use std::{fmt, str::FromStr};

use larder_core::{Cache, CacheBuilder, Error, ErrorKind, Result, StoreHandle};
use serde::{Deserialize, Deserializer};

pub use self::caches::CachesConfig;
use self::{guards::Guards, raw::Raw, settings::CacheSettings};
use crate::{Registry, StoreUrl};

/// A cache as configuration describes it: the URL of its store, and the settings of both.
///
/// It comes from a URL (`parse`), from a TOML file (`from_toml`, with the feature `toml`), from the environment
/// ([`from_env`](Self::from_env)), or by serde as a part of an application's own configuration: either a URL, or a table
/// with `url` and settings. The settings have the same names and values everywhere:
/// [`docs::configuration`](crate::docs::configuration) lists them.
///
/// Reading one checks the settings that every cache has, before anything connects. The store's own are checked when it
/// is [opened](crate::Registry::open).
///
/// ```
/// use larder::CacheConfig;
///
/// let config: CacheConfig = "memory://?max_entries=500&timeout=1h".parse()?;
/// assert_eq!(config.url().scheme(), "memory");
/// assert!("memory://?timeout=soon".parse::<CacheConfig>().is_err());
///
/// #[derive(serde::Deserialize)]
/// struct Settings {
///     cache: CacheConfig,
/// }
/// let json = r#"{ "cache": { "url": "memory://", "max_entries": 500, "timeout": "1h" } }"#;
/// let settings: Settings = serde_json::from_str(json).unwrap();
/// assert_eq!(settings.cache.url().number("max_entries")?, Some(500));
/// # Ok::<(), larder::Error>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CacheConfig {
    url: StoreUrl,
    /// Where it was written, for errors.
    place: Option<String>,
    shares_store: bool,
    settings: CacheSettings,
    guards: Guards,
}

impl CacheConfig {
    /// The URL of the store, with all settings, wherever they were given.
    ///
    /// ```
    /// let config: larder::CacheConfig = "memory://?timeout=1h".parse()?;
    /// assert_eq!(config.url().text("timeout"), Some("1h"));
    /// # Ok::<(), larder::Error>(())
    /// ```
    pub fn url(&self) -> &StoreUrl {
        &self.url
    }

    /// A cache over `store` with these settings, to which code can add its own. Circuit breaker and batching belong to the
    /// store: [`StoreHandle::builder`] sets them where code makes the store.
    ///
    /// ```
    /// # #[cfg(feature = "simple")] {
    /// use larder::{CacheConfig, stores::SimpleStore};
    ///
    /// let config: CacheConfig = "memory://?namespace=shop".parse()?;
    /// let cache = config.builder(SimpleStore::new()).max_concurrent_loads(64).build()?;
    /// assert_eq!(cache.path().as_str(), "1/shop/");
    /// # }
    /// # Ok::<(), larder::Error>(())
    /// ```
    pub fn builder(&self, store: impl Into<StoreHandle>) -> CacheBuilder {
        self.settings.apply(Cache::builder(store), self.namespace())
    }

    /// The cache, on one of the stores whose features are on. With stores of others, or to add what only code can say,
    /// see [`Registry::open`].
    ///
    /// # Errors
    ///
    /// As [`connect`](crate::connect).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> larder::Result<()> {
    /// # #[cfg(feature = "simple")] {
    /// let config: larder::CacheConfig = "memory://?timeout=1h".parse()?;
    /// let cache = config.connect().await?;
    /// # }
    /// # Ok(()) }
    /// ```
    pub async fn connect(&self) -> Result<Cache> {
        Registry::with_defaults().open(self).await?.build()
    }

    fn from_url(url: StoreUrl) -> Result<Self> {
        Ok(Self {
            place: None,
            shares_store: false,
            settings: CacheSettings::read(&url)?,
            guards: Guards::read(&url)?,
            url,
        })
    }

    /// With where it was written, for errors that come later.
    fn at(mut self, place: impl Into<String>) -> Self {
        self.place = Some(place.into());
        self
    }

    fn namespace(&self) -> Option<&str> {
        self.url.text("namespace")
    }

    fn sharing(mut self, shares: bool) -> Self {
        self.shares_store = shares;
        self
    }

    #[cfg(test)]
    pub(crate) fn guards(&self) -> &impl fmt::Debug {
        &self.guards
    }

    /// The store with the circuit breaker and the batching that are asked for.
    pub(crate) fn guarded(&self, store: StoreHandle) -> Result<StoreHandle> {
        self.guards.around(store)
    }

    /// Whether its store is that of all caches with the same URL that say so too.
    pub(crate) fn shares_store(&self) -> bool {
        self.shares_store
    }

    /// The error, with where the configuration was written.
    pub(crate) fn locate(&self, error: Error) -> Error {
        match &self.place {
            Some(place) => within(place, error),
            None => error,
        }
    }
}

/// `place: error`, an error of the same kind.
fn within(place: &str, error: Error) -> Error {
    Error::new(error.kind(), place).with_retryable(error.is_retryable()).with_source(error)
}

/// A malformed URL, or a setting out of range, is an error of kind [`Config`](ErrorKind::Config).
impl FromStr for CacheConfig {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::from_url(text.parse()?)
    }
}

/// From a URL, or from a table with `url` and settings beside it.
impl<'de> Deserialize<'de> for CacheConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        Raw::deserialize(deserializer)?.into_config().map_err(serde::de::Error::custom)
    }
}

fn config(message: impl fmt::Display) -> Error {
    Error::new(ErrorKind::Config, message.to_string())
}
