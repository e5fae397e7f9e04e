//! What stands between caches and their store: circuit breaker and batching.

use std::sync::Arc;

use larder_core::{Batching, CircuitBreaker, Result, StoreHandle};

use super::config;
use crate::{StoreUrl, settings::GUARD_NAMES};

/// What was said of one of them.
#[derive(Clone, Copy, Debug)]
enum Said<T> {
    /// Nothing: it is as the store has it by default.
    Nothing,
    Off,
    On(T),
}

#[derive(Clone, Debug)]
pub(super) struct Guards {
    breaker: Said<CircuitBreaker>,
    batching: Said<Batching>,
}

impl Guards {
    pub(super) fn read(url: &StoreUrl) -> Result<Self> {
        let (breaker, batching) = (breaker(url)?, batching(url)?);
        Ok(Self {
            breaker: switched(url, "circuit_breaker", breaker)?,
            batching: switched(url, "batching", batching)?,
        })
    }

    /// The same store with these around it.
    pub(super) fn around(&self, handle: StoreHandle) -> Result<StoreHandle> {
        if matches!((&self.breaker, &self.batching), (Said::Nothing, Said::Nothing)) {
            return Ok(handle);
        }
        let mut builder = StoreHandle::builder_from_arc(Arc::clone(handle.store()));
        builder = match self.breaker {
            Said::Nothing => builder,
            Said::Off => builder.circuit_breaker(None),
            Said::On(breaker) => builder.circuit_breaker(breaker),
        };
        builder = match self.batching {
            Said::Nothing => builder,
            Said::Off => builder.batching(None),
            Said::On(batching) => builder.batching(batching),
        };
        builder.build()
    }
}

/// Off, on, or left alone. A setting of what is off contradicts it; without a word of the switch, it is on.
fn switched<T>(url: &StoreUrl, switch: &str, with: T) -> Result<Said<T>> {
    let mut details =
        GUARD_NAMES.iter().filter(|name| name.strip_prefix(switch).is_some_and(|rest| !rest.is_empty()));
    let detail = details.find(|name| url.text(name).is_some());
    match (url.flag(switch)?, detail) {
        (Some(false), Some(detail)) => Err(config(format!(
            "`{}` means nothing with `{}=false`: leave one",
            url.label(detail),
            url.label(switch)
        ))),
        (Some(false), None) => Ok(Said::Off),
        (Some(true), _) | (None, Some(_)) => Ok(Said::On(with)),
        (None, None) => Ok(Said::Nothing),
    }
}

fn breaker(url: &StoreUrl) -> Result<CircuitBreaker> {
    let mut breaker = CircuitBreaker::new();
    if let Some(window) = url.duration_within("circuit_breaker_window", "100ms", "10m")? {
        breaker = breaker.window(window);
    }
    if let Some(calls) = url.count_to_u32("circuit_breaker_minimum_calls")? {
        breaker = breaker.minimum_calls(calls);
    }
    let allowed = "a part over 0 and up to 1, as `0.5`";
    if let Some(rate) =
        url.fraction("circuit_breaker_error_rate", allowed, |rate| rate > 0.0 && rate <= 1.0)?
    {
        breaker = breaker.error_rate(rate);
    }
    if let Some(timeouts) = url.count_to_u32("circuit_breaker_consecutive_timeouts")? {
        breaker = breaker.consecutive_timeouts(timeouts);
    }
    if let Some(interval) = url.duration_within("circuit_breaker_probe_interval", "10ms", "1m")? {
        breaker = breaker.probe_interval(interval);
    }
    if let Some(timeout) = url.duration_within("circuit_breaker_probe_timeout", "10ms", "1m")? {
        breaker = breaker.probe_timeout(timeout);
    }
    if let Some(calls) = url.count_to_u32("circuit_breaker_half_open_calls")? {
        breaker = breaker.half_open_calls(calls);
    }
    Ok(breaker)
}

fn batching(url: &StoreUrl) -> Result<Batching> {
    let mut batching = Batching::new();
    if let Some(reads) = url.count_within("batching_threshold", 0..=u64::from(u32::MAX))? {
        batching = batching.threshold(reads);
    }
    if let Some(keys) = url.count_to_u32("batching_max_keys")? {
        batching = batching.max_keys(keys as usize);
    }
    if let Some(batches) = url.count_to_u32("batching_batches")? {
        batching = batching.batches(batches as usize);
    }
    Ok(batching)
}
