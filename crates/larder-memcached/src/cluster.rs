//! The servers of a store, and which of them a key belongs to.

use std::{
    hash::BuildHasher as _,
    sync::{Arc, atomic::AtomicUsize},
};

use foldhash::fast::FixedState;

use crate::{config::Config, connect::Target, lane::Lane, ring::Ring, shared::Shared};

/// Failed attempts to connect, in a row, after which a server counts as gone: one may be chance.
const GONE: u32 = 2;

/// All connections of a store.
pub(crate) struct Cluster {
    pub(crate) servers: Vec<Server>,
    ring: Ring,
    rehash: bool,
    lanes: usize,
}

pub(crate) struct Server {
    pub(crate) name: String,
    pub(crate) lanes: Vec<Arc<Lane>>,
}

impl Cluster {
    pub(crate) fn new(config: &Config) -> Self {
        let in_flight = Arc::new(AtomicUsize::new(0));
        let servers = config.address.servers.iter().map(|server| {
            let name = server.name();
            let settings = Arc::new(config.settings(name.clone()));
            let target = Target {
                server: server.clone(),
                name: name.clone(),
                credentials: config.address.credentials.clone(),
                tls: config.tls.clone(),
            };
            let failures = Arc::default();
            let lane = || {
                let shared = Shared::new(
                    target.clone(),
                    Arc::clone(&settings),
                    Arc::clone(&failures),
                    Arc::clone(&in_flight),
                );
                Arc::new(Lane::new(shared))
            };
            Server { name, lanes: (0..config.lanes).map(|_| lane()).collect() }
        });
        Self {
            servers: servers.collect(),
            ring: Ring::new(config.address.servers.iter().map(crate::address::Server::place)),
            rehash: config.rehash,
            lanes: config.lanes,
        }
    }

    /// The server that answers for a key now.
    pub(crate) fn server_of(&self, key: &str) -> usize {
        if self.servers.len() == 1 {
            return 0;
        }
        let mut walk = self.ring.walk(key);
        let own = walk.next().expect("every server has points on the ring");
        if !self.rehash || !self.servers[own].is_gone() {
            return own;
        }
        walk.find(|at| !self.servers[*at].is_gone()).unwrap_or(own)
    }

    /// A number for the connection that carries all operations on a key, below [`Cluster::connections`].
    pub(crate) fn connection_of(&self, key: &str) -> usize {
        let lane = match self.lanes {
            1 => 0,
            lanes => usize::try_from(FixedState::default().hash_one(key) >> 32).unwrap_or(0) % lanes,
        };
        self.server_of(key) * self.lanes + lane
    }

    pub(crate) fn connections(&self) -> usize {
        self.servers.len() * self.lanes
    }

    pub(crate) fn lane(&self, connection: usize) -> &Arc<Lane> {
        &self.servers[connection / self.lanes].lanes[connection % self.lanes]
    }
}

impl Server {
    fn is_gone(&self) -> bool {
        self.lanes[0].failures() >= GONE
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for lane in self.servers.iter().flat_map(|server| &server.lanes) {
            lane.close();
        }
    }
}
