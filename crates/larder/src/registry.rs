//! Which scheme opens which store.

use std::{collections::BTreeMap, fmt, sync::Arc};

use larder_core::{Cache, CacheBuilder, Error, ErrorKind, Result, StoreHandle, async_trait};

use crate::{
    CacheConfig, CachesConfig, StoreUrl,
    builtin::{self, Builtin},
    settings::{BESIDE, CACHE_NAMES, GUARD_NAMES, is_common, shown},
    suggest,
    url::{is_scheme, is_setting_name},
};

/// Opens the stores of one scheme. Implement it to bring a store of your own to [`Registry::register`].
///
/// ```
/// use larder::{Result, StoreFactory, StoreHandle, StoreUrl, async_trait};
/// # use larder::{CacheStore, Capabilities, Expiry, Key, Value};
/// # #[derive(Debug)] struct EtcdStore;
/// # impl EtcdStore { async fn connect(_hosts: &[(String, Option<u16>)], _tls: bool) -> Result<Self> { Ok(Self) } }
/// # #[async_trait] impl CacheStore for EtcdStore {
/// #     fn capabilities(&self) -> Capabilities { Capabilities::new() }
/// #     async fn get(&self, _: &Key) -> Result<Option<Value>> { Ok(None) }
/// #     async fn set(&self, _: &Key, _: Value, _: Expiry) -> Result<()> { Ok(()) }
/// #     async fn delete(&self, _: &Key) -> Result<bool> { Ok(false) }
/// # }
///
/// #[derive(Debug)]
/// struct Etcd;
///
/// #[async_trait]
/// impl StoreFactory for Etcd {
///     fn settings(&self) -> &[&str] {
///         &["tls"]
///     }
///     async fn open(&self, url: &StoreUrl) -> Result<StoreHandle> {
///         let tls = url.flag("tls")?.unwrap_or(false);
///         Ok(StoreHandle::new(EtcdStore::connect(url.hosts(), tls).await?))
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<()> {
/// let mut registry = larder::Registry::with_defaults();
/// registry.register("etcd", Etcd)?;
/// let cache = registry.connect("etcd://10.0.0.1:2379,10.0.0.2:2379?tls=true&timeout=10m").await?;
/// # Ok(()) }
/// ```
#[async_trait]
pub trait StoreFactory: fmt::Debug + Send + Sync + 'static {
    /// The settings it takes from a URL, besides those of every cache ([`CacheConfig`]). Any other is refused before
    /// [`open`](StoreFactory::open) is called.
    ///
    /// ```
    /// # use larder::StoreFactory;
    /// fn takes_tls(factory: &dyn StoreFactory) -> bool {
    ///     factory.settings().contains(&"tls")
    /// }
    /// ```
    fn settings(&self) -> &[&str];

    /// The store at `url`, ready for use. Errors must not hold the password. Where the URL asks for a circuit breaker or for
    /// batching, or for none, the registry puts that around [`StoreHandle::store`].
    ///
    /// ```
    /// # use larder::{Result, StoreFactory, StoreHandle};
    /// async fn open_default(factory: &dyn StoreFactory) -> Result<StoreHandle> {
    ///     factory.open(&"etcd://localhost".parse()?).await
    /// }
    /// ```
    async fn open(&self, url: &StoreUrl) -> Result<StoreHandle>;
}

/// Opens caches by URL: a value with the schemes it knows, passed about like any other.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> larder::Result<()> {
/// # #[cfg(feature = "simple")] {
/// let registry = larder::Registry::with_defaults();
/// let cache = registry.connect("memory://?max_entries=10000&timeout=5m").await?;
/// # }
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Registry {
    factories: BTreeMap<String, Arc<dyn StoreFactory>>,
}

impl Registry {
    /// A registry that knows no scheme.
    ///
    /// ```
    /// assert_eq!(larder::Registry::new().schemes().count(), 0);
    /// ```
    pub fn new() -> Self {
        Self { factories: BTreeMap::new() }
    }

    /// A registry with the stores whose features are on.
    ///
    /// ```
    /// # #[cfg(feature = "simple")]
    /// assert!(larder::Registry::with_defaults().schemes().any(|scheme| scheme == "memory"));
    /// ```
    pub fn with_defaults() -> Self {
        Self {
            factories: builtin::factories().map(|(scheme, factory)| (scheme.to_owned(), factory)).collect(),
        }
    }

    /// Adds a scheme. One that is there already, one that is not made of letters, digits, `+`, `-` and `.`, or a factory
    /// with a setting that every cache has, is an error of kind [`Config`](ErrorKind::Config).
    ///
    /// ```
    /// # use larder::{Registry, Result, StoreFactory};
    /// fn with_mine(factory: impl StoreFactory) -> Result<Registry> {
    ///     let mut registry = Registry::with_defaults();
    ///     registry.register("mine", factory)?;
    ///     Ok(registry)
    /// }
    /// ```
    pub fn register(&mut self, scheme: &str, factory: impl StoreFactory) -> Result<()> {
        if !is_scheme(scheme) {
            return Err(config(format!("`{}` cannot be the scheme of a URL", scheme.escape_debug())));
        }
        for name in factory.settings() {
            if is_common(name) || BESIDE.contains(name) {
                return Err(config(format!(
                    "the factory of `{scheme}://` claims `{name}`, a setting of every cache"
                )));
            }
            if !is_setting_name(name) {
                return Err(config(format!(
                    "the factory of `{scheme}://` has a setting `{name}`, which no URL can give"
                )));
            }
        }
        let scheme = scheme.to_ascii_lowercase();
        if self.factories.contains_key(&scheme) {
            return Err(config(format!("`{scheme}://` is registered already")));
        }
        self.factories.insert(scheme, Arc::new(factory));
        Ok(())
    }

