//! What a file says, before it is understood. Nothing in here ends up in an error by itself: serde's own errors
//! repeat values, and a value may be a URL with a password.

use std::fmt;

use larder_core::Result;
use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::{CacheConfig, config};
use crate::{
    StoreUrl,
    settings::shown,
    url::{Given, is_setting_name},
};

/// Not `Debug`: it may hold a password.
pub(super) enum Raw {
    /// A text, number or flag, as text.
    Scalar(String),
    Table(Vec<(String, Raw)>),
    /// What no setting is.
    Other(&'static str),
}

impl Raw {
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Scalar(_) => "a value",
            Self::Table(_) => "a table",
            Self::Other(kind) => kind,
        }
    }

    /// One cache: a URL, or a table with `url` and settings.
    pub(super) fn into_config(self) -> Result<CacheConfig> {
        match self {
            Self::Scalar(url) => url.parse(),
            Self::Table(entries) => from_table(entries),
            Self::Other(kind) => Err(config(format!("a cache is a URL or a table with a `url`, not {kind}"))),
        }
    }
}

fn from_table(entries: Vec<(String, Raw)>) -> Result<CacheConfig> {
    let mut url: Option<StoreUrl> = None;
    let mut beside = Vec::new();
    for (name, value) in entries {
        let Raw::Scalar(value) = value else {
            return Err(config(format!("`{}` is {}, not one value", shown(&name), value.kind())));
        };
        if name == "url" {
            url = Some(value.parse()?);
        } else if is_setting_name(&name) {
            beside.push(Given { name, value, label: None });
        } else {
            return Err(config(format!(
                "`{}` is no setting: their names have lower-case letters, digits and `_`",
                shown(&name)
            )));
        }
    }
    let mut url =
        url.ok_or_else(|| config("there is no `url`, which says what store to use: `url = \"memory://\"`"))?;
    for given in beside {
        url.add(given)?;
    }
    CacheConfig::from_url(url)
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("settings")
    }

    fn visit_bool<E>(self, value: bool) -> std::result::Result<Raw, E> {
        Ok(Raw::Scalar(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> std::result::Result<Raw, E> {
        Ok(Raw::Scalar(value.to_string()))
    }

    fn visit_i128<E>(self, value: i128) -> std::result::Result<Raw, E> {
        Ok(Raw::Scalar(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> std::result::Result<Raw, E> {
        Ok(Raw::Scalar(value.to_string()))
    }

    fn visit_u128<E>(self, value: u128) -> std::result::Result<Raw, E> {
        Ok(Raw::Scalar(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> std::result::Result<Raw, E> {
        // With its point, so that no setting takes `10.0` for a whole number.
        Ok(Raw::Scalar(format!("{value:?}")))
    }

    fn visit_str<E>(self, value: &str) -> std::result::Result<Raw, E> {
        Ok(Raw::Scalar(value.to_owned()))
    }

    fn visit_bytes<E>(self, _: &[u8]) -> std::result::Result<Raw, E> {
        Ok(Raw::Other("bytes"))
    }

    fn visit_unit<E>(self) -> std::result::Result<Raw, E> {
        Ok(Raw::Other("nothing"))
    }

    fn visit_none<E>(self) -> std::result::Result<Raw, E> {
        Ok(Raw::Other("nothing"))
    }

    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> std::result::Result<Raw, D::Error> {
        Raw::deserialize(inner)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> std::result::Result<Raw, D::Error> {
        Raw::deserialize(inner)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> std::result::Result<Raw, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Raw::Other("a list"))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Raw, A::Error> {
        let mut entries: Vec<(String, Raw)> = Vec::new();
        while let Some(name) = map.next_key::<Name>()? {
            let name = name.0;
            if entries.iter().any(|(known, _)| *known == name) {
                return Err(A::Error::custom(format!("`{}` is given more than once", shown(&name))));
            }
            let value = map.next_value()?;
            entries.push((name, value));
        }
        Ok(Raw::Table(entries))
    }
}

/// The name of an entry, whatever it is written as.
struct Name(String);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        match Raw::deserialize(deserializer)? {
            Raw::Scalar(name) => Ok(Self(name)),
            other => Err(D::Error::custom(format!("the name of a setting is {}", other.kind()))),
        }
    }
}
