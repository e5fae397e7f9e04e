//! Settling a doubt: deleting a key that this process does not serve, so that it can be served again.

use super::{FlightTable, fence::ended, table::Writing};
use crate::{Key, quarantine::Doubt, sync::Arc};

/// The right to delete a key in doubt. Dropping it ends the attempt; unless [`confirmed`](Settling::confirmed), the doubt stays.
pub(crate) struct Settling {
    table: Arc<FlightTable>,
    key: Key,
    writing: Option<Writing>,
    sent: u64,
}

impl Settling {
    /// `None` where someone else writes the key: then it is settled when they are done, or not now.
    pub(crate) async fn of(table: &Arc<FlightTable>, key: &Key) -> Option<Self> {
        match table.begin_settling(key) {
            Ok(writing) => Some(Self {
                table: Arc::clone(table),
                key: key.clone(),
                writing: Some(writing),
                sent: table.quarantine.epoch(),
            }),
            Err(writing) => {
                if let Some(writing) = writing {
                    ended(writing).await;
                }
                None
            }
        }
    }

    /// `None` where someone else writes the key, or where it is not in doubt (any more).
    pub(crate) fn at_once(table: &Arc<FlightTable>, key: &Key) -> Option<Self> {
        let writing = table.begin_settling(key).ok()?;
        let sent = table.quarantine.epoch();
        let settling = Self { table: Arc::clone(table), key: key.clone(), writing: Some(writing), sent };
        table.quarantine.holds(key).then_some(settling)
    }

    pub(crate) fn key(&self) -> &Key {
        &self.key
    }

    /// Whether there is still something to settle.
    pub(crate) fn is_needed(&self) -> bool {
        self.table.quarantine.of(&self.key) == Doubt::Key
    }

    /// The key is gone.
    pub(crate) fn confirmed(self) {
        self.table.quarantine.release_key(&self.key, self.sent);
    }
}

impl Drop for Settling {
    fn drop(&mut self) {
        if let Some(writing) = self.writing.take() {
            self.table.end_write(&self.key, writing);
        }
    }
}
