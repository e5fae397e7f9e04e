//! The options of a layer.

use std::sync::Arc;

use http::{HeaderName, StatusCode};
use larder_core::{Cache, Error, ErrorKind, Result, Timeout};

use crate::{
    Authorization, CacheLayer, Cookies, KeyPart, Names, Query, RequestHead, ResponseHead, cookies::ANALYTICS,
    edit::OVERRIDES, rules::Rules, scheme::Scheme,
};

/// Builds a [`CacheLayer`]. Every option has a safe default; what cannot be right is an error of
/// [`build`](CacheLayerBuilder::build) that names the option.
///
/// ```
/// use std::time::Duration;
/// use larder_core::Cache;
/// use larder_simple::SimpleStore;
/// use larder_tower::{CacheLayer, Query};
///
/// let layer = CacheLayer::builder(Cache::new(SimpleStore::new()))
///     .timeout(Duration::from_secs(60))
///     .scheme("https")
///     .query(Query::Except(["utm_*"].into()))
///     .vary_header("accept-language")
///     .hit_header("x-cache")
///     .build()?;
/// # Ok::<(), larder_core::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it is built"]
pub struct CacheLayerBuilder {
    cache: Cache,
    rules: Rules,
    scheme: String,
    vary_headers: Vec<String>,
    hit_header: Option<String>,
    hidden_headers: Vec<String>,
}

impl CacheLayerBuilder {
    pub(crate) fn new(cache: Cache) -> Self {
        let rules = Rules {
            timeout: Timeout::Default,
            scheme: Scheme::default(),
            query: Query::default(),
            keyed_headers: Vec::new(),
            parts: Vec::new(),
            only: None,
            unless: None,
            forced_update: None,
            response_filter: None,
            statuses: vec![StatusCode::OK],
            max_body: 1 << 20,
            hit_header: None,
            authorization: Authorization::default(),
            cookies: Cookies::default(),
            analytics: ANALYTICS.into(),
            hidden_headers: Vec::new(),
            coalesce: true,
        };
        Self {
            cache,
            rules,
            scheme: Scheme::default().as_str().to_owned(),
            vary_headers: Vec::new(),
            hit_header: None,
            hidden_headers: OVERRIDES.map(str::to_owned).into(),
        }
    }

    /// How long responses are kept. Default: the cache's default timeout. A handler can say otherwise for one response:
    /// [`CacheTimeout`](crate::CacheTimeout), [`NoStore`](crate::NoStore). `Cache-Control: max-age` is for browsers and
    /// does not change it.
    ///
    /// ```
    /// # use {larder_core::Cache, larder_simple::SimpleStore, larder_tower::CacheLayer};
    /// # let cache = Cache::new(SimpleStore::new());
    /// let layer = CacheLayer::builder(cache).timeout(std::time::Duration::from_secs(60)).build()?;
    /// # Ok::<(), larder_core::Error>(())
    /// ```
    pub fn timeout(mut self, timeout: impl Into<Timeout>) -> Self {
        self.rules.timeout = timeout.into();
        self
    }

    /// The scheme of the site, `"http"` (the default) or `"https"`: part of the key, and never taken from a request.
    ///
    /// ```
    /// # use {larder_core::Cache, larder_simple::SimpleStore, larder_tower::CacheLayer};
    /// # let cache = Cache::new(SimpleStore::new());
    /// assert!(CacheLayer::builder(cache.clone()).scheme("https").build().is_ok());
    /// assert!(CacheLayer::builder(cache).scheme("gopher").build().is_err());
    /// ```
    pub fn scheme(mut self, scheme: impl Into<String>) -> Self {
        self.scheme = scheme.into();
        self
    }

    /// What of the query string is part of the key. Default [`Query::Exact`]. The handler that fills an entry sees the
    /// query that is in its key, and nothing else of it.
    ///
    /// ```
    /// # use {larder_core::Cache, larder_simple::SimpleStore, larder_tower::{CacheLayer, Query}};
    /// # let cache = Cache::new(SimpleStore::new());
    /// let layer = CacheLayer::builder(cache).query(Query::Only(["page"].into())).build()?;
    /// # Ok::<(), larder_core::Error>(())
    /// ```
    pub fn query(mut self, query: Query) -> Self {
        self.rules.query = query;
        self
    }

