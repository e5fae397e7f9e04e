//! What holds on a store as configured, in words.

use larder_core::{Guarantees, Hazard};

use crate::settings::Settings;

pub(crate) fn of(settings: &Settings) -> Guarantees {
    let said = Guarantees::new()
        .promise("a write is seen by every process once it is acknowledged")
        .promise("`add`, `replace`, `increment` and `delete` are one statement each: exact among all processes")
        .promise("the clock of the database alone decides when an entry ends, to the millisecond")
        .promise(
            "no version is used twice for a key, even after a crash or a restored backup: it holds 64 random bits beside \
             a number from a logged sequence",
        )
        .weakened(
            Hazard::Eviction,
            format!(
                "over {} entries or {} bytes, what was written longest ago is removed, counters and leases included; \
                 between two looks, some seconds apart, there may be more",
                settings.max_entries, settings.max_bytes
            ),
            Some("max_entries, max_bytes".into()),
        )
        .weakened(
            Hazard::Stall,
            "a `set`, `add` or `increment` that was not answered in time may still happen when the server goes on, after \
             a later write or delete of its key over another connection; what a load keeps does not",
            None,
        )
        .weakened(
            Hazard::Rollback,
            "a database restored from a backup, or to a point in time, brings back entries that were removed or \
             replaced since: TRUNCATE the table after a restore",
            None,
        );
    if settings.logged { logged(settings, said) } else { unlogged(said) }
}

fn unlogged(said: Guarantees) -> Guarantees {
    said.promise("a clean stop and start of the server keeps every entry")
        .weakened(
            Hazard::Restart,
            "after a crash of the server, or of one of its processes, the table is empty: entries, counters and leases \
             are gone, and nothing older comes back",
            Some("logged = true".into()),
        )
        .weakened(
            Hazard::PowerLoss,
            "the table is empty afterwards, and nothing older comes back",
            Some("logged = true".into()),
        )
        .weakened(
            Hazard::Failover,
            "a standby has no entries: after it took over the table is empty",
            Some("logged = true".into()),
        )
}

fn logged(settings: &Settings, said: Guarantees) -> Guarantees {
    let said = said
        .promise(
            "what removes entries (`delete`, `clear`, expiries already past) is acknowledged only when the disk has it, \
             even where the role's `synchronous_commit` is off",
        )
        .weakened(
            Hazard::Failover,
            "where replication is asynchronous, a standby that takes over may lack the last writes: removed entries may \
             be back, counters behind",
            Some("synchronous_standby_names of the server".into()),
        );
    if settings.synchronous_writes {
        return said.promise("a crash or a power loss takes back no acknowledged write");
    }
    let what = "`set`, `add`, `replace`, `increment` and `touch` of the last moment (three times the server's \
                wal_writer_delay) may be taken back, and what they replaced be there again";
    let remedy = || Some("synchronous_writes = true".into());
    said.weakened(Hazard::Restart, what, remedy()).weakened(Hazard::PowerLoss, what, remedy())
}
