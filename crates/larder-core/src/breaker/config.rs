//! Settings of the circuit breakers.

use std::time::Duration;

use crate::{Error, ErrorKind, Result};

/// When the circuit to a server opens, and how it is found to be back.
///
/// A store that crosses a network is given one breaker for each of its [servers](crate::CacheStore::servers). While
/// calls to a server fail, its circuit is open: every call ends at once with
/// [`Unavailable`](ErrorKind::Unavailable), and only a probe in the background asks the server. Once the probe is
/// answered, a few calls are let through, and if they are answered too the circuit closes.
///
/// What counts as a failure: `Unavailable`, `Timeout`, `Ambiguous`, and a call that was given up when its time was over.
/// What does not: any answer, a miss and a refusal included; `Overloaded`, because the server is there and refuses
/// quickly by itself; a caller who goes away early.
///
/// The circuit opens by the rate of failures, or by their cost: what failures in a row cost their callers is counted in
/// timeouts. So a dead server is left alone after a few calls even where calls are rare, whether it is silent, refuses
/// late, or leaves callers to wait for a connection.
///
/// ```
/// use std::time::Duration;
/// use larder_core::CircuitBreaker;
///
/// let patient = CircuitBreaker::new().window(Duration::from_secs(30)).error_rate(0.8);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[must_use = "settings do nothing until they are given to a store handle"]
pub struct CircuitBreaker {
    pub(super) window: Duration,
    pub(super) minimum_calls: u32,
    pub(super) error_rate: f64,
    pub(super) consecutive_timeouts: u32,
    pub(super) probe_interval: Duration,
    pub(super) probe_timeout: Duration,
    pub(super) half_open_calls: u32,
}

impl Default for CircuitBreaker {
    fn default() -> Self {
        Self::new()
    }
}

impl CircuitBreaker {
    /// The defaults: opens at half of at least 20 calls within 10 s, or 5 timeouts in a row (or failures that cost as much); probes four times a second.
    ///
    /// ```
    /// assert_eq!(larder_core::CircuitBreaker::new(), larder_core::CircuitBreaker::default());
    /// ```
    pub const fn new() -> Self {
        Self {
            window: Duration::from_secs(10),
            minimum_calls: 20,
            error_rate: 0.5,
            consecutive_timeouts: 5,
            probe_interval: Duration::from_millis(250),
            probe_timeout: Duration::from_millis(500),
            half_open_calls: 3,
        }
    }

    /// How far back calls are counted, from 100 ms to 10 minutes. Default: 10 seconds.
    ///
    /// ```
    /// # use std::time::Duration;
    /// let breaker = larder_core::CircuitBreaker::new().window(Duration::from_secs(5));
    /// ```
    pub const fn window(mut self, window: Duration) -> Self {
        self.window = window;
        self
    }

    /// How many calls there must be within the window before their error rate counts, at least 1. Default: 20.
    ///
    /// ```
    /// let breaker = larder_core::CircuitBreaker::new().minimum_calls(100);
    /// ```
    pub const fn minimum_calls(mut self, calls: u32) -> Self {
        self.minimum_calls = calls;
        self
    }

    /// The part of the calls that has to fail, over 0 and up to 1. Default: 0.5.
    ///
    /// ```
    /// let breaker = larder_core::CircuitBreaker::new().error_rate(0.25);
    /// ```
    pub const fn error_rate(mut self, rate: f64) -> Self {
        self.error_rate = rate;
        self
    }

    /// How many calls in a row have to run out of time for the circuit to open whatever the rate, at least 1: what a dead
    /// server costs. Another failure counts by the part of the operation timeout that it took: as one timeout if it came
    /// as late as that, as nothing if it came at once; what several callers waited at the same time counts once. An answer
    /// ends the row. Default: 5.
    ///
    /// ```
    /// let breaker = larder_core::CircuitBreaker::new().consecutive_timeouts(2);
    /// ```
    pub const fn consecutive_timeouts(mut self, timeouts: u32) -> Self {
        self.consecutive_timeouts = timeouts;
        self
    }

    /// How long a probe waits after the one before, from 10 ms to 1 minute; each by up to a fifth more or less, so that
    /// many processes do not ask in step. Default: 250 ms.
    ///
    /// ```
    /// # use std::time::Duration;
    /// let breaker = larder_core::CircuitBreaker::new().probe_interval(Duration::from_millis(100));
    /// ```
    pub const fn probe_interval(mut self, interval: Duration) -> Self {
        self.probe_interval = interval;
        self
    }

    /// How long a probe may take, from 10 ms to 1 minute. Default: 500 ms.
    ///
    /// ```
    /// # use std::time::Duration;
    /// let breaker = larder_core::CircuitBreaker::new().probe_timeout(Duration::from_millis(200));
    /// ```
    pub const fn probe_timeout(mut self, timeout: Duration) -> Self {
        self.probe_timeout = timeout;
        self
    }

    /// How many calls are let through to a server whose probe was answered, at least 1; all must be answered for the
    /// circuit to close. Default: 3.
    ///
    /// ```
    /// let breaker = larder_core::CircuitBreaker::new().half_open_calls(10);
    /// ```
    pub const fn half_open_calls(mut self, calls: u32) -> Self {
        self.half_open_calls = calls;
        self
    }

    /// The settings, if each is within its range.
    pub(crate) fn checked(self) -> Result<Self> {
        let refuse = |name: &str, given: String, range: &str| {
            let message = format!("`circuit_breaker.{name}` is {given}: it must be {range}");
            Err(Error::new(ErrorKind::Config, message))
        };
        let (shortest, minute) = (Duration::from_millis(10), Duration::from_mins(1));
        if self.window < Duration::from_millis(100) || self.window > Duration::from_mins(10) {
            return refuse("window", format!("{:?}", self.window), "from 100 ms to 10 minutes");
        }
        if self.minimum_calls == 0 {
            return refuse("minimum_calls", "0".into(), "at least 1");
        }
        // Not a number fails this too.
        if !(self.error_rate > 0.0 && self.error_rate <= 1.0) {
            return refuse("error_rate", self.error_rate.to_string(), "over 0 and at most 1");
        }
        if self.consecutive_timeouts == 0 {
            return refuse("consecutive_timeouts", "0".into(), "at least 1");
        }
        for (name, given) in [("probe_interval", self.probe_interval), ("probe_timeout", self.probe_timeout)]
        {
            if given < shortest || given > minute {
                return refuse(name, format!("{given:?}"), "from 10 ms to 1 minute");
            }
        }
        if self.half_open_calls == 0 {
            return refuse("half_open_calls", "0".into(), "at least 1");
        }
        Ok(self)
    }
}
