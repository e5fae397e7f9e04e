//! Redis behind Sentinel: a primary, two replicas, three sentinels.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::{Redis, RedisOptions, poll};
use crate::run::Run;
use crate::wire::redis::Reply;

const SERVICE: &str = "larder";
const START: Duration = Duration::from_secs(30);

/// Three nodes, of which the first begins as the primary, and three sentinels with a quorum of two, who hold a node for
/// down after 500 ms.
#[derive(Debug)]
pub struct RedisSentinel {
    nodes: Vec<Redis>,
    sentinels: Vec<Redis>,
}

impl RedisSentinel {
    /// Starts all, and returns once the replicas are connected and the sentinels know each other.
    pub fn start(run: &Run) -> Result<Self> {
        let primary = Redis::start_with(run, &node_options())?;
        let port = primary.port().to_string();
        let replica = || {
            let options = node_options().set("replicaof", &format!("127.0.0.1 {port}"));
            Redis::start_with(run, &options)
        };
        let nodes = vec![primary, replica()?, replica()?];
        // A sentinel looks for replicas when it begins, and then only every 10 s.
        poll(START, || replicas_are_connected(&nodes[0]))?;
        let sentinel = || Redis::start_with(run, &sentinel_options(&port));
        let sentinels = vec![sentinel()?, sentinel()?, sentinel()?];
        let all = Self { nodes, sentinels };
        all.wait_until_whole(START)?;
        Ok(all)
    }

    /// Its address for an application.
    pub fn url(&self) -> String {
        let addresses: Vec<String> = self.sentinels.iter().map(|s| s.address().to_string()).collect();
        format!("redis+sentinel://{}/{SERVICE}", addresses.join(","))
    }

    /// The nodes, whatever their part is now.
    pub fn nodes(&self) -> &[Redis] {
        &self.nodes
    }

    /// The sentinels.
    pub fn sentinels(&self) -> &[Redis] {
        &self.sentinels
    }

    /// Which node is the primary, as the first sentinel that answers says.
    pub fn primary(&self) -> Result<usize> {
        let words = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE];
        let reply = self.running_sentinel()?.must(&words)?;
        let port = reply.list().get(1).and_then(Reply::text).context("the sentinel knows no primary")?;
        let found = self.nodes.iter().position(|node| node.port().to_string() == port);
        found.with_context(|| format!("the sentinel's primary, on port {port}, is no node of ours"))
    }

    /// Makes another node the primary, and returns once that accepts writes.
    pub fn fail_over(&self) -> Result<()> {
        let old = self.primary()?;
        self.running_sentinel()?.must(&["SENTINEL", "FAILOVER", SERVICE])?;
        self.wait_for_new_primary(old, Duration::from_secs(15)).map(drop)
    }

    /// Returns once the sentinels name another primary than `old`, and it accepts writes: the moment from which an
    /// application can be served.
    pub fn wait_for_new_primary(&self, old: usize, within: Duration) -> Result<usize> {
        poll(within, || {
            let primary = self.primary()?;
            ensure!(primary != old, "{} is still the primary", self.nodes[old].name());
            let role = self.nodes[primary].must(&["ROLE"])?;
            let role = role.list().first().and_then(Reply::text);
            ensure!(
                role == Some("master"),
                "{} is to be the primary, but is {role:?}",
                self.nodes[primary].name()
            );
            Ok(primary)
        })
    }

    /// Returns once there are a primary and two replicas that follow it, and every sentinel knows them and the others: also one
    /// that slept through a fail-over, and believes in the old primary until it is told.
    pub fn wait_until_whole(&self, within: Duration) -> Result<()> {
        poll(within, || {
            let primary = &self.nodes[self.primary()?];
            let port = primary.port().to_string();
            replicas_are_connected(primary)?;
            self.sentinels.iter().try_for_each(|sentinel| {
                let said = sentinel.must(&["SENTINEL", "MASTER", SERVICE])?;
                let fact = |name: &str| {
                    let mut pairs = said.list().chunks_exact(2);
                    pairs.find_map(|pair| (pair[0].text() == Some(name)).then(|| pair[1].text())?)
                };
                let (flags, replicas, others) = ("flags", "num-slaves", "num-other-sentinels");
                let facts = [("port", port.as_str()), (flags, "master"), (replicas, "2"), (others, "2")];
                for (name, wanted) in facts {
                    let is = fact(name);
                    ensure!(is == Some(wanted), "{} sees {name} {is:?}, not {wanted}", sentinel.name());
                }
                Ok(())
            })
        })
    }

    fn running_sentinel(&self) -> Result<&Redis> {
        let found = self.sentinels.iter().find(|sentinel| sentinel.pid().is_some() && sentinel.answers());
        found.context("no sentinel answers")
    }
}

fn replicas_are_connected(primary: &Redis) -> Result<()> {
    let info = primary.must(&["INFO", "replication"])?;
    let online = info.text().unwrap_or_default().matches("state=online").count();
    if online != 2 {
        bail!("{online} of 2 replicas are connected to {}", primary.name());
    }
    Ok(())
}

/// Replicas copy at once, and notice quickly that the primary is gone.
fn node_options() -> RedisOptions {
    RedisOptions::new()
        .named("node")
        .set("repl-diskless-sync", "yes")
        .set("repl-diskless-sync-delay", "0")
        .set("repl-ping-replica-period", "1")
}

fn sentinel_options(port: &str) -> RedisOptions {
    RedisOptions::new()
        .named("sentinel")
        .sentinel()
        .set("sentinel", &format!("monitor {SERVICE} 127.0.0.1 {port} 2"))
        .set("sentinel", &format!("down-after-milliseconds {SERVICE} 500"))
        .set("sentinel", &format!("failover-timeout {SERVICE} 3000"))
        .set("sentinel", &format!("parallel-syncs {SERVICE} 2"))
}
