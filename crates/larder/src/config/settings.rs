//! The settings that every cache has, read and given to a builder.

use std::time::Duration;

use larder_core::{
    CacheBuilder, ClearBy, Coalesce, Codec, EarlyRefresh, EntryOptions, FailurePolicy, Namespace, Result,
    Timeout,
};

use super::config;
use crate::{StoreUrl, settings::shown, url::decimal};

const POLICIES: [(&str, FailurePolicy); 2] =
    [("return", FailurePolicy::Return), ("miss", FailurePolicy::Miss)];
const CODECS: [(&str, Codec); 2] = [("messagepack", Codec::MessagePack), ("json", Codec::Json)];
const COALESCE: [(&str, Coalesce); 3] =
    [("off", Coalesce::Off), ("process", Coalesce::Process), ("cluster", Coalesce::Cluster)];
const CLEAR_BY: [(&str, ClearBy); 2] = [("store", ClearBy::Store), ("stamps", ClearBy::Stamps)];

/// What was said of the cache; the rest is left to the builder. No text: that could be a secret in the wrong place.
#[derive(Clone, Debug)]
pub(super) struct CacheSettings {
    timeout: Option<Timeout>,
    operation_timeout: Option<Duration>,
    bulk_timeout: Option<Duration>,
    load_timeout: Option<Duration>,
    lease_timeout: Option<Duration>,
    clock_skew: Option<Duration>,
    stamp_staleness: Option<Duration>,
    codec: Option<Codec>,
    coalesce: Option<Coalesce>,
    clear_by: Option<ClearBy>,
    max_value_bytes: Option<u32>,
    max_concurrent_loads: Option<usize>,
    max_detached: Option<usize>,
    explicit_errors: Option<FailurePolicy>,
    load_errors: Option<FailurePolicy>,
    options: EntryOptions,
}

impl CacheSettings {
    pub(super) fn read(url: &StoreUrl) -> Result<Self> {
        check_namespace(url)?;
        let count = |name| url.count_to_u32(name).map(|count| count.map(|count| count as usize));
        Ok(Self {
            timeout: url.timeout("timeout")?,
            operation_timeout: url.duration("operation_timeout")?,
            bulk_timeout: url.duration("bulk_timeout")?,
            load_timeout: url.duration("load_timeout")?,
            lease_timeout: url.duration("lease_timeout")?,
            clock_skew: url.duration_or_zero("clock_skew")?,
            stamp_staleness: url.duration_or_zero("stamp_staleness")?,
            codec: url.choice("codec", &CODECS)?,
            coalesce: url.choice("coalesce", &COALESCE)?,
            clear_by: url.choice("clear_by", &CLEAR_BY)?,
            max_value_bytes: url.bytes_to_u32("max_value_bytes")?,
            max_concurrent_loads: count("max_concurrent_loads")?,
            max_detached: count("max_detached")?,
            explicit_errors: url.choice("explicit_errors", &POLICIES)?,
            load_errors: url.choice("load_errors", &POLICIES)?,
            options: options(url)?,
        })
    }

    pub(super) fn apply(&self, builder: CacheBuilder, namespace: Option<&str>) -> CacheBuilder {
        fn set<T>(
            builder: CacheBuilder,
            value: Option<T>,
            setter: fn(CacheBuilder, T) -> CacheBuilder,
        ) -> CacheBuilder {
            match value {
                Some(value) => setter(builder, value),
                None => builder,
            }
        }
        // First: it has no timeouts in it, and none of what follows.
        let builder = builder.default_options(self.options.clone());
        let builder = set(builder, self.timeout, CacheBuilder::default_timeout);
        let builder = set(builder, namespace, CacheBuilder::namespace);
        let builder = set(builder, self.operation_timeout, CacheBuilder::operation_timeout);
        let builder = set(builder, self.bulk_timeout, CacheBuilder::bulk_timeout);
        let builder = set(builder, self.load_timeout, CacheBuilder::load_timeout);
        let builder = set(builder, self.lease_timeout, CacheBuilder::lease_timeout);
        let builder = set(builder, self.clock_skew, CacheBuilder::clock_skew);
        let builder = set(builder, self.stamp_staleness, CacheBuilder::stamp_staleness);
        let builder = set(builder, self.codec, CacheBuilder::codec);
        let builder = set(builder, self.coalesce, CacheBuilder::coalesce);
        let builder = set(builder, self.clear_by, CacheBuilder::clear_by);
        let builder = set(builder, self.max_value_bytes, CacheBuilder::max_value_bytes);
        let builder = set(builder, self.max_concurrent_loads, CacheBuilder::max_concurrent_loads);
        let builder = set(builder, self.max_detached, CacheBuilder::max_detached);
        let builder = set(builder, self.explicit_errors, CacheBuilder::explicit_errors);
        set(builder, self.load_errors, CacheBuilder::load_errors)
    }
}