    /// Makes a request header part of the key: one entry for each value of it, as it stands. May be called for several. A
    /// response whose `Vary` names a header that is not in the key is not stored.
    ///
    /// ```
    /// # use {larder_core::Cache, larder_simple::SimpleStore, larder_tower::CacheLayer};
    /// # let cache = Cache::new(SimpleStore::new());
    /// let layer = CacheLayer::builder(cache).vary_header("accept-language").vary_header("origin").build()?;
    /// # Ok::<(), larder_core::Error>(())
    /// ```
    pub fn vary_header(mut self, name: impl Into<String>) -> Self {
        self.vary_headers.push(name.into());
        self
    }

    /// Adds a part of your own to the key. May be called for several.
    ///
    /// ```
    /// # use {larder_core::Cache, larder_simple::SimpleStore, larder_tower::CacheLayer};
    /// # let cache = Cache::new(SimpleStore::new());
    /// use larder_tower::KeyPart;
    /// #[derive(Clone)]
    /// struct Tenant(String);
    ///
    /// let layer = CacheLayer::builder(cache)
    ///     .key_with(|head| match head.extensions.get::<Tenant>() {
    ///         Some(Tenant(name)) => KeyPart::new(name.as_bytes()),
    ///         None => KeyPart::bypass(),
    ///     })
    ///     .build()?;
    /// # Ok::<(), larder_core::Error>(())
    /// ```
    pub fn key_with(mut self, part: impl Fn(&RequestHead) -> KeyPart + Send + Sync + 'static) -> Self {
        self.rules.parts.push(Arc::new(part));
        self
    }

    /// Replaces scheme, host, path and query in the key. Declared headers, cookies and further parts still count.
    ///
    /// What the function leaves out does not select an entry, but the handler that fills one sees it: two requests with
    /// one key must have one answer.
    ///
    /// ```
    /// # use {larder_core::Cache, larder_simple::SimpleStore, larder_tower::CacheLayer};
    /// # let cache = Cache::new(SimpleStore::new());
    /// use larder_tower::KeyPart;
    /// let layer = CacheLayer::builder(cache).key_only(|head| KeyPart::new(head.uri.path())).build()?;
    /// # Ok::<(), larder_core::Error>(())
    /// ```
    pub fn key_only(mut self, key: impl Fn(&RequestHead) -> KeyPart + Send + Sync + 'static) -> Self {
        self.rules.only = Some(Arc::new(key));
        self
    }

    /// Requests for which this is `true` go past the cache.
    ///
    /// ```
    /// # use {larder_core::Cache, larder_simple::SimpleStore, larder_tower::CacheLayer};
    /// # let cache = Cache::new(SimpleStore::new());
    /// let layer = CacheLayer::builder(cache).unless(|head| head.uri.path().starts_with("/admin")).build()?;
    /// # Ok::<(), larder_core::Error>(())
    /// ```
    pub fn unless(mut self, unless: impl Fn(&RequestHead) -> bool + Send + Sync + 'static) -> Self {
        self.rules.unless = Some(Arc::new(unless));
        self
    }

    /// GET requests for which this is `true` are not served from the cache: the entry is deleted, the handler runs, and
    /// its response is the new entry. Let it be true only for those who may: everyone else could make the handler run.
    ///
    /// ```
    /// # use {larder_core::Cache, larder_simple::SimpleStore, larder_tower::CacheLayer};
    /// # let cache = Cache::new(SimpleStore::new());
    /// let layer = CacheLayer::builder(cache)
    ///     .forced_update(|head| head.headers.get("x-refresh").is_some_and(|token| token == "a secret"))
    ///     .build()?;
    /// # Ok::<(), larder_core::Error>(())
    /// ```
    pub fn forced_update(mut self, forced: impl Fn(&RequestHead) -> bool + Send + Sync + 'static) -> Self {
        self.rules.forced_update = Some(Arc::new(forced));
        self
    }

