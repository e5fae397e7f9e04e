//! Every configuration name of Flask-Caching, and what becomes of it.

/// A name of Flask-Caching.
#[derive(Debug)]
pub(super) struct Name {
    pub(super) name: &'static str,
    pub(super) fate: Fate,
}

#[derive(Debug)]
pub(super) enum Fate {
    /// It does what it says there, by this means.
    #[cfg_attr(not(test), expect(dead_code, reason = "for the documentation, which tests compare with this"))]
    Honoured(&'static str),
    /// `False`, which is its default, is how it is here; `True` is refused.
    FalseOnly(&'static str),
    /// It is refused; this replaces it.
    Refused(&'static str),
}

use Fate::{FalseOnly, Honoured, Refused};

const fn name(name: &'static str, fate: Fate) -> Name {
    Name { name, fate }
}

const OPTIONS: &str = "each option is a setting of its own: `max_entries`, `max_bytes`, .., as `docs::configuration` lists them";
const KEYS: &str = "nothing to choose: keys are kept as they are, and those too long are hashed by BLAKE3";
const OWN_STORE: &str =
    "a store of your own: implement `CacheStore`, and register it by `Registry::register`";

pub(super) const NAMES: [Name; 29] = [
    name("CACHE_ARGS", Refused(OPTIONS)),
    name("CACHE_DEFAULT_TIMEOUT", Honoured("`timeout`")),
    name("CACHE_DIR", Honoured("the path in `file://<path>`")),
    name(
        "CACHE_ENABLE_SIGNALS",
        FalseOnly("`CacheBuilder::observer`, and the features `tracing` and `metrics`"),
    ),
    name("CACHE_FILE_HASH_METHOD", Refused(KEYS)),
    name("CACHE_GCS_BUCKET", Refused(OWN_STORE)),
    name("CACHE_HASH_METHOD", Refused(KEYS)),
    name(
        "CACHE_IGNORE_ERRORS",
        FalseOnly("`explicit_errors=miss` for reads; what could not be deleted is always an error"),
    ),
    name("CACHE_KEY_PREFIX", Honoured("`namespace`")),
    name("CACHE_MEMCACHED_PASSWORD", Honoured("`password`, for ASCII authentication (`memcached -Y`)")),
    name("CACHE_MEMCACHED_SERVERS", Honoured("the servers in `memcached://<servers>`")),
    name("CACHE_MEMCACHED_USERNAME", Honoured("`username`, for ASCII authentication (`memcached -Y`)")),
    name("CACHE_NO_NULL_WARNING", Honoured("`warn`, the other way round")),
    name("CACHE_OPTIONS", Refused(OPTIONS)),
    name("CACHE_REDIS_CLUSTER", Honoured("the servers in `redis+cluster://<servers>`")),
    name("CACHE_REDIS_DB", Honoured("`database`")),
    name("CACHE_REDIS_HOST", Honoured("the host in `redis://<host>:<port>`")),
    name("CACHE_REDIS_PASSWORD", Honoured("`password`")),
    name("CACHE_REDIS_PORT", Honoured("the port in `redis://<host>:<port>`")),
    name("CACHE_REDIS_SENTINELS", Honoured("the sentinels in `redis+sentinel://<sentinels>/<master>`")),
    name("CACHE_REDIS_SENTINEL_MASTER", Honoured("the master in `redis+sentinel://<sentinels>/<master>`")),
    name("CACHE_REDIS_SENTINEL_PASSWORD", Honoured("`sentinel_password`")),
    name("CACHE_REDIS_URL", Honoured("the URL")),
    name("CACHE_REDIS_USERNAME", Honoured("`username`")),
    name("CACHE_SERIALIZER", Refused("`codec=messagepack` or `codec=json`")),
    name("CACHE_SOURCE_CHECK", FalseOnly("a `namespace` with the version of your code in it")),
    name("CACHE_THRESHOLD", Honoured("`max_entries`")),
    name("CACHE_TYPE", Honoured("the scheme of the URL")),
    name("CACHE_UWSGI_NAME", Refused(OWN_STORE)),
];
