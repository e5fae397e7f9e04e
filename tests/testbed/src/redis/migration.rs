//! Moving a slot from one primary of a cluster to another, as the specification has it.

use anyhow::{Result, ensure};

use super::RedisCluster;
use crate::wire::redis::Reply;

impl RedisCluster {
    /// Moves a slot and its keys to the primary `to`.
    pub fn migrate_slot(&self, slot: u16, to: usize) -> Result<()> {
        self.begin_migration(slot, to)?;
        self.finish_migration(slot, to)
    }

    /// Opens the slot on both sides: from now on its owner answers `ASK` for keys that it does not have.
    pub fn begin_migration(&self, slot: u16, to: usize) -> Result<()> {
        let from = self.owner_of(slot)?;
        ensure!(from != to, "slot {slot} is there already");
        let slot = slot.to_string();
        self.nodes[to].must(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &self.ids[from]])?;
        self.nodes[from].must(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &self.ids[to]])?;
        Ok(())
    }

    /// Moves the keys of a slot that was opened, and tells all primaries who has it now.
    pub fn finish_migration(&self, slot: u16, to: usize) -> Result<()> {
        let (from, slot) = (self.owner_of(slot)?, slot.to_string());
        let port = self.nodes[to].port().to_string();
        loop {
            let keys = self.nodes[from].must(&["CLUSTER", "GETKEYSINSLOT", &slot, "100"])?;
            let keys: Vec<&str> = keys.list().iter().filter_map(Reply::text).collect();
            if keys.is_empty() {
                break;
            }
            let mut words = vec!["MIGRATE", "127.0.0.1", &port, "", "0", "2000", "REPLACE", "KEYS"];
            words.extend(keys);
            self.nodes[from].must(&words)?;
        }
        // The new owner first: else, for a moment, nobody would have it.
        let mut order = vec![to, from];
        order.extend(self.primaries()?.into_iter().filter(|node| ![to, from].contains(node)));
        for node in order {
            self.nodes[node].must(&["CLUSTER", "SETSLOT", &slot, "NODE", &self.ids[to]])?;
        }
        Ok(())
    }
}
