//! What a URL says of the cache itself, whichever store is under it.

use std::{str::FromStr, time::Duration};

use larder_core::{Cache, CacheBuilder, Codec, Error, ErrorKind, Namespace, Result, StoreHandle, Timeout};

use crate::StoreUrl;

/// A cache as configuration describes it: the URL of its store, and in that URL the settings every cache has.
///
/// | setting | default | see |
/// |---|---|---|
/// | `timeout=5m` | `5m` | [`CacheBuilder::default_timeout`] |
/// | `namespace=shop` | none | [`CacheBuilder::namespace`] |
/// | `operation_timeout=500ms` | `500ms` | [`CacheBuilder::operation_timeout`] |
/// | `load_timeout=30s` | `30s` | [`CacheBuilder::load_timeout`] |
/// | `codec=messagepack`, `codec=json` | `messagepack` | [`CacheBuilder::codec`] |
///
/// Parsing one checks these before anything connects; the store's own settings are checked when it is
/// [opened](crate::Registry::open).
///
/// ```
/// use larder::CacheConfig;
///
/// let config: CacheConfig = "memory://?max_entries=500&timeout=1h".parse()?;
/// assert_eq!(config.url().scheme(), "memory");
/// assert!("memory://?timeout=soon".parse::<CacheConfig>().is_err());
/// # Ok::<(), larder::Error>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CacheConfig {
    url: StoreUrl,
    timeout: Option<Timeout>,
    namespace: Option<String>,
    operation_timeout: Option<Duration>,
    load_timeout: Option<Duration>,
    codec: Option<Codec>,
}

impl CacheConfig {
    /// The settings it reads, which no store can have for its own.
    pub(crate) const SETTINGS: [&'static str; 5] =
        ["codec", "load_timeout", "namespace", "operation_timeout", "timeout"];

    /// The URL of the store, with all settings.
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
        let mut builder = Cache::builder(store);
        if let Some(timeout) = self.timeout {
            builder = builder.default_timeout(timeout);
        }
        if let Some(namespace) = &self.namespace {
            builder = builder.namespace(namespace);
        }
        if let Some(timeout) = self.operation_timeout {
            builder = builder.operation_timeout(timeout);
        }
        if let Some(timeout) = self.load_timeout {
            builder = builder.load_timeout(timeout);
        }
        if let Some(codec) = self.codec {
            builder = builder.codec(codec);
        }
        builder
    }
}

/// A malformed URL, or a setting out of range, is an error of kind [`Config`](ErrorKind::Config).
impl FromStr for CacheConfig {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let url: StoreUrl = text.parse()?;
        let namespace = url.text("namespace").map(checked_namespace).transpose()?;
        Ok(Self {
            timeout: url.timeout("timeout")?,
            namespace,
            operation_timeout: url.duration("operation_timeout")?,
            load_timeout: url.duration("load_timeout")?,
            codec: url.choice("codec", &[("messagepack", Codec::MessagePack), ("json", Codec::Json)])?,
            url,
        })
    }
}

fn checked_namespace(name: &str) -> Result<String> {
    Namespace::root()
        .child(name)
        .map_err(|error| Error::new(ErrorKind::Config, "`namespace` is out of range").with_source(error))?;
    Ok(name.to_owned())
}
