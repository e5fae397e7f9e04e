//! The URL of a store.

mod parse;
mod settings;

use std::{fmt, str::FromStr};

use larder_core::{Error, ErrorKind, Result};

pub(crate) use parse::{is_scheme, is_setting_name};
#[cfg(any(feature = "memcached", feature = "postgres", feature = "redis"))]
pub(crate) use settings::byte_count;
pub(crate) use settings::decimal;

/// The URL of a store, taken apart: `scheme://user:password@host:port,host:port/path?setting=value&setting=value`,
/// where everything but the scheme can be absent.
///
/// Everything is percent-decoded; a `+` is a plus. `Debug` shows neither the password nor the values of settings.
///
/// ```
/// use larder::StoreUrl;
///
/// let url: StoreUrl = "etcd://me:s%40crets@10.0.0.1:2379,10.0.0.2/caches?tls=true".parse()?;
/// assert_eq!(url.scheme(), "etcd");
/// assert_eq!(url.password(), Some("s@crets"));
/// assert_eq!(url.hosts()[1], ("10.0.0.2".to_owned(), None));
/// assert_eq!(url.path(), "/caches");
/// assert_eq!(url.flag("tls")?, Some(true));
/// # Ok::<(), larder::Error>(())
/// ```
#[derive(Clone)]
pub struct StoreUrl {
    scheme: String,
    username: Option<String>,
    password: Option<String>,
    hosts: Vec<(String, Option<u16>)>,
    weights: Vec<Option<u16>>,
    path: String,
    #[cfg_attr(
        not(any(feature = "memcached", feature = "postgres", feature = "redis")),
        expect(dead_code, reason = "only stores that are servers take an address apart themselves")
    )]
    address: String,
    settings: Vec<Given>,
}

/// A setting as it was given. Not `Debug`: what was given may be a secret in the wrong place.
#[derive(Clone)]
pub(crate) struct Given {
    pub(crate) name: String,
    pub(crate) value: String,
    /// What errors call it, where that is not its name.
    pub(crate) label: Option<String>,
}

impl Given {
    fn label(&self) -> &str {
        self.label.as_deref().unwrap_or(&self.name)
    }
}

impl StoreUrl {
    /// What kind of store, in lower case.
    ///
    /// ```
    /// let url: larder::StoreUrl = "Memory://".parse()?;
    /// assert_eq!(url.scheme(), "memory");
    /// # Ok::<(), larder::Error>(())
    /// ```
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// The user name, if there is one.
    ///
    /// ```
    /// let url: larder::StoreUrl = "etcd://me@localhost".parse()?;
    /// assert_eq!(url.username(), Some("me"));
    /// # Ok::<(), larder::Error>(())
    /// ```
    pub fn username(&self) -> Option<&str> {
        self.username.as_deref()
    }

    /// The password, if there is one. Keep it out of errors and `Debug`.
    ///
    /// ```
    /// let url: larder::StoreUrl = "etcd://:secret@localhost".parse()?;
    /// assert_eq!(url.password(), Some("secret"));
    /// assert!(!format!("{url:?}").contains("secret"));
    /// # Ok::<(), larder::Error>(())
    /// ```
    pub fn password(&self) -> Option<&str> {
        self.password.as_deref()
    }

    /// Each host in lower case with its port, where there is one. An IPv6 address comes without its brackets. With
    /// `postgres://` it can be the directory of a Unix socket, which begins with `/`.
    ///
    /// ```
    /// let url: larder::StoreUrl = "etcd://[::1]:2379".parse()?;
    /// assert_eq!(url.hosts(), [("::1".to_owned(), Some(2379))]);
    /// # Ok::<(), larder::Error>(())
    /// ```
    pub fn hosts(&self) -> &[(String, Option<u16>)] {
        &self.hosts
    }

