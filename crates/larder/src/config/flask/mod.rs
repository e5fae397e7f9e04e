//! A cache from the names that Flask-Caching is configured by.

mod names;
mod servers;
mod store;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, ffi::OsString};

use larder_core::Result;

use self::{
    names::{Fate, NAMES, Name},
    store::Kind,
};
use super::{CacheConfig, config, env::with_prefix};
use crate::{StoreUrl, settings::shown, suggest, url::Given};

impl CacheConfig {
    /// The cache that this process's environment describes in the names of Flask-Caching: `CACHE_TYPE`,
    /// `CACHE_DEFAULT_TIMEOUT` and so on.
    ///
    /// Every name is either honoured or refused with what replaces it:
    /// [`docs::migrating_from_flask_caching`](crate::docs::migrating_from_flask_caching) has the list. What is not set has
    /// Larder's defaults. Any other variable that begins with `CACHE_` is refused as a slip; where some are not meant for
    /// the cache, pass the rest to [`from_flask_vars`](Self::from_flask_vars).
    ///
    /// ```
    /// use larder::CacheConfig;
    ///
    /// let config = CacheConfig::from_flask_env().or_else(|_| CacheConfig::from_env());
    /// # drop(config);
    /// ```
    pub fn from_flask_env() -> Result<Self> {
        Self::from_flask_vars(std::env::vars_os())
    }

    /// The same from variables that are passed in. Those with other names than `CACHE_*` are not looked at.
    ///
    /// ```
    /// use larder::CacheConfig;
    ///
    /// let config = CacheConfig::from_flask_vars([
    ///     ("CACHE_TYPE", "SimpleCache"),
    ///     ("CACHE_DEFAULT_TIMEOUT", "60"),
    ///     ("CACHE_THRESHOLD", "500"),
    /// ])?;
    /// assert_eq!(config.url().scheme(), "memory");
    /// assert_eq!(config.url().number("max_entries")?, Some(500));
    ///
    /// let refused = CacheConfig::from_flask_vars([("CACHE_TYPE", "SimpleCache"), ("CACHE_SERIALIZER", "mine")]);
    /// assert!(refused.unwrap_err().to_string().contains("`codec=messagepack` or `codec=json`"));
    /// # Ok::<(), larder::Error>(())
    /// ```
    pub fn from_flask_vars<N, V>(variables: impl IntoIterator<Item = (N, V)>) -> Result<Self>
    where
        N: Into<OsString>,
        V: Into<OsString>,
    {
        let mut given = BTreeMap::new();
        for (name, value) in with_prefix("CACHE_", variables)? {
            check(&name, &value)?;
            if given.insert(name.clone(), value).is_some() {
                return Err(config(format!("`{name}` is given more than once")));
            }
        }
        let given = Variables(given);
        let kind = Kind::read(&given)?;
        let mut url = kind.url(&given)?;
        settings(&given, kind, &mut url)?;
        Ok(Self::from_url(url)?.at("in the environment, as Flask-Caching names it"))
    }
}

/// Known names only, each with its value.
struct Variables(BTreeMap<String, String>);

impl Variables {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Refuses `name`, which only `with` reads.
    fn only_with(&self, name: &str, with: &str) -> Result<()> {
        match (self.get(name), self.get("CACHE_TYPE")) {
            (Some(_), Some(kind)) => Err(config(format!(
                "`{name}` means nothing with `CACHE_TYPE={}`, only with {with}: remove it",
                shown(kind)
            ))),
            _ => Ok(()),
        }
    }
}

fn check(name: &str, value: &str) -> Result<()> {
    let Some(Name { fate, .. }) = NAMES.iter().find(|known| known.name == name) else {
        let hint = suggest::near(name, NAMES.iter().map(|known| known.name));
        return Err(config(format!("`{}` is no name of Flask-Caching{hint}", shown(name))));
    };
    match fate {
        Fate::FalseOnly(instead) if flag(name, value)? => {
            Err(config(format!("`{name}={}` is not honoured; instead: {instead}", shown(value))))
        }
        Fate::Honoured(_) | Fate::FalseOnly(_) => Ok(()),
        // Its value may be a password, or hold one.
        Fate::Refused(instead) => Err(config(format!("`{name}` is not honoured; instead: {instead}"))),
    }
}

fn settings(given: &Variables, kind: Kind, url: &mut StoreUrl) -> Result<()> {
    let mut add = |name: &str, label: &str, value: String| {
        url.add(Given { name: name.to_owned(), value, label: Some(label.to_owned()) })
    };
    if let Some(text) = given.get("CACHE_DEFAULT_TIMEOUT") {
        add(
            "timeout",
            "CACHE_DEFAULT_TIMEOUT",
            whole("CACHE_DEFAULT_TIMEOUT", text, "of seconds, or 0 for no end")?,
        )?;
    }
    if let Some(prefix) = given.get("CACHE_KEY_PREFIX").filter(|prefix| !prefix.is_empty()) {
        add("namespace", "CACHE_KEY_PREFIX", prefix.to_owned())?;
    }
    if kind != Kind::Null {
        given.only_with("CACHE_NO_NULL_WARNING", "`NullCache`")?;
    } else if let Some(text) = given.get("CACHE_NO_NULL_WARNING") {
        let silent = flag("CACHE_NO_NULL_WARNING", text)?;
        add("warn", "CACHE_NO_NULL_WARNING", (!silent).to_string())?;
    }
    if !matches!(kind, Kind::Simple | Kind::FileSystem) {
        given.only_with("CACHE_THRESHOLD", "`SimpleCache` and `FileSystemCache`")?;
    } else if let Some(text) = given.get("CACHE_THRESHOLD") {
        let entries = whole("CACHE_THRESHOLD", text, "of entries")?;
        if entries.bytes().all(|digit| digit == b'0') {
            return Err(config(
                "`CACHE_THRESHOLD=0`: that is 500 to Flask-Caching's `SimpleCache`, and no bound to its \
                 `FileSystemCache`: write the number that is meant",
            ));
        }
        add("max_entries", "CACHE_THRESHOLD", entries)?;
    }
    for (name, setting) in kind.settings() {
        // An empty user or password is none, as it is there.
        if let Some(value) = given.get(name).filter(|value| !value.is_empty()) {
            add(setting, name, value.to_owned())?;
        }
    }
    Ok(())
}

fn whole(name: &str, text: &str, of: &str) -> Result<String> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits || text.parse::<u64>().is_err() {
        return Err(config(format!("`{name}={}`: `{name}` must be a whole number {of}", shown(text))));
    }
    Ok(text.to_owned())
}

fn flag(name: &str, text: &str) -> Result<bool> {
    match text {
        "True" | "true" | "1" => Ok(true),
        "False" | "false" | "0" => Ok(false),
        _ => Err(config(format!("`{name}={}`: `{name}` must be `True` or `False`", shown(text)))),
    }
}
