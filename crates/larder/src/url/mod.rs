//! The URL of a store.

mod parse;
mod settings;

use std::{fmt, str::FromStr};

use larder_core::{Error, ErrorKind, Result};

pub(crate) use parse::{is_scheme, is_setting_name};

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
    path: String,
    settings: Vec<(String, String)>,
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

    /// Each host in lower case with its port, where there is one. An IPv6 address comes without its brackets.
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
        let has_user = self.username.is_some() || self.password.is_some();
        if has_user || !self.hosts.is_empty() || !matches!(self.path.as_str(), "" | "/") {
            return Err(Error::new(
                ErrorKind::Config,
                format!(
                    "`{0}://` takes no user, host or path: settings follow at once, as in `{0}://?timeout=5m`",
                    self.scheme
                ),
            ));
        }
        Ok(())
    }

    pub(crate) fn setting_names(&self) -> impl Iterator<Item = &str> {
        self.settings.iter().map(|(name, _)| name.as_str())
    }
}

/// Anything that is not a well-formed URL is an error of kind [`Config`](ErrorKind::Config) that says what is wrong,
/// without repeating the URL.
impl FromStr for StoreUrl {
    type Err = Error;

    fn from_str(url: &str) -> Result<Self> {
        let parse::Parts { scheme, username, password, hosts, path, settings } = parse::parse(url)?;
        Ok(Self { scheme, username, password, hosts, path, settings })
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
            .field("settings", &self.setting_names().collect::<Vec<_>>())
            .finish()
    }
}
