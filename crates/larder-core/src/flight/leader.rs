//! The leader's side of a flight.

use super::{Flight, FlightTable, Landing, table::Writing};
use crate::{Key, sync::Arc};

/// The duty of leading a flight. Dropped before it landed, it frees the key and lets the next caller lead.
pub(crate) struct LeaderGuard {
    table: Arc<FlightTable>,
    flight: Option<Arc<Flight>>,
}

impl LeaderGuard {
    pub(super) fn new(table: Arc<FlightTable>, flight: Arc<Flight>) -> Self {
        Self { table, flight: Some(flight) }
    }

    pub(crate) fn flight(&self) -> &Arc<Flight> {
        self.flight.as_ref().expect("only `land` and `drop` take it, and they take the guard")
    }

    pub(crate) fn key(&self) -> &Key {
        &self.flight().key
    }

    pub(crate) fn table(&self) -> &Arc<FlightTable> {
        &self.table
    }

    /// Claims the right to write the result; `None` if the key was invalidated since the flight began.
    pub(crate) fn begin_commit(&self) -> Option<CommitGuard> {
        let flight = Arc::clone(self.flight());
        let writing = self.table.begin_write(&flight)?;
        Some(CommitGuard { table: Arc::clone(&self.table), flight, writing: Some(writing), known: false })
    }

    /// Ends the flight.
    pub(crate) fn land(mut self, landing: Landing) {
        if let Some(flight) = self.flight.take() {
            self.table.land(&flight, landing);
        }
    }
}

impl Drop for LeaderGuard {
    fn drop(&mut self) {
        if let Some(flight) = self.flight.take() {
            self.table.land(&flight, Landing::Abandoned);
        }
    }
}

/// The right to write a flight's result. Dropped without [`known`](CommitGuard::known), the outcome counts as unknown, and the
/// key is not served from the store until a delete of it succeeds.
pub(crate) struct CommitGuard {
    table: Arc<FlightTable>,
    flight: Arc<Flight>,
    writing: Option<Writing>,
    known: bool,
}

impl CommitGuard {
    /// The write is known to have happened, or not to have.
    pub(crate) fn known(mut self) {
        self.known = true;
    }
}

impl Drop for CommitGuard {
    fn drop(&mut self) {
        if !self.known {
            self.table.quarantine.key(&self.flight.key);
        }
        if let Some(writing) = self.writing.take() {
            self.table.end_write(&self.flight.key, writing);
        }
    }
}
