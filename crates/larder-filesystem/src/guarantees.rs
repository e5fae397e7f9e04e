//! What the store promises as configured, in words.

use larder_core::{Guarantees, Hazard};

use crate::config::{Bounds, Durability};

pub(crate) fn of(durability: Durability, bounds: &Bounds) -> Guarantees {
    let said = Guarantees::new()
        .promise("a write that returned `Ok` is seen by every process of this machine, and outlives the process")
        .promise(
            "`add`, `replace`, `increment` and `touch` are exact among the processes of one machine: they lock files in \
             the directory, and readers meet the old entry or the new one, never half of one",
        )
        .promise("a value that is damaged or that another program put there is a miss, found by its checksum")
        .weakened(
            Hazard::Processes,
            "the locks hold on one machine: on NFS or another network file system, only one machine may use the \
             directory",
            None,
        )
        .weakened(
            Hazard::Eviction,
            format!(
                "over {} entries or {} bytes of disk space, what has expired goes, then what was written longest ago; \
                 several processes together may exceed that until the next sweep of one of them",
                bounds.max_entries, bounds.max_bytes
            ),
            None,
        )
        .weakened(
            Hazard::ClockSkew,
            "entries end by the clock of the machine: set back, they live longer; set forward, shorter",
            None,
        )
        .weakened(Hazard::Rollback, "a directory restored from a backup brings old entries back", None);
    match durability {
        Durability::Data => said.promise("what was acknowledged survives a power loss"),
        Durability::None => said.weakened(
            Hazard::PowerLoss,
            "what was written in the last seconds may be lost, with what it replaced, and what was deleted, cleared or \
             replaced in that time may be back",
            Some("durability = data".into()),
        ),
    }
}
