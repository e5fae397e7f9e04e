//! What a run is made of.

use std::time::Duration;

use larder_core::Faults;

#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each switches one thing on, and any mix is a run")]
pub(super) struct Setup {
    pub(super) nodes: usize,
    /// Clients of each node, who do one thing after another.
    pub(super) clients: usize,
    /// What each client does.
    pub(super) operations: u64,
    /// Messages get lost and late, nodes are paused, the database is away now and then.
    pub(super) storms: bool,
    /// Nodes crash and come back.
    pub(super) crashes: bool,
    /// How far any two clocks may be apart.
    pub(super) skew_bound: Duration,
    /// How far they are.
    pub(super) skew: Duration,
    pub(super) broken: Broken,
    pub(super) faults: Faults,
    /// Whether the store is for several processes, so that loads are fenced among those.
    pub(super) shared: bool,
    /// Namespaces are cleared by stamps, not by the store.
    pub(super) stamps: bool,
    /// Keys are also read as values of another type.
    pub(super) mixed: bool,
    /// Keeps the last events, which takes most of the time.
    pub(super) traced: bool,
    /// Looks for the violation of one invariant, whatever else goes wrong.
    pub(super) only: Option<&'static str>,
}

/// What the server does wrong, to see that it is noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    Nothing,
    /// Some deletes are confirmed that did nothing.
    DeletesLie,
    /// `replace` does not compare versions.
    ReplacesAnything,
    /// No delete ever succeeds.
    NeverDeletes,
    /// Entries stay when their time is over, so that only their own account of it counts.
    NeverExpires,
}

/// How long rows are kept.
pub(super) const SHORT: Duration = Duration::from_millis(300);
pub(super) const LONG: Duration = Duration::from_secs(30);
pub(super) const OPERATION_TIMEOUT: Duration = Duration::from_millis(500);
pub(super) const LOAD_TIMEOUT: Duration = Duration::from_secs(5);
/// The windows of stale entries, and the patience of who would rather have one.
pub(super) const STALE: Duration = Duration::from_secs(3);
pub(super) const PATIENCE: Duration = Duration::from_millis(10);
pub(super) const ROWS: usize = 4;
/// The rows with a tag: the loader of the last one says so only at its end.
pub(super) const TAGGED: [usize; 2] = [2, 3];

impl Setup {
    pub(super) const fn calm(nodes: usize) -> Self {
        Self {
            nodes,
            clients: 3,
            operations: 30,
            storms: false,
            crashes: false,
            skew_bound: Duration::from_millis(200),
            skew: Duration::from_millis(200),
            broken: Broken::Nothing,
            faults: Faults::NONE,
            shared: true,
            stamps: false,
            mixed: false,
            traced: false,
            only: None,
        }
    }

    pub(super) const fn stormy(nodes: usize) -> Self {
        Self { storms: true, ..Self::calm(nodes) }
    }

    /// Whether nothing can go wrong.
    pub(super) fn is_calm(&self) -> bool {
        !self.storms && !self.crashes && self.broken == Broken::Nothing
    }
}