    /// The schemes it knows, in alphabetical order.
    ///
    /// ```
    /// for scheme in larder::Registry::with_defaults().schemes() {
    ///     println!("{scheme}://");
    /// }
    /// ```
    pub fn schemes(&self) -> impl Iterator<Item = &str> {
        self.factories.keys().map(String::as_str)
    }

    /// The cache that a URL describes: see [`connect`](crate::connect).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let refused = larder::Registry::new().connect("memory://").await;
    /// assert!(refused.is_err());
    /// # }
    /// ```
    pub async fn connect(&self, url: &str) -> Result<Cache> {
        self.open(&url.parse()?).await?.build()
    }

    /// Opens the store of a configuration, and leaves the cache open for what only code can say: observers, weighers, a
    /// clock.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> larder::Result<()> {
    /// # #[cfg(feature = "simple")] {
    /// let config = "memory://?max_bytes=64MiB".parse()?;
    /// let builder = larder::Registry::with_defaults().open(&config).await?;
    /// let cache = builder.weigher(|page: &String| page.len()).build()?;
    /// # }
    /// # Ok(()) }
    /// ```
    pub async fn open(&self, config: &CacheConfig) -> Result<CacheBuilder> {
        Ok(config.builder(self.open_store(config).await?))
    }

    /// Opens several caches, by name: those that share a store over one store, each other over one of its own. The first
    /// that cannot be opened is the error.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> larder::Result<()> {
    /// # #[cfg(feature = "simple")] {
    /// use larder::{CachesConfig, Registry};
    ///
    /// let config = [("pages", "memory://?max_bytes=64MiB".parse()?), ("users", "memory://?timeout=1h".parse()?)];
    /// let caches = Registry::with_defaults().open_all(&CachesConfig::new(config)?).await?;
    /// caches["users"].set("7", "Ada".to_owned()).await?;
    /// # }
    /// # Ok(()) }
    /// ```
    pub async fn open_all(&self, config: &CachesConfig) -> Result<BTreeMap<String, Cache>> {
        let mut shared: Vec<(&StoreUrl, StoreHandle)> = Vec::new();
        let mut caches = BTreeMap::new();
        for (name, config) in config.iter() {
            let one =
                shared.iter().find(|(url, _)| config.shares_store() && url.is_same_address(config.url()));
            let store = match one {
                Some((_, store)) => store.clone(),
                None => self.open_store(config).await?,
            };
            if config.shares_store() && one.is_none() {
                shared.push((config.url(), store.clone()));
            }
            let cache = config.builder(store).build().map_err(|error| config.locate(error))?;
            caches.insert(name.to_owned(), cache);
        }
        Ok(caches)
    }

    async fn open_store(&self, config: &CacheConfig) -> Result<StoreHandle> {
        let url = config.url();
        let opened = async {
            let factory =
                self.factories.get(url.scheme()).ok_or_else(|| self.no_such_scheme(url.scheme()))?;
            check_names(url, factory.settings())?;
            config.guarded(factory.open(url).await?)
        };
        opened.await.map_err(|error| config.locate(error))
    }

    fn no_such_scheme(&self, scheme: &str) -> Error {
        let known: Vec<_> = self.schemes().collect();
        let listed = match known.as_slice() {
            [] => "none".to_owned(),
            known => known.join(", "),
        };
        config(match builtin::find(scheme) {
            Some(Builtin::Off { feature }) => {
                format!("`{scheme}://` needs the feature `{feature}` of the crate `larder`, which is off")
            }
            Some(Builtin::On) | None => {
                let hint = suggest::near(scheme, known.iter().copied());
                let instead = builtin::instead_of(scheme, scheme);
                format!(
                    "no store is registered for `{scheme}://`{hint}{instead}; schemes known here: {listed}"
                )
            }
        })
    }
}

impl Default for Registry {
    fn default() -> Self {
        Self::with_defaults()
    }
}

fn check_names(url: &StoreUrl, own: &[&str]) -> Result<()> {
    let mut known: Vec<&str> = own.iter().copied().chain(CACHE_NAMES).chain(GUARD_NAMES).collect();
    known.sort_unstable();
    let Some(unknown) = url.given().iter().find(|given| !known.contains(&given.name.as_str())) else {
        return Ok(());
    };
    let name = &unknown.name;
    let hint = suggest::near(name, known.iter().copied());
    let label = unknown.label.as_ref().map(|label| format!("`{label}`: ")).unwrap_or_default();
    Err(config(format!(
        "{label}`{}://` has no setting `{}`{hint}{}; its settings: {}",
        url.scheme(),
        shown(name),
        builtin::instead_of(url.scheme(), name),
        known.join(", ")
    )))
}

fn config(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Config, message)
}