    /// Only responses for which this is `true` are stored. It is asked last: about responses that nothing else forbids.
    ///
    /// ```
    /// # use {larder_core::Cache, larder_simple::SimpleStore, larder_tower::CacheLayer};
    /// # let cache = Cache::new(SimpleStore::new());
    /// let layer = CacheLayer::builder(cache)
    ///     .response_filter(|head| !head.headers.contains_key("x-debug"))
    ///     .build()?;
    /// # Ok::<(), larder_core::Error>(())
    /// ```
    pub fn response_filter(mut self, filter: impl Fn(&ResponseHead) -> bool + Send + Sync + 'static) -> Self {
        self.rules.response_filter = Some(Arc::new(filter));
        self
    }

    /// The statuses of responses that are stored. Default: 200 alone. Not possible are 1xx, 206, 304 and 416.
    ///
    /// ```
    /// # use {larder_core::Cache, larder_simple::SimpleStore, larder_tower::CacheLayer};
    /// # let cache = Cache::new(SimpleStore::new());
    /// use http::StatusCode;
    /// let layer = CacheLayer::builder(cache).statuses([StatusCode::OK, StatusCode::NOT_FOUND]).build()?;
    /// # Ok::<(), larder_core::Error>(())
    /// ```
    pub fn statuses(mut self, statuses: impl IntoIterator<Item = StatusCode>) -> Self {
        self.rules.statuses = statuses.into_iter().collect();
        self
    }

    /// The longest body that is stored, in bytes. Default 1 MiB. A longer one passes through untouched.
    ///
    /// ```
    /// # use {larder_core::Cache, larder_simple::SimpleStore, larder_tower::CacheLayer};
    /// # let cache = Cache::new(SimpleStore::new());
    /// let layer = CacheLayer::builder(cache).max_body(64 * 1024).build()?;
    /// # Ok::<(), larder_core::Error>(())
    /// ```
    pub fn max_body(mut self, bytes: u64) -> Self {
        self.rules.max_body = bytes;
        self
    }

    /// Sets a response header to `hit`, `miss` or `bypass`. Default: none; the extension
    /// [`CacheOutcome`](crate::CacheOutcome) is always there.
    ///
    /// ```
    /// # use {larder_core::Cache, larder_simple::SimpleStore, larder_tower::CacheLayer};
    /// # let cache = Cache::new(SimpleStore::new());
    /// let layer = CacheLayer::builder(cache).hit_header("x-cache").build()?;
    /// # Ok::<(), larder_core::Error>(())
    /// ```
    pub fn hit_header(mut self, name: impl Into<String>) -> Self {
        self.hit_header = Some(name.into());
        self
    }

    /// What credentials in a request mean. Default [`Authorization::Bypass`].
    ///
    /// ```
    /// # use {larder_core::Cache, larder_simple::SimpleStore, larder_tower::CacheLayer};
    /// # let cache = Cache::new(SimpleStore::new());
    /// use larder_tower::Authorization;
    /// let layer = CacheLayer::builder(cache).authorization(Authorization::Ignore).build()?;
    /// # Ok::<(), larder_core::Error>(())
    /// ```
    pub fn authorization(mut self, authorization: Authorization) -> Self {
        self.rules.authorization = authorization;
        self
    }

    /// What the cookies of a request mean. Default [`Cookies::Bypass`].
    ///
    /// ```
    /// # use {larder_core::Cache, larder_simple::SimpleStore, larder_tower::CacheLayer};
    /// # let cache = Cache::new(SimpleStore::new());
    /// use larder_tower::Cookies;
    /// let layer = CacheLayer::builder(cache).cookies(Cookies::Only(["theme"].into())).build()?;
    /// # Ok::<(), larder_core::Error>(())
    /// ```
    pub fn cookies(mut self, cookies: Cookies) -> Self {
        self.rules.cookies = cookies;
        self
    }

    /// The cookies that [`Cookies::Bypass`] does not count, because analytics scripts set them for themselves. The handler
    /// that fills an entry does not see them. Replaces the default: `_ga*`, `_gid`, `_gat*`, `_gcl_*`, `__utm*`, `_fbp`,
    /// `_fbc`, `_hj*`, `_pk_*`, `_clck`, `_clsk`, `ajs_*`, `mp_*`, `_uet*`.
    ///
    /// ```
    /// # use {larder_core::Cache, larder_simple::SimpleStore, larder_tower::CacheLayer};
    /// # let cache = Cache::new(SimpleStore::new());
    /// let layer = CacheLayer::builder(cache).analytics_cookies(["_ga*", "_plausible*"]).build()?;
    /// # Ok::<(), larder_core::Error>(())
    /// ```
    pub fn analytics_cookies(mut self, names: impl Into<Names>) -> Self {
        self.rules.analytics = names.into();
        self
    }