/// What every write and load asks for, where it does not say otherwise.
fn options(url: &StoreUrl) -> Result<EntryOptions> {
    fn set<T>(
        options: EntryOptions,
        value: Option<T>,
        setter: fn(EntryOptions, T) -> EntryOptions,
    ) -> EntryOptions {
        match value {
            Some(value) => setter(options, value),
            None => options,
        }
    }
    let revalidate = url.duration_or_zero("stale_while_revalidate")?;
    let options = set(EntryOptions::new(), revalidate, EntryOptions::stale_while_revalidate);
    let options = set(options, url.duration_or_zero("stale_if_error")?, EntryOptions::stale_if_error);
    let options = set(options, url.duration("soft_timeout")?, EntryOptions::soft_timeout);
    let options = set(options, url.duration_or_zero("error_timeout")?, EntryOptions::error_timeout);
    let options = set(options, url.duration_or_zero("error_backoff")?, EntryOptions::error_backoff);
    let options = set(options, none_timeout(url)?, EntryOptions::none_timeout);
    let options = set(options, url.flag("late_tags")?, EntryOptions::late_tags);
    let options = set(options, early_refresh(url)?, EntryOptions::early_refresh);
    let jitter = url.fraction("jitter", "a part from 0 to 1, as `0.1`", |part| part <= 1.0)?;
    Ok(set(options, jitter, EntryOptions::jitter))
}

/// Its `0` is not the `timeout`'s, which has no end: who names a time for what is not there wants it kept less long, not longer.
fn none_timeout(url: &StoreUrl) -> Result<Option<Timeout>> {
    const ALLOWED: &str =
        "seconds (`5`), a duration (`500ms`, `5s`, `1m30s`), `0` for not at all, or `never` for no end";
    url.read("none_timeout", ALLOWED, |text| match text.parse() {
        Ok(Timeout::After(duration)) => Some(Timeout::After(duration)),
        Ok(Timeout::Never) if text == "never" => Some(Timeout::Never),
        _ => (text == "0").then_some(Timeout::After(Duration::ZERO)),
    })
}

fn early_refresh(url: &StoreUrl) -> Result<Option<EarlyRefresh>> {
    const ALLOWED: &str = "`never`, `after:` and a part from 0 to 1 (`after:0.9`), or `xfetch:` and a beta over 0 (`xfetch:1.0`)";
    url.read("early_refresh", ALLOWED, |text| match text.split_once(':') {
        None => (text == "never").then_some(EarlyRefresh::Never),
        Some(("after", part)) => decimal(part).filter(|part| *part <= 1.0).map(EarlyRefresh::After),
        Some(("xfetch", beta)) => {
            decimal(beta).filter(|beta| *beta > 0.0).map(|beta| EarlyRefresh::XFetch { beta })
        }
        Some(_) => None,
    })
}

fn check_namespace(url: &StoreUrl) -> Result<()> {
    let Some(name) = url.text("namespace") else {
        return Ok(());
    };
    Namespace::root().child(name).map(drop).map_err(|error| {
        let label = url.label("namespace");
        config(format!("`{label}={}`: `{label}` is out of range", shown(name))).with_source(error)
    })
}
