//! The clients, as a cache needs them, and the tasks that keep them going.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use fred::{
    clients::{Client, Pool},
    types::{
        RespVersion,
        config::{
            ClusterDiscoveryPolicy, Config, ConnectionConfig, PerformanceConfig, ReconnectPolicy,
            ReplicaConfig, ReplicaFilter, Server, ServerConfig, TcpConfig,
        },
    },
};
use larder_core::{Result, Spawn as _, SystemClock, TokioSpawn, async_trait};
use tokio::sync::watch;

use crate::{
    address::{Address, Host, Topology},
    config::ReadFrom,
    engine::Engine,
    lane::{Lane, ReadReplicas},
    place::{Care, Place, keep_running},
    replica,
    settings::{Settings, TlsFiles},
};

/// What the client rests between two attempts to connect, in milliseconds: twice as long each time.
const SHORTEST_REST: u32 = 10;
const LONGEST_REST: u32 = 500;
/// What is added at random, so that not all clients come at once.
const JITTER: u32 = 20;
/// How long a client may look for the primary behind Sentinel.
const LONGEST_DOWN: Duration = Duration::from_secs(3);

/// Uses no replica: reads go to the primary.
struct NoReplicas;

#[async_trait]
impl ReplicaFilter for NoReplicas {
    async fn filter(&self, _primary: &Server, _replica: &Server) -> bool {
        false
    }
}

/// Makes the clients and starts them.
pub(crate) fn open(
    settings: Settings,
    address: &Address,
    files: &TlsFiles,
    sentinel: (Option<String>, Option<String>),
    clock: &Arc<SystemClock>,
) -> Result<Engine> {
    let topology = address.topology.clone();
    let config = client_config(address, files, sentinel)?;
    let (running, ended) = watch::channel(());
    let care = care(&settings, &topology);
    let lane = || {
        let replicas = replicas(&settings, &topology);
        let (another, made) = ((config.clone(), settings.clone(), replicas.clone()), AtomicUsize::new(0));
        let another_clock = Arc::clone(clock);
        let another = move || {
            let (config, settings, replicas) = &another;
            let config = rotated(config, made.fetch_add(1, Ordering::Relaxed));
            // It listens before the client runs: no connection goes uncounted.
            Lane::new(client(&config, settings), settings, Arc::clone(&another_clock), replicas.clone())
        };
        let place = Arc::new(Place::new(another()));
        let task = keep_running(Arc::clone(&place), care, another, Arc::clone(clock), ended.clone());
        TokioSpawn.spawn(Box::pin(task))?;
        if let Some(ReadReplicas::Of(replica)) = replicas {
            let (primary, clock) = (Arc::clone(&place), Arc::clone(clock));
            let task =
                replica::follow(primary, replica, config.clone(), settings.clone(), clock, ended.clone());
            TokioSpawn.spawn(Box::pin(task))?;
        }
        Ok(place)
    };
    let lanes = (0..settings.connections).map(|_| lane()).collect::<Result<Vec<_>>>()?;
    let waiting = if settings.wait_replicas > 0 { Some(lane()?) } else { None };
    Engine::new(settings, topology, Arc::clone(clock), lanes, waiting, Some(running))
}

/// Takes over the clients of an application, which keeps them going.
pub(crate) fn adopt(
    settings: Settings,
    topology: Topology,
    pool: &Pool,
    clock: &Arc<SystemClock>,
) -> Result<Engine> {
    let replicas = replicas(&settings, &topology);
    let lane = |client: &Client| {
        let lane = Lane::new(client.clone(), &settings, Arc::clone(clock), replicas.clone());
        Arc::new(Place::new(lane))
    };
    let lanes = pool.clients().iter().map(lane).collect();
    Engine::new(settings, topology, Arc::clone(clock), lanes, None, None)
}

/// When clients are given up. One server is waited for, however long: what was written to it comes in order over one connection.
fn care(settings: &Settings, topology: &Topology) -> Care {
    match topology {
        Topology::Alone(_) | Topology::Unix(_) => Care::NONE,
        Topology::Cluster(_) => Care { when_deaf: true, when_down: None },
        Topology::Sentinel { .. } => {
            Care { when_deaf: true, when_down: Some(LONGEST_DOWN.max(settings.connect_timeout * 3)) }
        }
    }
}

