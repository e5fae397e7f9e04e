//! Events as `metrics`.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Label, Level, Metadata, Recorder, SharedString};

use super::{Event, Observer};
use crate::{CircuitState, EvictionCause};

/// Counts through the `metrics` facade, labelled with a cache name of your choice; keys never appear.
///
/// Counters: `larder_hits_total`, `larder_misses_total`, `larder_joined_total`, `larder_loads_total`,
/// `larder_load_errors_total`, `larder_store_errors_total`, `larder_undecodable_total`, `larder_stale_total`,
/// `larder_evictions_total`, `larder_expirations_total`, `larder_doubts_total` (keys and namespaces that were not served from
/// the store for a while), `larder_circuit_changes_total` (labelled with the state that began: `closed`, `open`,
/// `half_open`). Gauge: `larder_open_circuits`, the servers whose circuit is not closed. Histogram: `larder_load_seconds`.
/// They are registered with the recorder that is installed when the observer is made, so that counting costs no look-up.
///
/// ```
/// use std::sync::Arc;
/// use larder_core::MetricsObserver;
/// let observer = Arc::new(MetricsObserver::new("pages"));
/// ```
pub struct MetricsObserver {
    name: SharedString,
    hits: Counter,
    misses: Counter,
    joined: Counter,
    loads: Counter,
    load_errors: Counter,
    store_errors: Counter,
    undecodable: Counter,
    stale: Counter,
    evictions: Counter,
    expirations: Counter,
    doubts: Counter,
    circuit_changes: [Counter; 3],
    open_circuits: Gauge,
    /// The servers whose circuit is not closed.
    open: Mutex<HashSet<String>>,
    load_seconds: Histogram,
}

impl std::fmt::Debug for MetricsObserver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MetricsObserver").field("cache", &self.name).finish_non_exhaustive()
    }
}

impl MetricsObserver {
    /// Registers the metrics of the cache called `name` with the installed recorder.
    ///
    /// ```
    /// let observer = larder_core::MetricsObserver::new("users");
    /// ```
    pub fn new(name: impl Into<String>) -> Self {
        let name = SharedString::from(name.into());
        metrics::with_recorder(|recorder| {
            let counter = |metric| register_counter(recorder, metric, &name);
            Self {
                hits: counter("larder_hits_total"),
                misses: counter("larder_misses_total"),
                joined: counter("larder_joined_total"),
                loads: counter("larder_loads_total"),
                load_errors: counter("larder_load_errors_total"),
                store_errors: counter("larder_store_errors_total"),
                undecodable: counter("larder_undecodable_total"),
                stale: counter("larder_stale_total"),
                evictions: counter("larder_evictions_total"),
                expirations: counter("larder_expirations_total"),
                doubts: counter("larder_doubts_total"),
                circuit_changes: STATES.map(|state| {
                    let labelled = key("larder_circuit_changes_total", &name)
                        .with_extra_labels(vec![Label::new("state", state.as_str())]);
                    recorder.register_counter(&labelled, &METADATA)
                }),
                open_circuits: recorder.register_gauge(&key("larder_open_circuits", &name), &METADATA),
                open: Mutex::default(),
                load_seconds: recorder.register_histogram(&key("larder_load_seconds", &name), &METADATA),
                name: name.clone(),
            }
        })
    }

    fn circuit_changed(&self, server: &str, state: CircuitState) {
        for (counter, _) in self.circuit_changes.iter().zip(STATES).filter(|(_, of)| *of == state) {
            counter.increment(1);
        }
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if state == CircuitState::Closed {
            open.remove(server);
        } else {
            open.insert(server.to_owned());
        }
        self.open_circuits.set(u32::try_from(open.len()).unwrap_or(u32::MAX));
    }
}

const STATES: [CircuitState; 3] = [CircuitState::Closed, CircuitState::Open, CircuitState::HalfOpen];

static METADATA: Metadata<'static> = Metadata::new("larder", Level::INFO, Some("larder"));

fn key(metric: &'static str, cache: &SharedString) -> Key {
    Key::from_parts(KeyName::from_const_str(metric), vec![Label::new("cache", cache.clone())])
}

fn register_counter(recorder: &dyn Recorder, metric: &'static str, cache: &SharedString) -> Counter {
    recorder.register_counter(&key(metric, cache), &METADATA)
}

impl Observer for MetricsObserver {
    fn event(&self, event: &Event<'_>) {
        match event {
            Event::Hit { .. } => self.hits.increment(1),
            Event::Miss { .. } => self.misses.increment(1),
            Event::Joined { .. } => self.joined.increment(1),
            Event::Loaded { took, .. } => {
                self.loads.increment(1);
                self.load_seconds.record(took.as_secs_f64());
            }
            Event::LoadFailed { .. } => self.load_errors.increment(1),
            Event::StoreError { .. } => self.store_errors.increment(1),
            Event::Stale { .. } => self.stale.increment(1),
            Event::Undecodable { .. } => self.undecodable.increment(1),
            Event::KeyInDoubt { .. } | Event::NamespaceInDoubt { .. } => self.doubts.increment(1),
            Event::DoubtsSettled {} => {}
            Event::CircuitChanged { server, state } => self.circuit_changed(server, *state),
            Event::Evicted { cause: EvictionCause::Capacity } => self.evictions.increment(1),
            Event::Evicted { cause: EvictionCause::Expired } => self.expirations.increment(1),
        }
    }
}
