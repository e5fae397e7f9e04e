//! What a cache promises on its store, in words.

use super::{Cache, inner::Inner, look::Fencing, stamps::ClearBy};
use crate::{Coalesce, Guarantees, Hazard};

impl Cache {
    /// What holds for this cache, on its store as configured, in words: what callers may count on, what weakens it, and which
    /// setting refuses that.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doc.rs"));
    /// # fn main() { example(|cache| async move {
    /// println!("{}", cache.guarantees());
    /// # Ok(()) }) }
    /// ```
    pub fn guarantees(&self) -> Guarantees {
        self.inner.guarantees()
    }
}

impl Inner {
    pub(super) fn guarantees(&self) -> Guarantees {
        let capabilities = &self.handle.capabilities;
        let mut said = Guarantees::new()
            .promise("in this process, an acknowledged invalidation is never undone by a load that began before it, and nobody who comes later is given that load's result");
        said = match (self.fencing, capabilities.shared()) {
            (Fencing::Lease, _) => said
                .promise("the same between all processes over this store: loads hold a lease, which every invalidation voids")
                .promise(match self.coalesce {
                    Coalesce::Cluster => "one load of a key at a time in all processes; the others wait, or serve what is stale",
                    Coalesce::Process => "one load of a key at a time in each process; who finds another process loading loads for itself, and keeps nothing",
                    Coalesce::Off => "no caller waits for another's load, but a batch for those of its keys that are being loaded; only the one that holds the lease is kept",
                }),
            (Fencing::Process, true) => said.weakened(
                Hazard::Processes,
                "this store has no versions: a load in one process can undo an invalidation by another, and its result stays until it expires",
                None,
            ),
            (Fencing::Process, false) => said.promise(match self.coalesce {
                Coalesce::Off => "no caller waits for another's load, but a batch for those of its keys that are being loaded",
                _ => "one load of a key at a time",
            }),
        };
        if self.fencing == Fencing::Lease {
            said = said.weakened(
                Hazard::ClockSkew,
                format!(
                    "an entry may be served past its expiry, or given up before, by as much as the clocks of the machines differ; leases allow for {:?}",
                    self.clock_skew
                ),
                None,
            );
        }
        if self.clear_by == ClearBy::Stamps {
            said = said.promise(
                "`clear` takes effect at once, in all processes: entries hold the stamps of their namespaces",
            );
        }
        if !self.stamp_staleness.is_zero() {
            said = said.weakened(
                Hazard::Processes,
                format!(
                    "tags and namespaces invalidated by another process are noticed up to {:?} later",
                    self.stamp_staleness
                ),
                Some("stamp_staleness = 0".into()),
            );
        }
        said.and(self.handle.store.guarantees())
    }
}
