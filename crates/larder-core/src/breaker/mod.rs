//! Circuit breakers: a server that fails is left alone, and asked in the background whether it is back.
//!
//! One circuit per server of the store. Closed, it counts calls and failures in a rolling window, and what failures in a row
//! cost their callers, in timeouts; too much of either opens it. Open, it refuses every call at once, and a task probes the server. A probe that is answered
//! half opens it: a few calls are let through, and close it or open it again.

mod call;
mod circuit;
mod config;
mod many;
mod probe;
mod spent;
mod store;
mod trial;
mod verdict;
mod window;

use tokio_util::sync::{CancellationToken, DropGuard};

use self::{
    call::Call,
    circuit::{Admission, Circuit},
    trial::Extent,
};
pub use self::{circuit::CircuitState, config::CircuitBreaker};
use crate::{
    CacheStore, Clock, Error, Key, Spawn,
    handle::{Limits, Observers},
    sync::Arc,
};

/// A store behind one circuit per server.
#[derive(Debug)]
pub(crate) struct Breaker {
    shared: Arc<Shared>,
    /// Ends the probes with the store.
    _stop: DropGuard,
}

#[derive(Debug)]
struct Shared {
    store: Arc<dyn CacheStore>,
    /// At least one.
    circuits: Box<[Circuit]>,
    clock: Arc<dyn Clock>,
    spawn: Arc<dyn Spawn>,
    limits: Arc<Limits>,
    stop: CancellationToken,
}

impl Breaker {
    pub(crate) fn new(
        store: Arc<dyn CacheStore>,
        config: CircuitBreaker,
        clock: Arc<dyn Clock>,
        spawn: Arc<dyn Spawn>,
        limits: Arc<Limits>,
        observers: &Arc<Observers>,
    ) -> Self {
        let mut servers = store.servers();
        if servers.is_empty() {
            servers.push(String::from("store"));
        }
        let circuits =
            servers.into_iter().map(|server| Circuit::new(server, config, Arc::clone(observers))).collect();
        let stop = CancellationToken::new();
        let shared = Shared { store, circuits, clock, spawn, limits, stop: stop.clone() };
        Self { shared: Arc::new(shared), _stop: stop.drop_guard() }
    }

    /// Each server, and the state of its circuit.
    pub(crate) fn states(&self) -> impl Iterator<Item = (&str, CircuitState)> {
        self.shared.circuits.iter().map(|circuit| (circuit.server.as_str(), circuit.phase().state()))
    }
}

impl Shared {
    /// Lets a call to a server through, or refuses it.
    fn admit(self: &Arc<Self>, server: usize, extent: Extent) -> Result<Call<'_>, Error> {
        let circuit = &self.circuits[server];
        match circuit.admit(extent) {
            Admission::Granted(phase) => Ok(Call::new(self, server, phase, extent)),
            Admission::Refused(phase)
                if circuit.probed.load(crate::sync::Ordering::Acquire) == phase.number() =>
            {
                Err(circuit.refusal())
            }
            Admission::Refused(phase) => self.admit_unprobed(server, phase, extent),
        }
    }

    fn server_of(&self, key: &Key) -> usize {
        // A store of one server is not asked; one that names a server it does not have is not believed.
        let last = self.circuits.len() - 1;
        if last == 0 { 0 } else { self.store.server_of(key).min(last) }
    }
}

/// Whether an error came from an open circuit: the server was not asked.
#[cfg(feature = "tracing")]
pub(crate) fn is_refusal(error: &Error) -> bool {
    error.downcast_ref::<circuit::CircuitOpen>().is_some()
}