    /// The path with its leading `/`, or nothing.
    ///
    /// ```
    /// let url: larder::StoreUrl = "file:///var/cache/my%20app".parse()?;
    /// assert_eq!(url.path(), "/var/cache/my app");
    /// # Ok::<(), larder::Error>(())
    /// ```
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Refuses a URL with a user, a host or a path, for stores that are nowhere but here.
    ///
    /// ```
    /// let url: larder::StoreUrl = "memory://localhost".parse()?;
    /// assert!(url.expect_no_address().is_err());
    /// # Ok::<(), larder::Error>(())
    /// ```
    pub fn expect_no_address(&self) -> Result<()> {
        self.expect_no_user()?;
        if !self.hosts.is_empty() || !matches!(self.path.as_str(), "" | "/") {
            return Err(config(format!(
                "`{0}://` takes no user, host or path: settings follow at once, as in `{0}://?timeout=5m`",
                self.scheme
            )));
        }
        Ok(())
    }

    /// Refuses a URL with a user or a password, for stores that nobody logs in to.
    ///
    /// ```
    /// let url: larder::StoreUrl = "file://:secret@/var/cache/app".parse()?;
    /// let error = url.expect_no_user().unwrap_err().to_string();
    /// assert!(error.contains("password") && !error.contains("secret"));
    /// # Ok::<(), larder::Error>(())
    /// ```
    pub fn expect_no_user(&self) -> Result<()> {
        let what = match (&self.username, &self.password) {
            (None, None) => return Ok(()),
            (_, Some(_)) => "a password",
            (Some(_), None) => "a user name",
        };
        Err(config(format!(
            "{what} in the URL of `{}://`, a store that nobody logs in to: remove what stands before the `@`",
            self.scheme
        )))
    }

    /// All before the settings, for stores that take an address apart themselves. It holds the password.
    #[cfg(any(feature = "memcached", feature = "postgres", feature = "redis"))]
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn given(&self) -> &[Given] {
        &self.settings
    }

    /// What errors call the setting `name`.
    pub(crate) fn label<'a>(&'a self, name: &'a str) -> &'a str {
        self.find(name).map_or(name, Given::label)
    }

    /// Adds a setting that was given beside the URL. One that is there already is refused.
    pub(crate) fn add(&mut self, given: Given) -> Result<()> {
        if let Some(before) = self.find(&given.name) {
            let place = |given: &Given| match &given.label {
                Some(label) => format!("as `{label}`"),
                None => "beside the URL".to_owned(),
            };
            // What stands in the URL has no label, and comes first.
            let first = if before.label.is_some() { place(before) } else { "in the URL".to_owned() };
            return Err(config(format!(
                "`{}` is given more than once: {first} and {}; leave one",
                given.name,
                place(&given)
            )));
        }
        self.settings.push(given);
        Ok(())
    }

    /// A URL that was never written as one.
    pub(crate) fn from_parts(scheme: &str, path: String) -> Self {
        Self {
            scheme: scheme.to_owned(),
            username: None,
            password: None,
            hosts: Vec::new(),
            weights: Vec::new(),
            address: format!("{scheme}://{path}"),
            path,
            settings: Vec::new(),
        }
    }

    /// Whether it is anywhere but in this process.
    pub(crate) fn has_address(&self) -> bool {
        !self.hosts.is_empty() || !matches!(self.path.as_str(), "" | "/")
    }

    /// Whether both say the same of where the store is, whatever their settings.
    pub(crate) fn is_same_address(&self, other: &Self) -> bool {
        let address = |url: &Self| {
            (
                url.scheme.clone(),
                url.username.clone(),
                url.password.clone(),
                url.hosts.clone(),
                url.weights.clone(),
                url.path.trim_end_matches('/').to_owned(),
            )
        };
        address(self) == address(other)
    }

    fn find(&self, name: &str) -> Option<&Given> {
        self.settings.iter().find(|given| given.name == name)
    }
}

fn config(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Config, message)
}

/// Anything that is not a well-formed URL is an error of kind [`Config`](ErrorKind::Config) that says what is wrong,
/// without repeating the URL.
impl FromStr for StoreUrl {
    type Err = Error;

    fn from_str(url: &str) -> Result<Self> {
        let parse::Parts { scheme, username, password, hosts, weights, path, address, settings } =
            parse::parse(url)?;
        Ok(Self { scheme, username, password, hosts, weights, path, address, settings })
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreUrl")
            .field("scheme", &self.scheme)
            .field("username", &self.username)
            .field("password", &self.password.as_ref().map(|_| "***"))
            .field("hosts", &self.hosts)
            .field("path", &self.path)
            .field("settings", &self.settings.iter().map(|given| &given.name).collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}