/// The same with another sentinel first.
fn rotated(config: &Config, by: usize) -> Config {
    let mut config = config.clone();
    if let ServerConfig::Sentinel { hosts, .. } = &mut config.server {
        let first = by % hosts.len().max(1);
        hosts.rotate_left(first);
    }
    config
}

/// From which replicas a new lane is to read.
fn replicas(settings: &Settings, topology: &Topology) -> Option<ReadReplicas> {
    match settings.read_from {
        ReadFrom::Primary => None,
        ReadFrom::Replica if topology.is_cluster() => Some(ReadReplicas::OfCluster),
        ReadFrom::Replica => Some(ReadReplicas::Of(Arc::default())),
    }
}

fn client_config(
    address: &Address,
    files: &TlsFiles,
    (sentinel_username, sentinel_password): (Option<String>, Option<String>),
) -> Result<Config> {
    let server = |host: &Host| Server::new(host.name.clone(), host.port);
    let servers = match &address.topology {
        Topology::Alone(host) => ServerConfig::Centralized { server: server(host) },
        Topology::Unix(path) => ServerConfig::Unix { path: path.clone() },
        Topology::Sentinel { sentinels, service } => ServerConfig::Sentinel {
            hosts: sentinels.iter().map(server).collect(),
            service_name: service.clone(),
            username: sentinel_username,
            password: sentinel_password,
        },
        Topology::Cluster(hosts) => ServerConfig::Clustered {
            hosts: hosts.iter().map(server).collect(),
            policy: ClusterDiscoveryPolicy::UseCache,
        },
    };
    let mut config = Config {
        // A server that is down at the start is like one that is down later.
        fail_fast: false,
        server: servers,
        username: address.username.clone(),
        password: address.password.clone(),
        database: address.database,
        version: RespVersion::RESP2,
        ..Config::default()
    };
    if address.tls {
        set_tls(&mut config, files, &address.topology)?;
    }
    Ok(config)
}

#[cfg(feature = "tls")]
fn set_tls(config: &mut Config, files: &TlsFiles, topology: &Topology) -> Result<()> {
    config.tls = Some(crate::tls::config(files, topology)?);
    Ok(())
}

#[cfg(not(feature = "tls"))]
fn set_tls(_: &mut Config, _: &TlsFiles, _: &Topology) -> Result<()> {
    Err(larder_core::Error::new(
        larder_core::ErrorKind::Config,
        "the Redis address: `rediss` needs the feature `tls` of larder-redis, which is switched off",
    ))
}

pub(crate) fn client(config: &Config, settings: &Settings) -> Client {
    let performance = PerformanceConfig {
        default_command_timeout: settings.operation_timeout,
        ..PerformanceConfig::default()
    };
    let replica = ReplicaConfig {
        filter: match settings.read_from {
            ReadFrom::Primary => Some(Arc::new(NoReplicas)),
            ReadFrom::Replica => None,
        },
        // After it has connected, the client asks a server for its replicas, wanted or not. If the answer is late, it goes on, and
        // takes that answer for the one to the next command, and so on: a connection that begins like that is not to be used.
        // The servers of a cluster are not asked; there a replica that is down would end the client.
        ignore_reconnection_errors: config.server.is_clustered(),
        ..ReplicaConfig::default()
    };
    let connection = ConnectionConfig {
        connection_timeout: settings.connect_timeout,
        internal_command_timeout: settings.connect_timeout,
        // Each command says how often it may be sent.
        max_command_attempts: 1,
        // To follow a key that is on its way, the client sends `ASKING` and takes the next answer for that to it: the answer to some
        // command in flight. From then on each gets the answer to another one.
        max_redirections: 0,
        // Any other bound leaks its count, and then the client hangs.
        max_command_buffer_len: 0,
        unresponsive: settings.unresponsive(),
        replica,
        tcp: TcpConfig { nodelay: Some(true), ..TcpConfig::default() },
        // The client would hand such an answer to everything in flight on the connection, as if it were each one's own.
        reconnect_errors: Vec::new(),
        ..ConnectionConfig::default()
    };
    let mut policy = ReconnectPolicy::new_exponential(0, SHORTEST_REST, LONGEST_REST, 2);
    policy.set_jitter(JITTER);
    Client::new(config.clone(), Some(performance), Some(connection), Some(policy))
}
