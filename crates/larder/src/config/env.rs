//! A cache from the environment: `LARDER_URL`, and `LARDER_` and the name of a setting in capitals.

use std::ffi::OsString;

use larder_core::Result;

use super::{CacheConfig, config};
use crate::{
    StoreUrl,
    settings::{shown, variable},
    url::{Given, is_setting_name},
};

const PREFIX: &str = "LARDER_";

impl CacheConfig {
    /// The cache that this process's environment describes: `LARDER_URL`, and beside it any setting, as `LARDER_TIMEOUT`
    /// or `LARDER_MAX_ENTRIES`.
    ///
    /// # Errors
    ///
    /// Of kind [`Config`](crate::ErrorKind::Config): no `LARDER_URL`, a malformed one, a setting out of range or given in
    /// the URL as well, a value that is not Unicode. A `LARDER_` variable that is no setting of the store is an error when
    /// the store is opened.
    ///
    /// ```
    /// use larder::CacheConfig;
    ///
    /// let config = CacheConfig::from_env().or_else(|_| "memory://".parse::<CacheConfig>());
    /// # assert!(config.is_ok());
    /// ```
    pub fn from_env() -> Result<Self> {
        Self::from_vars(std::env::vars_os())
    }

    /// The same from variables that are passed in. Those with other names than `LARDER_*` are not looked at.
    ///
    /// ```
    /// use larder::CacheConfig;
    ///
    /// let variables = [("LARDER_URL", "memory://"), ("LARDER_TIMEOUT", "1h"), ("HOME", "/root")];
    /// let config = CacheConfig::from_vars(variables)?;
    /// assert_eq!(config.url().text("timeout"), Some("1h"));
    ///
    /// let error = CacheConfig::from_vars([("LARDER_TIMEOUT", "1h")]).unwrap_err();
    /// assert!(error.to_string().contains("`LARDER_URL` is not set"));
    /// # Ok::<(), larder::Error>(())
    /// ```
    pub fn from_vars<N, V>(variables: impl IntoIterator<Item = (N, V)>) -> Result<Self>
    where
        N: Into<OsString>,
        V: Into<OsString>,
    {
        let mut url: Option<StoreUrl> = None;
        let mut beside = Vec::new();
        for (variable, value) in with_prefix(PREFIX, variables)? {
            let name = name_of(&variable)?;
            if name != "url" {
                beside.push(Given { name, value, label: Some(variable) });
            } else if url.is_some() {
                return Err(config("`LARDER_URL` is given more than once"));
            } else {
                url = Some(value.parse().map_err(|error| super::within("`LARDER_URL`", error))?);
            }
        }
        let mut url = url.ok_or_else(|| {
            config("`LARDER_URL` is not set: it says what store to use, as in `LARDER_URL=memory://`")
        })?;
        for given in beside {
            url.add(given)?;
        }
        Ok(Self::from_url(url)?.at("in the environment"))
    }
}

/// The variables whose names begin so, in the order of their names: which error comes first is no accident.
pub(super) fn with_prefix<N: Into<OsString>, V: Into<OsString>>(
    prefix: &str,
    variables: impl IntoIterator<Item = (N, V)>,
) -> Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    for (name, value) in variables {
        let name = name.into();
        let lossy = name.to_string_lossy();
        if !lossy.starts_with(prefix) {
            continue;
        }
        let not_unicode = |what| config(format!("`{}`: its {what} is not Unicode", shown(&lossy)));
        let Some(name) = name.to_str() else {
            return Err(not_unicode("name"));
        };
        let value = value.into().into_string().map_err(|_| not_unicode("value"))?;
        found.push((name.to_owned(), value));
    }
    found.sort();
    Ok(found)
}

fn name_of(given: &str) -> Result<String> {
    let name = given.strip_prefix(PREFIX).unwrap_or(given).to_ascii_lowercase();
    if !is_setting_name(&name) {
        return Err(config(format!(
            "`{}` is no setting: behind `{PREFIX}` come capital letters, digits and `_`",
            shown(given)
        )));
    }
    let right = variable(&name);
    if right != given {
        return Err(config(format!("`{given}` is no setting: write it in capitals, `{right}`")));
    }
    Ok(name)
}
