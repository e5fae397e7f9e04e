//! What is started, and in which variables tests find it.

use std::any::Any;

use anyhow::{Context, Result, anyhow};
use larder_testbed::{
    Certificates, Memcached, MemcachedOptions, PgBouncer, Postgres, PostgresOptions, Redis, RedisCluster,
    RedisOptions, RedisSentinel, Run, Server, memcached_url,
};

use crate::state::Member;

/// One way to run a server, or several together.
struct Topology {
    name: &'static str,
    start: fn(&Run) -> Result<Started>,
}

/// Ends with this value.
pub(crate) struct Started {
    pub(crate) variables: Vec<(String, String)>,
    pub(crate) members: Vec<Member>,
    _servers: Box<dyn Any + Send>,
}

const TOPOLOGIES: &[Topology] = &[
    Topology { name: "postgres", start: postgres },
    Topology { name: "redis-sentinel", start: redis_sentinel },
    Topology { name: "redis-cluster", start: redis_cluster },
    Topology { name: "redis", start: redis },
    Topology { name: "redis-unix", start: redis_unix },
    Topology { name: "redis-tls", start: redis_tls },
    Topology { name: "memcached", start: memcached },
    Topology { name: "memcached-three", start: memcached_three },
    Topology { name: "memcached-unix", start: memcached_unix },
    Topology { name: "memcached-tls", start: memcached_tls },
];

pub(crate) fn names() -> Vec<&'static str> {
    TOPOLOGIES.iter().map(|topology| topology.name).collect()
}

/// Starts those of these names, or all if there are none, at the same time.
pub(crate) fn start(run: &Run, only: &[String]) -> Result<Vec<Started>> {
    let wanted = |topology: &&Topology| only.is_empty() || only.iter().any(|name| name == topology.name);
    std::thread::scope(|scope| {
        let wanted = TOPOLOGIES.iter().filter(wanted);
        let threads: Vec<_> =
            wanted.map(|topology| (topology.name, scope.spawn(|| (topology.start)(run)))).collect();
        let join = |(name, thread): (&str, std::thread::ScopedJoinHandle<'_, Result<Started>>)| {
            let result = thread.join().unwrap_or_else(|_| Err(anyhow!("it panicked; see above")));
            result.with_context(|| format!("cannot start {name}"))
        };
        threads.into_iter().map(join).collect()
    })
}

fn started<'a>(
    variables: Vec<(&str, String)>,
    servers: impl IntoIterator<Item = &'a Server>,
) -> (Vec<(String, String)>, Vec<Member>) {
    let variables = variables.into_iter().map(|(name, url)| (format!("LARDER_TEST_{name}"), url)).collect();
    (variables, servers.into_iter().filter_map(Member::of).collect())
}

/// Puts together what `started` found with the servers themselves.
fn keep((variables, members): (Vec<(String, String)>, Vec<Member>), servers: impl Any + Send) -> Started {
    Started { variables, members, _servers: Box::new(servers) }
}

fn redis(run: &Run) -> Result<Started> {
    let redis = Redis::start(run)?;
    Ok(keep(started(vec![("REDIS", redis.url())], [&*redis]), redis))
}

fn redis_unix(run: &Run) -> Result<Started> {
    let redis = Redis::start_with(run, &RedisOptions::new().unix())?;
    Ok(keep(started(vec![("REDIS_UNIX", redis.url())], [&*redis]), redis))
}

fn redis_tls(run: &Run) -> Result<Started> {
    let redis = Redis::start_with(run, &RedisOptions::new().tls(&Certificates::make(run)?))?;
    Ok(keep(started(vec![("REDIS_TLS", redis.url())], [&*redis]), redis))
}

fn redis_sentinel(run: &Run) -> Result<Started> {
    let all = RedisSentinel::start(run)?;
    let servers = all.nodes().iter().chain(all.sentinels()).map(|redis| &**redis);
    Ok(keep(started(vec![("REDIS_SENTINEL", all.url())], servers), all))
}

fn redis_cluster(run: &Run) -> Result<Started> {
    let all = RedisCluster::start(run)?;
    let servers = all.nodes().iter().map(|redis| &**redis);
    Ok(keep(started(vec![("REDIS_CLUSTER", all.url())], servers), all))
}

fn memcached(run: &Run) -> Result<Started> {
    let memcached = Memcached::start(run)?;
    Ok(keep(started(vec![("MEMCACHED", memcached.url())], [&*memcached]), memcached))
}

fn memcached_three(run: &Run) -> Result<Started> {
    let three = [Memcached::start(run)?, Memcached::start(run)?, Memcached::start(run)?];
    let url = memcached_url(&three.each_ref());
    Ok(keep(started(vec![("MEMCACHED_THREE", url)], three.iter().map(|memcached| &**memcached)), three))
}

fn memcached_unix(run: &Run) -> Result<Started> {
    let memcached = Memcached::start_with(run, &MemcachedOptions::new().unix())?;
    Ok(keep(started(vec![("MEMCACHED_UNIX", memcached.url())], [&*memcached]), memcached))
}

fn memcached_tls(run: &Run) -> Result<Started> {
    let memcached = Memcached::start_with(run, &MemcachedOptions::new().tls(&Certificates::make(run)?))?;
    Ok(keep(started(vec![("MEMCACHED_TLS", memcached.url())], [&*memcached]), memcached))
}

fn postgres(run: &Run) -> Result<Started> {
    let postgres = Postgres::start_with(run, &PostgresOptions::new().without_fsync())?;
    let pgbouncer = PgBouncer::start(run, &postgres)?;
    let variables = vec![
        ("POSTGRES", postgres.url()),
        ("POSTGRES_TLS", postgres.tls_url()),
        ("PGBOUNCER", pgbouncer.url()),
    ];
    // PgBouncer first: it would complain about a server that is gone.
    Ok(keep(started(variables, [&*postgres, &*pgbouncer]), (pgbouncer, postgres)))
}
