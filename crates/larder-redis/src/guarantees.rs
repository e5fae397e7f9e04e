//! What holds on a Redis as it is configured, in words.

use larder_core::{Guarantees, Hazard};

use crate::{address::Topology, config::ReadFrom, settings::Settings};

pub(crate) fn of(settings: &Settings, topology: &Topology) -> Guarantees {
    let distrusts = settings.distrusts;
    let has_failover = matches!(topology, Topology::Sentinel { .. } | Topology::Cluster(_));
    let wait = || Some(format!("wait_replicas = {}", settings.wait_replicas.max(1)).into());
    let distrust = || (!topology.is_cluster()).then(|| "on_rollback = distrust".into());
    let mut said = Guarantees::new();
    said = match settings.read_from {
        ReadFrom::Primary => said.promise(
            "an acknowledged write is seen by every process at once, for as long as its server keeps its memory",
        ),
        ReadFrom::Replica => said.weakened(
            Hazard::ReplicaReads,
            "what was deleted or replaced may be read a while longer, from a replica that lags",
            Some("read_from = primary".into()),
        ),
    };
    said = said.promise("versions are random: none is used again, not after a restart either");
    if topology.is_cluster() {
        said = said.promise(
            "an acknowledged `clear` has seen every slot where it was, also those that moved meanwhile",
        );
    }
    if settings.wait_replicas > 0 {
        said =
            said.promise(format!("a write is acknowledged once {} replicas have it", settings.wait_replicas));
    }
    if distrusts {
        said = said.promise("an entry is served only under the server run it was written under");
    }
    said = match (has_failover, settings.wait_replicas, distrusts) {
        (false, ..) => said,
        (true, _, true) => said.weakened(Hazard::Failover, "a fail-over empties the cache in effect", None),
        (true, 0, false) => said.weakened(
            Hazard::Failover,
            "a replica takes over without the writes of the last moments: what was deleted or replaced then is back",
            if topology.is_cluster() { wait() } else { distrust() },
        ),
        (true, _, false) => said.weakened(
            Hazard::Failover,
            "if a replica takes over that did not confirm, what was deleted or replaced in the last moments is back",
            distrust(),
        ),
    };
    said = if distrusts {
        said.weakened(Hazard::Restart, "a restart empties the cache in effect, though the server may keep its data", None)
            .weakened(
                Hazard::Rollback,
                "data exchanged while connections stay open (`REPLICAOF` by hand, `DEBUG RELOAD`) is noticed at the next \
                 connection",
                None,
            )
    } else {
        said.weakened(
            Hazard::Restart,
            "a server without persistence forgets everything; one with a snapshot forgets what came after it",
            distrust(),
        )
        .weakened(
            Hazard::Rollback,
            "what was deleted or replaced after the snapshot or backup is back",
            distrust(),
        )
        .weakened(
            Hazard::PowerLoss,
            "writes since the last `fsync` of the server are lost: what was deleted or replaced then is back",
            distrust(),
        )
    };
    if has_failover {
        said = said.weakened(
            Hazard::SplitBrain,
            "a primary that is cut off takes writes until it notices, and they are lost",
            (settings.wait_replicas == 0).then(wait).flatten(),
        );
    }
    said.weakened(
        Hazard::Stall,
        "a `set`, `add` or `increment` that was not answered in time may still happen when the server goes on, after a \
         later write or delete of its key over another connection; what a load keeps does not",
        None,
    )
    .weakened(
        Hazard::Eviction,
        "under `maxmemory` the server lets entries go by its policy, or refuses writes (`noeviction`)",
        None,
    )
}