    /// The request headers hidden from the handler that fills an entry, unless they are part of the key: those that
    /// frameworks take for the host, the path or the method, whoever sent them. Replaces the default: `Forwarded`,
    /// `X-Forwarded-Host` and its kin, `X-Original-URL`, `X-Rewrite-URL`, `X-HTTP-Method-Override` and theirs.
    /// `X-Forwarded-Proto` may be seen where it says the configured scheme.
    ///
    /// ```
    /// # use {larder_core::Cache, larder_simple::SimpleStore, larder_tower::CacheLayer};
    /// # let cache = Cache::new(SimpleStore::new());
    /// let layer = CacheLayer::builder(cache).hidden_headers(["x-forwarded-host", "x-experiment"]).build()?;
    /// # Ok::<(), larder_core::Error>(())
    /// ```
    pub fn hidden_headers<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.hidden_headers = names.into_iter().map(Into::into).collect();
        self
    }

    /// Whether requests that miss wait for one that is filling the entry already. Default `true`. If not, each runs the
    /// handler, and the first of them fills the entry.
    ///
    /// ```
    /// # use {larder_core::Cache, larder_simple::SimpleStore, larder_tower::CacheLayer};
    /// # let cache = Cache::new(SimpleStore::new());
    /// let layer = CacheLayer::builder(cache).coalesce(false).build()?;
    /// # Ok::<(), larder_core::Error>(())
    /// ```
    pub fn coalesce(mut self, coalesce: bool) -> Self {
        self.rules.coalesce = coalesce;
        self
    }

    /// The layer. An option that cannot be right is an error of kind [`Config`](ErrorKind::Config) that names it.
    ///
    /// ```
    /// # use {larder_core::Cache, larder_simple::SimpleStore, larder_tower::CacheLayer};
    /// # let cache = Cache::new(SimpleStore::new());
    /// let error = CacheLayer::builder(cache).vary_header("no header").build().unwrap_err();
    /// assert!(error.to_string().contains("`vary_header`"));
    /// ```
    pub fn build(self) -> Result<CacheLayer> {
        let mut rules = self.rules;
        if rules.timeout == Timeout::After(std::time::Duration::ZERO) {
            return Err(wrong(
                "timeout",
                "zero, under which nothing would be kept: use `unless` to switch the cache off",
            ));
        }
        rules.scheme = Scheme::parse(&self.scheme)
            .ok_or_else(|| wrong("scheme", format!("{:?}: it is \"http\" or \"https\"", self.scheme)))?;
        rules.keyed_headers = names("vary_header", &self.vary_headers)?;
        rules.keyed_headers.sort_by(|a, b| a.as_str().cmp(b.as_str()));
        rules.keyed_headers.dedup();
        rules.hidden_headers = names("hidden_headers", &self.hidden_headers)?;
        rules.hit_header = names("hit_header", self.hit_header.as_slice())?.pop();
        if rules.statuses.is_empty() {
            return Err(wrong("statuses", "empty, under which nothing would be kept"));
        }
        if let Some(status) = rules.statuses.iter().find(|status| !can_be_kept(**status)) {
            return Err(wrong("statuses", format!("{status}, which answers one request and no other")));
        }
        Ok(CacheLayer::new(self.cache, rules))
    }
}

fn can_be_kept(status: StatusCode) -> bool {
    !status.is_informational() && ![206, 304, 416].contains(&status.as_u16())
}

fn names(option: &str, names: &[String]) -> Result<Vec<HeaderName>> {
    let parse = |name: &String| {
        // A star is a legal name, but whoever writes it here means all headers.
        let name: Option<HeaderName> = if name == "*" { None } else { name.parse().ok() };
        name
    };
    names
        .iter()
        .map(|name| {
            parse(name).ok_or_else(|| wrong(option, format!("{name:?}, which is not the name of a header")))
        })
        .collect()
}

fn wrong(option: &str, problem: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Config, format!("`{option}` of a cache layer is {problem}"))
}
