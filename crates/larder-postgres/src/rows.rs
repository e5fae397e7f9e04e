//! Between keys, values and versions, and what the table holds.

use std::{borrow::Cow, time::Duration};

use bytes::Bytes;
use larder_core::{Error, ErrorKind, Expiry, Key, Namespace, Result, Value, Version};
use tokio_postgres::Row;

/// Stands before and behind a prefix: neither it nor a key may hold it, so that no prefix and key read like another
/// pair, and no range of one prefix's keys holds another's.
const SEPARATOR: char = '|';
/// Under this size a value is copied out of the read buffer, which it would keep alive.
const COPIED: usize = 16 << 10;
/// The longest time an entry is given: longer ones end in a thousand years too.
const LONGEST_MILLIS: f64 = 1000.0 * 365.25 * 86_400_000.0;

/// How a store files its keys.
#[derive(Clone, Debug)]
pub(crate) struct Filing {
    /// With its separators; empty where there is none.
    prefix: String,
}

impl Filing {
    pub(crate) fn new(prefix: &str) -> Self {
        let separated = || format!("{SEPARATOR}{prefix}{SEPARATOR}");
        Self { prefix: if prefix.is_empty() { String::new() } else { separated() } }
    }

    pub(crate) fn key<'a>(&self, key: &'a Key) -> Cow<'a, [u8]> {
        if self.prefix.is_empty() {
            Cow::Borrowed(key.as_str().as_bytes())
        } else {
            Cow::Owned([self.prefix.as_bytes(), key.as_str().as_bytes()].concat())
        }
    }

    /// The key that is filed so; `None` for what no Larder filed.
    pub(crate) fn read(&self, filed: &[u8]) -> Option<Key> {
        let text = std::str::from_utf8(filed).ok()?;
        Key::parse(text.strip_prefix(&self.prefix)?).ok()
    }

    /// The first key in a namespace, and the first one behind it.
    pub(crate) fn range(&self, namespace: &Namespace) -> (Vec<u8>, Vec<u8>) {
        let start = [self.prefix.as_bytes(), namespace.as_str().as_bytes()].concat();
        let mut end = start.clone();
        // A path ends in `/`, never in 0xFF.
        *end.last_mut().expect("a path is never empty") += 1;
        (start, end)
    }
}

/// A value in two columns, of which one is null.
#[derive(Clone, Debug)]
pub(crate) struct Wire {
    pub(crate) bytes: Option<Bytes>,
    pub(crate) int: Option<i64>,
}

impl Wire {
    pub(crate) const NOTHING: Self = Self { bytes: Some(Bytes::new()), int: None };

    pub(crate) fn of(value: Value, limit: usize) -> Result<Self> {
        let bytes = match value {
            Value::Int(int) => return Ok(Self { bytes: None, int: Some(int) }),
            Value::Bytes(bytes) => bytes,
            Value::Object(object) => object.encode()?,
            _ => {
                return Err(Error::new(
                    ErrorKind::Encode,
                    "a value of a kind that this version does not know",
                ));
            }
        };
        if bytes.len() > limit {
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!("a value of {} bytes, the limit is `max_value_bytes = {limit}`", bytes.len()),
            ));
        }
        Ok(Self { bytes: Some(bytes), int: None })
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.as_ref().map_or(size_of::<i64>(), Bytes::len)
    }
}

/// How long an entry stays, in milliseconds; null is for ever.
pub(crate) fn millis(expiry: Expiry) -> Option<f64> {
    match expiry {
        // The server rounds to microseconds: what is shorter must not become nothing.
        Expiry::After(time) if !time.is_zero() => {
            Some((time.as_secs_f64() * 1000.0).clamp(0.001, LONGEST_MILLIS))
        }
        Expiry::After(_) => Some(0.0),
        _ => None,
    }
}

/// What is left of an entry, from microseconds.
pub(crate) fn expiry(micros: Option<i64>) -> Expiry {
    micros.map_or(Expiry::Never, |left| Expiry::After(Duration::from_micros(left.try_into().unwrap_or(0))))
}

/// The value in the columns `at` and `at + 1` of a row.
pub(crate) fn value(row: Row, at: usize) -> Result<Option<Value>> {
    if let Some(int) = get::<Option<i64>>(&row, at + 1)? {
        return Ok(Some(Value::Int(int)));
    }
    // A row with neither is not ours: a miss.
    let Some(bytes) = get::<Option<&[u8]>>(&row, at)? else { return Ok(None) };
    Ok(Some(Value::Bytes(if bytes.len() < COPIED {
        Bytes::copy_from_slice(bytes)
    } else {
        Bytes::from_owner(Field { row, at })
    })))
}

/// Bytes that stay where they were read.
struct Field {
    row: Row,
    at: usize,
}

impl AsRef<[u8]> for Field {
    fn as_ref(&self) -> &[u8] {
        self.row.try_get(self.at).expect("it was read as bytes before")
    }
}

/// A field, or the error of a table that is not ours.
pub(crate) fn get<'a, T: tokio_postgres::types::FromSql<'a>>(row: &'a Row, at: usize) -> Result<T> {
    row.try_get(at).map_err(|cause| {
        Error::new(ErrorKind::Corrupt, "the server answered with columns of other types").with_source(cause)
    })
}

/// The version in two columns.
pub(crate) fn version(number: i64, salt: i64) -> Version {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    bytes[8..].copy_from_slice(&salt.to_be_bytes());
    Version::new(&bytes).expect("sixteen bytes are under the limit")
}

/// The two columns of a version; `None` for one that this store never gave.
pub(crate) fn columns(version: &Version) -> Option<(i64, i64)> {
    let bytes: &[u8; 16] = version.as_bytes().try_into().ok()?;
    let half = |at: usize| bytes[at..].first_chunk().copied().map(i64::from_be_bytes);
    Some((half(0)?, half(8)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_comes_back() {
        assert_eq!(columns(&version(-7, i64::MAX)), Some((-7, i64::MAX)));
        assert_eq!(columns(&Version::from(7)), None);
    }

    #[test]
    fn no_prefix_reads_another_ones_keys() {
        let key = Key::new(&Namespace::root().child("a").unwrap(), "b").unwrap();
        let (none, some) = (Filing::new(""), Filing::new("1/a/"));
        assert_eq!(some.read(&some.key(&key)), Some(key.clone()));
        assert_eq!(none.read(&some.key(&key)), None);
        assert_eq!(some.read(&none.key(&key)), None);
        let (start, end) = none.range(&Namespace::root().child("a").unwrap());
        assert_eq!((&start[..], &end[..]), (&b"1/a/"[..], &b"1/a0"[..]));
        let start = some.range(&Namespace::root()).0;
        assert_eq!(start, b"|1/a/|1/");
        assert!(!(start..some.range(&Namespace::root()).1).contains(&none.key(&key).into_owned()));
    }

    #[test]
    fn times_of_any_size_are_taken() {
        assert_eq!(millis(Expiry::Never), None);
        assert_eq!(millis(Expiry::After(Duration::ZERO)), Some(0.0));
        assert_eq!(millis(Expiry::After(Duration::from_nanos(1))), Some(0.001));
        assert_eq!(millis(Expiry::After(Duration::from_millis(1500))), Some(1500.0));
        assert_eq!(millis(Expiry::After(Duration::MAX)), Some(LONGEST_MILLIS));
        assert_eq!(expiry(None), Expiry::Never);
        assert_eq!(expiry(Some(1500)), Expiry::After(Duration::from_micros(1500)));
    }
}
