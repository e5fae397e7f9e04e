//! Settings of a URL, read as what they are. Errors name the setting, what was given and what is allowed.

use std::{ops::RangeInclusive, time::Duration};

use larder_core::{Error, ErrorKind, Result, Timeout};

use super::StoreUrl;
use crate::settings::shown;

impl StoreUrl {
    /// The setting `name` as text.
    ///
    /// ```
    /// let url: larder::StoreUrl = "memory://?namespace=shop".parse()?;
    /// assert_eq!(url.text("namespace"), Some("shop"));
    /// # Ok::<(), larder::Error>(())
    /// ```
    pub fn text(&self, name: &str) -> Option<&str> {
        self.find(name).map(|given| given.value.as_str())
    }

    /// The setting `name` as a whole number. `_` may separate digits.
    ///
    /// ```
    /// let url: larder::StoreUrl = "memory://?max_entries=10_000".parse()?;
    /// assert_eq!(url.number("max_entries")?, Some(10_000));
    /// # Ok::<(), larder::Error>(())
    /// ```
    pub fn number(&self, name: &str) -> Result<Option<u64>> {
        self.read(name, "a whole number", whole_number)
    }

    /// A whole number that is not zero and not huge.
    pub(crate) fn count_to_u32(&self, name: &str) -> Result<Option<u32>> {
        self.read(name, "a whole number from 1 to 4294967295", |text| in_u32(whole_number(text)?))
    }

    /// The setting `name` as a number of bytes: `65536`, `64KiB`, `64MiB`, `1GiB`.
    ///
    /// ```
    /// let url: larder::StoreUrl = "memory://?max_bytes=64MiB".parse()?;
    /// assert_eq!(url.bytes("max_bytes")?, Some(64 << 20));
    /// # Ok::<(), larder::Error>(())
    /// ```
    pub fn bytes(&self, name: &str) -> Result<Option<u64>> {
        self.read(name, "a number of bytes (`65536`, `64KiB`, `64MiB`, `1GiB`)", byte_count)
    }

    /// A whole number within bounds.
    pub(crate) fn count_within<T: TryFrom<u64>>(
        &self,
        name: &str,
        range: RangeInclusive<u64>,
    ) -> Result<Option<T>> {
        let allowed = format!("a whole number from {} to {}", range.start(), range.end());
        self.read(name, &allowed, |text| {
            T::try_from(whole_number(text).filter(|number| range.contains(number))?).ok()
        })
    }

    /// A part of one, with or without a decimal point.
    pub(crate) fn fraction(
        &self,
        name: &str,
        allowed: &str,
        fits: impl FnOnce(f64) -> bool,
    ) -> Result<Option<f64>> {
        self.read(name, allowed, |text| decimal(text).filter(|number| fits(*number)))
    }

    /// A duration within bounds, which are written as it is.
    pub(crate) fn duration_within(&self, name: &str, least: &str, most: &str) -> Result<Option<Duration>> {
        let bound = |text: &str| match text.parse() {
            Ok(Timeout::After(bound)) => bound,
            _ => unreachable!("the bounds in this crate are durations"),
        };
        let range = bound(least)..=bound(most);
        let allowed =
            format!("seconds (`2`) or a duration (`500ms`, `5s`, `1m30s`), from `{least}` to `{most}`");
        self.read(name, &allowed, |text| match text.parse() {
            Ok(Timeout::After(duration)) if range.contains(&duration) => Some(duration),
            _ => None,
        })
    }

    /// A duration, which may be `0`.
    pub(crate) fn duration_or_zero(&self, name: &str) -> Result<Option<Duration>> {
        const ALLOWED: &str = "seconds (`2`), a duration (`500ms`, `5s`, `1m30s`), or `0`";
        self.read(name, ALLOWED, |text| match text.parse() {
            Ok(Timeout::After(duration)) => Some(duration),
            _ => (text == "0").then_some(Duration::ZERO),
        })
    }

