//! Addresses of servers, as Flask-Caching names their parts.

use larder_core::{Error, Result};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::{Variables, config, whole};
use crate::{StoreUrl, config::within, settings::shown};

/// `CACHE_REDIS_URL`, or host and port, which it would make meaningless.
pub(super) fn redis(given: &Variables) -> Result<StoreUrl> {
    if let Some(text) = given.get("CACHE_REDIS_URL") {
        for name in ["CACHE_REDIS_HOST", "CACHE_REDIS_PORT"] {
            if given.get(name).is_some() {
                return Err(config(format!(
                    "`{name}` and `CACHE_REDIS_URL` both say where the server is: leave one"
                )));
            }
        }
        let url: StoreUrl = text.parse().map_err(|error| within("`CACHE_REDIS_URL`", error))?;
        if !matches!(url.scheme(), "redis" | "rediss" | "unix") {
            return Err(config(format!(
                "`CACHE_REDIS_URL` begins with `{}://`: it must begin with `redis://`, `rediss://` or `unix://`",
                url.scheme()
            )));
        }
        return Ok(url);
    }
    let host = given.get("CACHE_REDIS_HOST").unwrap_or("localhost");
    let is_name = host.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c));
    let is_address = host.chars().all(|c| c.is_ascii_hexdigit() || ":.".contains(c));
    if host.is_empty() || !is_name && !is_address {
        return Err(must_be("CACHE_REDIS_HOST", host, "the name or address of a host"));
    }
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    let port = whole("CACHE_REDIS_PORT", given.get("CACHE_REDIS_PORT").unwrap_or("6379"), "from 1 to 65535")?;
    parsed("CACHE_REDIS_PORT", &port, &format!("redis://{host}:{port}"), "a whole number from 1 to 65535")
}

pub(super) fn sentinel(given: &Variables) -> Result<StoreUrl> {
    let name = "CACHE_REDIS_SENTINELS";
    let sentinels = given.get(name).unwrap_or("127.0.0.1:26379");
    let hosts = listed(name, sentinels)?;
    let master = given.get("CACHE_REDIS_SENTINEL_MASTER").unwrap_or("mymaster");
    if master.is_empty() {
        return Err(must_be("CACHE_REDIS_SENTINEL_MASTER", master, "the name that the sentinels know it by"));
    }
    let master = utf8_percent_encode(master, NON_ALPHANUMERIC);
    parsed(name, sentinels, &format!("redis+sentinel://{hosts}/{master}"), LIST)
}

pub(super) fn cluster(given: &Variables) -> Result<StoreUrl> {
    let name = "CACHE_REDIS_CLUSTER";
    let Some(servers) = given.get(name).filter(|servers| !servers.is_empty()) else {
        return Err(config(format!("`CACHE_TYPE=RedisClusterCache` needs `{name}`: {LIST}")));
    };
    parsed(name, servers, &format!("redis+cluster://{}", listed(name, servers)?), LIST)
}

pub(super) fn memcached(given: &Variables) -> Result<StoreUrl> {
    let name = "CACHE_MEMCACHED_SERVERS";
    let servers = given.get(name).unwrap_or("127.0.0.1:11211");
    parsed(name, servers, &format!("memcached://{}", listed(name, servers)?), LIST)
}

const LIST: &str = "servers with commas between, as `10.0.0.1:7000,10.0.0.2:7000`";

/// A list that has nothing in it but hosts and ports: no user, no path, no settings.
fn listed(name: &str, text: &str) -> Result<String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._:,[]".contains(c);
    let list: String = text.split(',').map(str::trim).collect::<Vec<_>>().join(",");
    if list.is_empty() || !list.chars().all(is_plain) {
        return Err(must_be(name, text, LIST));
    }
    Ok(list)
}

fn parsed(name: &str, given: &str, url: &str, allowed: &str) -> Result<StoreUrl> {
    url.parse().map_err(|error: Error| must_be(name, given, allowed).with_source(error))
}

fn must_be(name: &str, given: &str, allowed: &str) -> Error {
    config(format!("`{name}={}`: `{name}` must be {allowed}", shown(given)))
}
