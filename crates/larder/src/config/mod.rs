//! A cache as configuration describes it.

mod caches;
mod env;
mod flask;
mod raw;
mod sharing;
#[cfg(feature = "toml")]
mod toml;

use std::{fmt, str::FromStr, time::Duration};

use larder_core::{
    Cache, CacheBuilder, Codec, Error, ErrorKind, FailurePolicy, Namespace, Result, StoreHandle, Timeout,
};
use serde::{Deserialize, Deserializer};

pub use self::caches::CachesConfig;
use self::raw::Raw;
use crate::{Registry, StoreUrl, settings::shown};

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
    timeout: Option<Timeout>,
    operation_timeout: Option<Duration>,
    bulk_timeout: Option<Duration>,
    load_timeout: Option<Duration>,
    codec: Option<Codec>,
    max_value_bytes: Option<u32>,
    max_concurrent_loads: Option<usize>,
    explicit_errors: Option<FailurePolicy>,
    load_errors: Option<FailurePolicy>,
}

const POLICIES: [(&str, FailurePolicy); 2] =
    [("return", FailurePolicy::Return), ("miss", FailurePolicy::Miss)];

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

    /// A cache over `store` with these settings, to which code can add its own.
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
        fn set<T>(
            builder: CacheBuilder,
            value: Option<T>,
            setter: fn(CacheBuilder, T) -> CacheBuilder,
        ) -> CacheBuilder {
            match value {
                Some(value) => setter(builder, value),
                None => builder,
            }
        }
        let builder = Cache::builder(store);
        let builder = set(builder, self.timeout, CacheBuilder::default_timeout);
        let builder = set(builder, self.namespace(), CacheBuilder::namespace);
        let builder = set(builder, self.operation_timeout, CacheBuilder::operation_timeout);
        let builder = set(builder, self.bulk_timeout, CacheBuilder::bulk_timeout);
        let builder = set(builder, self.load_timeout, CacheBuilder::load_timeout);
        let builder = set(builder, self.codec, CacheBuilder::codec);
        let builder = set(builder, self.max_value_bytes, CacheBuilder::max_value_bytes);
        let builder = set(builder, self.max_concurrent_loads, CacheBuilder::max_concurrent_loads);
        let builder = set(builder, self.explicit_errors, CacheBuilder::explicit_errors);
        set(builder, self.load_errors, CacheBuilder::load_errors)
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
        check_namespace(&url)?;
        Ok(Self {
            place: None,
            shares_store: false,
            timeout: url.timeout("timeout")?,
            operation_timeout: url.duration("operation_timeout")?,
            bulk_timeout: url.duration("bulk_timeout")?,
            load_timeout: url.duration("load_timeout")?,
            codec: url.choice("codec", &[("messagepack", Codec::MessagePack), ("json", Codec::Json)])?,
            max_value_bytes: url.bytes_to_u32("max_value_bytes")?,
            max_concurrent_loads: url.count_to_u32("max_concurrent_loads")?.map(|loads| loads as usize),
            explicit_errors: url.choice("explicit_errors", &POLICIES)?,
            load_errors: url.choice("load_errors", &POLICIES)?,
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

fn check_namespace(url: &StoreUrl) -> Result<()> {
    let Some(name) = url.text("namespace") else {
        return Ok(());
    };
    Namespace::root().child(name).map(drop).map_err(|error| {
        let label = url.label("namespace");
        config(format!("`{label}={}`: `{label}` is out of range", shown(name))).with_source(error)
    })
}

fn config(message: impl fmt::Display) -> Error {
    Error::new(ErrorKind::Config, message.to_string())
}