    /// Bytes, more than none and less than 4 GiB.
    pub(crate) fn bytes_to_u32(&self, name: &str) -> Result<Option<u32>> {
        const ALLOWED: &str = "a number of bytes (`65536`, `64KiB`, `64MiB`, `1GiB`) from 1 to 4294967295";
        self.read(name, ALLOWED, |text| in_u32(byte_count(text)?))
    }

    /// The setting `name` as `true` or `false`.
    ///
    /// ```
    /// let url: larder::StoreUrl = "null://?warn=false".parse()?;
    /// assert_eq!(url.flag("warn")?, Some(false));
    /// # Ok::<(), larder::Error>(())
    /// ```
    pub fn flag(&self, name: &str) -> Result<Option<bool>> {
        self.choice(name, &[("true", true), ("false", false)])
    }

    /// The setting `name` as one of some words.
    ///
    /// ```
    /// let url: larder::StoreUrl = "etcd://localhost?read=local".parse()?;
    /// assert_eq!(url.choice("read", &[("local", 1), ("leader", 2)])?, Some(1));
    /// # Ok::<(), larder::Error>(())
    /// ```
    pub fn choice<T: Copy>(&self, name: &str, words: &[(&str, T)]) -> Result<Option<T>> {
        let allowed: Vec<_> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
        self.read(name, &format!("one of {}", allowed.join(", ")), |text| {
            words.iter().find(|(word, _)| *word == text).map(|(_, meaning)| *meaning)
        })
    }

    /// The setting `name` as a [`Timeout`], which may be `never`.
    ///
    /// ```
    /// let url: larder::StoreUrl = "memory://?timeout=5m".parse()?;
    /// assert_eq!(url.timeout("timeout")?, Some(larder::Timeout::After(std::time::Duration::from_secs(300))));
    /// # Ok::<(), larder::Error>(())
    /// ```
    pub fn timeout(&self, name: &str) -> Result<Option<Timeout>> {
        const ALLOWED: &str = "seconds (`300`), a duration (`500ms`, `5m`, `1h30m`, `2d`), or `never`";
        self.read(name, ALLOWED, |text| text.parse().ok().filter(|timeout| *timeout != Timeout::Default))
    }

    /// The setting `name` as a duration longer than zero, written as a [`Timeout`] is.
    ///
    /// ```
    /// let url: larder::StoreUrl = "memory://?load_timeout=10s".parse()?;
    /// assert_eq!(url.duration("load_timeout")?, Some(std::time::Duration::from_secs(10)));
    /// # Ok::<(), larder::Error>(())
    /// ```
    pub fn duration(&self, name: &str) -> Result<Option<Duration>> {
        self.read(name, "seconds (`2`) or a duration (`500ms`, `5s`, `1m30s`), longer than zero", |text| {
            match text.parse() {
                Ok(Timeout::After(duration)) => Some(duration),
                _ => None,
            }
        })
    }

    pub(crate) fn read<'a, T>(
        &'a self,
        name: &str,
        allowed: &str,
        read: impl FnOnce(&'a str) -> Option<T>,
    ) -> Result<Option<T>> {
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        let wrong = || {
            let label = self.label(name);
            Error::new(ErrorKind::Config, format!("`{label}={}`: `{label}` must be {allowed}", shown(text)))
        };
        read(text).ok_or_else(wrong).map(Some)
    }
}

fn whole_number(text: &str) -> Option<u64> {
    let digits = text.replace('_', "");
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

/// Digits with at most one point among them: no sign, no exponent, no infinity.
pub(crate) fn decimal(text: &str) -> Option<f64> {
    let is_plain = text.starts_with(|c: char| c.is_ascii_digit())
        && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    is_plain.then(|| text.parse().ok()).flatten().filter(|number: &f64| number.is_finite())
}

pub(crate) fn byte_count(text: &str) -> Option<u64> {
    let units = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];
    let unit = units.into_iter().find_map(|(unit, size)| Some((text.strip_suffix(unit)?, size)));
    let (digits, size) = unit.unwrap_or((text, 1));
    whole_number(digits)?.checked_mul(size)
}

fn in_u32(number: u64) -> Option<u32> {
    u32::try_from(number).ok().filter(|number| *number > 0)
}
