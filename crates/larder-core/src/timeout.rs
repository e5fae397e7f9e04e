//! What a caller asks for, [`Timeout`], and what a store is told, [`Expiry`].

use std::{fmt, str::FromStr, time::Duration};

use crate::{Error, ErrorKind, Result, Timestamp};

/// How long a caller wants an entry kept.
///
/// As text: `"300"` (seconds), `"500ms"`, `"5m"`, `"1h30m"`, `"2d"`, `"1w"`, `"never"`, `"default"`. A textual `0`
/// means never, as users of Flask-Caching expect; `After(Duration::ZERO)` from code means already expired.
///
/// ```
/// use std::time::Duration;
/// use larder_core::Timeout;
///
/// assert_eq!("1h30m".parse::<Timeout>()?, Timeout::After(Duration::from_secs(5400)));
/// assert_eq!("300".parse::<Timeout>()?, Timeout::After(Duration::from_secs(300)));
/// assert_eq!("0".parse::<Timeout>()?, Timeout::Never);
/// assert!("5 parsecs".parse::<Timeout>().is_err());
/// # Ok::<(), larder_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Timeout {
    /// What the cache was built with.
    #[default]
    Default,
    /// Until deleted or evicted.
    Never,
    /// For this long. Zero stores nothing that can be read.
    After(Duration),
}

impl Timeout {
    /// What a store is told, given the cache's own default.
    ///
    /// ```
    /// use std::time::Duration;
    /// use larder_core::{Expiry, Timeout};
    /// assert_eq!(Timeout::Default.resolve(Expiry::Never), Expiry::Never);
    /// assert_eq!(Timeout::After(Duration::ZERO).resolve(Expiry::Never), Expiry::After(Duration::ZERO));
    /// ```
    pub const fn resolve(self, default: Expiry) -> Expiry {
        match self {
            Self::Default => default,
            Self::Never => Expiry::Never,
            Self::After(duration) => Expiry::After(duration),
        }
    }
}

impl From<Duration> for Timeout {
    fn from(duration: Duration) -> Self {
        Self::After(duration)
    }
}

/// The units of the textual form, in milliseconds. `ms` stands before `m`, which it starts with.
const UNITS: [(&str, u64); 6] =
    [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000), ("w", 604_800_000)];

impl FromStr for Timeout {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "never" => return Ok(Self::Never),
            "default" => return Ok(Self::Default),
            _ => {}
        }
        let millis = parse_millis(text).ok_or_else(|| {
            Error::new(
                ErrorKind::Config,
                format!("`{}` is not a timeout: write seconds (`300`), units (`500ms`, `5m`, `1h30m`, `2d`, `1w`) or `never`", text.escape_debug()),
            )
        })?;
        Ok(if millis == 0 { Self::Never } else { Self::After(Duration::from_millis(millis)) })
    }
}

fn parse_millis(text: &str) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse::<u64>().ok()?.checked_mul(1_000);
    }
    let (mut rest, mut total) = (text, 0_u64);
    let mut last_unit = u64::MAX;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let (name, unit) = UNITS.into_iter().find(|(name, _)| rest.starts_with(name))?;
        // Larger units first, each once: "30m1h" and "1m1m" are slips, not sums.
        if unit >= last_unit {
            return None;
        }
        last_unit = unit;
        total = total.checked_add(number.checked_mul(unit)?)?;
        rest = &rest[name.len()..];
    }
    Some(total)
}

impl fmt::Display for Timeout {
    /// Writes a form that parses back, rounded up to the millisecond. Only `After(Duration::ZERO)` does not: as text, zero
    /// means never.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Never => f.write_str("never"),
            // Rounded up: half a millisecond must not become the zero that reads as never.
            Self::After(duration) => {
                let millis = duration.as_nanos().div_ceil(1_000_000);
                write!(f, "{}ms", u64::try_from(millis).unwrap_or(u64::MAX))
            }
        }
    }
}

/// What a store is told: keep for ever, or for so long from now. Resolved, no defaults left.
///
/// ```
/// use std::time::Duration;
/// use larder_core::{Expiry, Timestamp};
///
/// let now = Timestamp::from_nanos(1_000_000_000);
/// let expiry = Expiry::After(Duration::from_secs(2));
/// assert_eq!(expiry.deadline(now), Timestamp::from_nanos(3_000_000_000));
/// assert_eq!(Expiry::until(Timestamp::from_nanos(3_000_000_000), now), expiry);
/// assert_eq!(Expiry::Never.deadline(now), Timestamp::MAX);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Expiry {
    /// Until deleted or evicted.
    Never,
    /// For this long, to the precision of the store. Any size is accepted; zero leaves a miss.
    After(Duration),
}

impl Expiry {
    /// The expiry that ends at `deadline`: [`Timestamp::MAX`] is never, a passed one is zero.
    ///
    /// ```
    /// use std::time::Duration;
    /// use larder_core::{Expiry, Timestamp};
    /// assert_eq!(Expiry::until(Timestamp::MAX, Timestamp::from_nanos(1)), Expiry::Never);
    /// assert!(Expiry::until(Timestamp::from_nanos(1), Timestamp::from_nanos(9)).is_past());
    /// ```
    pub const fn until(deadline: Timestamp, now: Timestamp) -> Self {
        if deadline.as_nanos() == Timestamp::MAX.as_nanos() {
            Self::Never
        } else {
            Self::After(deadline.saturating_since(now))
        }
    }

    /// When an entry stored at `now` ends; [`Timestamp::MAX`] for never.
    ///
    /// ```
    /// use larder_core::{Expiry, Timestamp};
    /// assert_eq!(Expiry::Never.deadline(Timestamp::from_nanos(0)), Timestamp::MAX);
    /// ```
    pub const fn deadline(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Never => Timestamp::MAX,
            Self::After(duration) => now.saturating_add(duration),
        }
    }

    /// Whether it is over before it begins.
    ///
    /// ```
    /// use std::time::Duration;
    /// assert!(larder_core::Expiry::After(Duration::ZERO).is_past());
    /// ```
    pub const fn is_past(self) -> bool {
        matches!(self, Self::After(duration) if duration.is_zero())
    }
}
