//! A Redis Cluster: three primaries, three replicas.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::slots::{SLOTS, Seen};
use super::{Redis, RedisOptions, poll};
use crate::ports::BUS_OFFSET;
use crate::run::Run;

const PRIMARIES: usize = 3;
const START: Duration = Duration::from_secs(30);

/// Six nodes, of which the first three begin as primaries, each with a third of the slots; node `n + 3` follows node `n`.
/// A node is held for down after 1.5 s.
#[derive(Debug)]
pub struct RedisCluster {
    pub(super) nodes: Vec<Redis>,
    pub(super) ids: Vec<String>,
}

impl RedisCluster {
    /// Starts all, and returns once every node says that the cluster is whole.
    pub fn start(run: &Run) -> Result<Self> {
        let node = || Redis::start_with(run, &node_options());
        let nodes = (0..2 * PRIMARIES).map(|_| node()).collect::<Result<Vec<_>>>()?;
        let id = |node: &Redis| {
            let id = node.must(&["CLUSTER", "MYID"])?;
            id.text().map(str::to_owned).context("a node without an id")
        };
        let ids = nodes.iter().map(id).collect::<Result<_>>()?;
        let cluster = Self { nodes, ids };
        cluster.form()?;
        cluster.wait_until_ok(START)?;
        Ok(cluster)
    }

    fn form(&self) -> Result<()> {
        let share = usize::from(SLOTS).div_ceil(PRIMARIES);
        for (index, node) in self.nodes.iter().enumerate() {
            // Epochs that differ from the start save the nodes from finding out about their conflict.
            node.must(&["CLUSTER", "SET-CONFIG-EPOCH", &(index + 1).to_string()])?;
        }
        let slots: Vec<String> = (0..SLOTS).map(|slot| slot.to_string()).collect();
        for (slots, node) in slots.chunks(share).zip(&self.nodes) {
            let mut words = vec!["CLUSTER", "ADDSLOTS"];
            words.extend(slots.iter().map(String::as_str));
            node.must(&words)?;
        }
        // Everyone meets everyone: gossip alone takes seconds.
        for node in &self.nodes {
            for other in &self.nodes {
                let (port, bus) = (other.port().to_string(), (other.port() + BUS_OFFSET).to_string());
                node.must(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus])?;
            }
        }
        for (replica, primary) in self.nodes[PRIMARIES..].iter().zip(&self.ids) {
            poll(START, || replica.must(&["CLUSTER", "REPLICATE", primary]))?;
        }
        Ok(())
    }

    /// Its address for an application: the nodes that began as primaries.
    pub fn url(&self) -> String {
        let addresses: Vec<String> =
            self.nodes[..PRIMARIES].iter().map(|node| node.address().to_string()).collect();
        format!("redis+cluster://{}", addresses.join(","))
    }

    /// The nodes, whatever their part is now.
    pub fn nodes(&self) -> &[Redis] {
        &self.nodes
    }

    /// The nodes that have slots, as the first running node sees it.
    pub fn primaries(&self) -> Result<Vec<usize>> {
        let seen = seen_by(self.running()?)?;
        seen.iter().filter(|seen| seen.is_primary && seen.count() > 0).map(|seen| self.index(seen)).collect()
    }

    /// The node that has a slot, as the first running node sees it.
    pub fn owner_of(&self, slot: u16) -> Result<usize> {
        let seen = seen_by(self.running()?)?;
        let owner = seen.iter().find(|seen| seen.is_primary && seen.has(slot));
        self.index(owner.with_context(|| format!("nobody has slot {slot}"))?)
    }

    /// Returns once every running node says `cluster_state:ok`, and sees every slot with the same running primary.
    pub fn wait_until_ok(&self, within: Duration) -> Result<()> {
        poll(within, || {
            let mut agreed: Option<Vec<usize>> = None;
            for node in self.nodes.iter().filter(|node| node.pid().is_some()) {
                let info = node.must(&["CLUSTER", "INFO"])?;
                let is_ok = info.text().is_some_and(|info| info.contains("cluster_state:ok"));
                ensure!(is_ok, "{} does not say cluster_state:ok", node.name());
                let owners = self.owners_as_seen_by(node)?;
                let agree = agreed.as_ref().is_none_or(|others| *others == owners);
                ensure!(agree, "{} sees other owners of slots than the rest", node.name());
                agreed = Some(owners);
            }
            agreed.map(drop).context("no node runs")
        })
    }

    /// Of each slot; an error if one has none, or one that is down, or if a running node is not connected.
    fn owners_as_seen_by(&self, node: &Redis) -> Result<Vec<usize>> {
        let seen = seen_by(node)?;
        let mut owners = vec![usize::MAX; usize::from(SLOTS)];
        for seen in &seen {
            let index = self.index(seen)?;
            let runs = self.nodes[index].pid().is_some();
            ensure!(
                !runs || seen.is_well,
                "{} is not connected to {}",
                node.name(),
                self.nodes[index].name()
            );
            let known = runs || !seen.is_primary || seen.count() == 0;
            ensure!(known, "{} is down and has slots", self.nodes[index].name());
            for slot in seen.slots.iter().cloned().flatten() {
                owners[usize::from(slot)] = index;
            }
        }
        let running = self.nodes.iter().filter(|node| node.pid().is_some()).count();
        ensure!(seen.len() >= running, "{} knows {} nodes", node.name(), seen.len());
        ensure!(!owners.contains(&usize::MAX), "{} sees slots without an owner", node.name());
        Ok(owners)
    }

    /// Makes a replica of `primary` the primary in its place, and returns its number once all nodes agree.
    pub fn fail_over(&self, primary: usize) -> Result<usize> {
        let seen = seen_by(&self.nodes[primary])?;
        let follows = |seen: &&Seen| seen.follows.as_ref() == Some(&self.ids[primary]) && seen.is_well;
        let replica = seen.iter().find(follows).context("the primary has no replica")?;
        let replica = self.index(replica)?;
        self.nodes[replica].must(&["CLUSTER", "FAILOVER"])?;
        poll(START, || {
            let role = self.nodes[replica].must(&["ROLE"])?;
            let role = role.list().first().and_then(|role| role.text());
            ensure!(role == Some("master"), "{} is {role:?}", self.nodes[replica].name());
            Ok(())
        })?;
        self.wait_until_ok(START)?;
        Ok(replica)
    }

    pub(super) fn running(&self) -> Result<&Redis> {
        let running = self.nodes.iter().find(|node| node.pid().is_some() && node.answers());
        running.context("no node answers")
    }

    pub(super) fn index(&self, seen: &Seen) -> Result<usize> {
        let found = self.nodes.iter().position(|node| node.port() == seen.port);
        found.with_context(|| format!("the node on port {} is none of ours", seen.port))
    }
}

fn seen_by(node: &Redis) -> Result<Vec<Seen>> {
    let nodes = node.must(&["CLUSTER", "NODES"])?;
    nodes.text().unwrap_or_default().lines().map(Seen::parse).collect()
}

fn node_options() -> RedisOptions {
    RedisOptions::new()
        .named("cluster")
        .set("cluster-enabled", "yes")
        .set("cluster-node-timeout", "1500")
        // Else a replica may find itself too old to follow a primary that was down for long.
        .set("cluster-replica-validity-factor", "0")
        .set("repl-diskless-sync", "yes")
        .set("repl-diskless-sync-delay", "0")
        .set("repl-ping-replica-period", "1")
}
