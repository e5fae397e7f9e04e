//! The invalidator's side: what surrounds every write that is not a load's.

use tokio::sync::oneshot;

use super::FlightTable;
use crate::{Key, Namespace, sync::Arc};

/// Held while an invalidation is under way: from before its store operation until after it. Its outcome is told by
/// [`confirmed`](Fence::confirmed), [`failed`](Fence::failed) or [`without_doubt`](Fence::without_doubt), which end it. Dropped
/// with none of them, as where a runtime goes away, it counts as failed if its operation may have been sent.
pub(crate) struct Fence {
    table: Arc<FlightTable>,
    of: Of,
    /// When its operation was sent, from when it may be until its outcome is told: it settles the doubts that arose before.
    sent: Option<u64>,
}

enum Of {
    Key(Key),
    Namespace(Namespace),
    /// A namespace, by its stamp: nothing else of it is deleted.
    Stamp(Namespace, Key),
    Stamps(Vec<Key>),
}

impl Fence {
    /// Detaches the flight of `key` and waits until no result is being written under it.
    pub(crate) async fn around_key(table: &Arc<FlightTable>, key: &Key) -> Self {
        let writing = table.begin_invalidation(key);
        let mut fence = Self { table: Arc::clone(table), of: Of::Key(key.clone()), sent: None };
        if let Some(writing) = writing {
            ended(writing).await;
        }
        fence.sent = Some(table.quarantine.epoch());
        fence
    }

    /// The same for every key in a namespace.
    pub(crate) async fn around_namespace(table: &Arc<FlightTable>, namespace: &Namespace) -> Self {
        Self::around_all(table, namespace, Of::Namespace(namespace.clone())).await
    }

    /// The same where the namespace is cleared by its stamp.
    pub(crate) async fn around_stamp(table: &Arc<FlightTable>, namespace: &Namespace, stamp: &Key) -> Self {
        Self::around_all(table, namespace, Of::Stamp(namespace.clone(), stamp.clone())).await
    }

    async fn around_all(table: &Arc<FlightTable>, namespace: &Namespace, of: Of) -> Self {
        // Registered before the shards are looked at: a write that begins after its shard was looked at sees this.
        table.clears.begin(namespace);
        let mut fence = Self { table: Arc::clone(table), of, sent: None };
        for writing in table.detach_all(namespace) {
            ended(writing).await;
        }
        fence.sent = Some(table.quarantine.epoch());
        fence
    }

    /// The same for every load that began under one of these stamps.
    pub(crate) fn around_stamps(table: &Arc<FlightTable>, stamps: &[Key]) -> Self {
        table.detach_stamped(stamps);
        let sent = Some(table.quarantine.epoch());
        Self { table: Arc::clone(table), of: Of::Stamps(stamps.to_vec()), sent }
    }

    /// The operation's outcome is unknown: what it was to remove is not served until it is known to be gone.
    pub(crate) fn failed(self) {
        drop(self);
    }

    /// The operation is confirmed: whatever stood in doubt here no longer does.
    pub(crate) fn confirmed(mut self) {
        let Some(sent) = self.sent.take() else { return };
        match &self.of {
            Of::Key(key) | Of::Stamp(_, key) => self.table.quarantine.release_key(key, sent),
            Of::Namespace(namespace) => self.table.quarantine.release_namespace(namespace, sent),
            Of::Stamps(stamps) => {
                for stamp in stamps {
                    self.table.quarantine.release_key(stamp, sent);
                }
            }
        }
    }

    /// The operation's outcome is known, and leaves what stood in doubt here as it was.
    pub(crate) fn without_doubt(mut self) {
        self.sent = None;
    }

    fn doubt(&self) {
        match &self.of {
            // Entries under a stamp that is in doubt are not served.
            Of::Key(key) | Of::Stamp(_, key) => self.table.quarantine.key(key),
            Of::Namespace(namespace) => self.table.quarantine.namespace(namespace.as_str()),
            Of::Stamps(stamps) => stamps.iter().for_each(|stamp| self.table.quarantine.key(stamp)),
        }
    }
}

impl Drop for Fence {
    fn drop(&mut self) {
        // Before the way is open again: whoever comes next sees the doubt.
        if self.sent.is_some() {
            self.doubt();
        }
        match &self.of {
            Of::Key(key) => self.table.end_invalidation(key),
            Of::Namespace(namespace) | Of::Stamp(namespace, _) => {
                // Detached before the clear is unregistered: a flight that began during it never finds the way open.
                self.table.detach_all(namespace);
                self.table.clears.end(namespace);
            }
            Of::Stamps(stamps) => self.table.detach_stamped(stamps),
        }
    }
}

/// A write is over when nobody can say so any more.
pub(super) async fn ended(writing: oneshot::Receiver<()>) {
    // Nothing is ever sent: the error is the message.
    let _ = writing.await;
}
