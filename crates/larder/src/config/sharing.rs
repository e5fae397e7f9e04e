//! Caches that share a store, or a place: what they say of the store must be one thing, and they must not share keys.

use std::collections::{BTreeMap, BTreeSet};

use larder_core::Result;

use super::{CacheConfig, caches::table, config};
use crate::settings::CACHE_NAMES;

pub(super) fn check(caches: &BTreeMap<String, CacheConfig>) -> Result<()> {
    for (name, one) in caches {
        let shares_with_one =
            caches.iter().any(|(other_name, other)| other_name != name && share(one, other));
        if one.shares_store() && !shares_with_one {
            return Err(config(format!(
                "{} has `share_store = true`, but shares with none: no other with `share_store = true` has the same URL",
                table(name)
            )));
        }
        for (other_name, other) in caches.range(..name.clone()) {
            check_pair(other_name, other, name, one)?;
        }
    }
    Ok(())
}

fn share(one: &CacheConfig, other: &CacheConfig) -> bool {
    one.shares_store() && other.shares_store() && one.url.is_same_address(&other.url)
}

fn check_pair(name: &str, one: &CacheConfig, other_name: &str, other: &CacheConfig) -> Result<()> {
    let both = format!("{} and {}", table(name), table(other_name));
    if share(one, other)
        && let Some(setting) = difference(one, other)
    {
        return Err(config(format!(
            "{both} share a store, but not the same `{setting}`: give each the same, or no `share_store`"
        )));
    }
    // Two stores in memory have nothing to do with each other; two in one directory have.
    let apart = ["database", "prefix", "schema", "table"];
    let one_place = share(one, other)
        || one.url.has_address()
            && one.url.is_same_address(&other.url)
            && apart.iter().all(|name| one.url.text(name) == other.url.text(name));
    if one_place && one.namespace() == other.namespace() {
        return Err(config(format!(
            "{both} keep their entries in one place under the same keys: give each a `namespace` of its own"
        )));
    }
    Ok(())
}

/// The first setting of the store that is not the same in both.
fn difference(one: &CacheConfig, other: &CacheConfig) -> Option<String> {
    fn own(config: &CacheConfig) -> BTreeSet<(&str, &str)> {
        let own = config.url.given().iter().filter(|given| !CACHE_NAMES.contains(&given.name.as_str()));
        own.map(|given| (given.name.as_str(), given.value.as_str())).collect()
    }
    own(one).symmetric_difference(&own(other)).next().map(|(name, _)| (*name).to_owned())
}
