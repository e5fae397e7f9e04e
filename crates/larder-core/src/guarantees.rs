//! What holds on a store as it is configured, and what does not, in words.

use std::{borrow::Cow, fmt};

/// Something that happens to servers and can weaken what a store promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Hazard {
    /// Another process writes to the same store at the same time.
    Processes,
    /// The server restarts and forgets.
    Restart,
    /// A replica takes over before it has everything its primary acknowledged.
    Failover,
    /// A server comes back with an older state: from a snapshot or a backup.
    Rollback,
    /// Two servers both believe to be the primary.
    SplitBrain,
    /// Keys move to other servers because one is gone, and come back.
    Rehash,
    /// Reads are answered by replicas, which lag.
    ReplicaReads,
    /// The power fails.
    PowerLoss,
    /// The store lets entries go because it is full.
    Eviction,
    /// The clocks of machines differ.
    ClockSkew,
    /// A server, or what is on the way to it, stands still until its connections are given up, and then goes on with what
    /// was sent over them.
    Stall,
}

/// One thing that does not hold under a [`Hazard`], and the setting that would refuse it.
///
/// ```
/// use larder_core::{Guarantees, Hazard};
/// let said = Guarantees::new().weakened(Hazard::Rollback, "a restored snapshot brings old values back", None);
/// assert_eq!(said.weaknesses()[0].hazard(), Hazard::Rollback);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weakness {
    hazard: Hazard,
    what: Cow<'static, str>,
    remedy: Option<Cow<'static, str>>,
}

impl Weakness {
    /// What has to happen for it to matter.
    ///
    /// ```
    /// # use larder_core::{Guarantees, Hazard};
    /// # let said = Guarantees::new().weakened(Hazard::Restart, "a restart empties it", None);
    /// assert_eq!(said.weaknesses()[0].hazard(), Hazard::Restart);
    /// ```
    pub fn hazard(&self) -> Hazard {
        self.hazard
    }

    /// What then does not hold.
    ///
    /// ```
    /// # use larder_core::{Guarantees, Hazard};
    /// # let said = Guarantees::new().weakened(Hazard::Restart, "a restart empties it", None);
    /// assert_eq!(said.weaknesses()[0].what(), "a restart empties it");
    /// ```
    pub fn what(&self) -> &str {
        &self.what
    }

    /// The setting that refuses it, where there is one.
    ///
    /// ```
    /// # use larder_core::{Guarantees, Hazard};
    /// # let said = Guarantees::new().weakened(Hazard::Failover, "may lose writes", Some("wait_replicas = 1".into()));
    /// assert_eq!(said.weaknesses()[0].remedy(), Some("wait_replicas = 1"));
    /// ```
    pub fn remedy(&self) -> Option<&str> {
        self.remedy.as_deref()
    }
}

/// What a store or a cache promises as configured, and what weakens it. Printed, it is a list for people.
///
/// ```
/// use larder_core::{Guarantees, Hazard};
///
/// let said = Guarantees::new()
///     .promise("every write is visible to every process once it is acknowledged")
///     .weakened(Hazard::Failover, "a write acknowledged just before may be lost", Some("wait_replicas = 1".into()));
/// assert!(said.is_weakened_by(Hazard::Failover));
/// assert_eq!(
///     said.to_string(),
///     "holds: every write is visible to every process once it is acknowledged\n\
///      weakened by fail-over: a write acknowledged just before may be lost (refused by `wait_replicas = 1`)\n",
/// );
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Guarantees {
    promises: Vec<Cow<'static, str>>,
    weaknesses: Vec<Weakness>,
}

impl Guarantees {
    /// Nothing said yet.
    ///
    /// ```
    /// assert!(larder_core::Guarantees::new().promises().is_empty());
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds what holds.
    ///
    /// ```
    /// assert_eq!(larder_core::Guarantees::new().promise("exact").promises(), ["exact"]);
    /// ```
    pub fn promise(mut self, what: impl Into<Cow<'static, str>>) -> Self {
        self.promises.push(what.into());
        self
    }

    /// Adds what does not hold under `hazard`, and the setting that refuses it.
    ///
    /// ```
    /// use larder_core::{Guarantees, Hazard};
    /// assert!(Guarantees::new().weakened(Hazard::Restart, "gone", None).is_weakened_by(Hazard::Restart));
    /// ```
    pub fn weakened(
        mut self,
        hazard: Hazard,
        what: impl Into<Cow<'static, str>>,
        remedy: Option<Cow<'static, str>>,
    ) -> Self {
        self.weaknesses.push(Weakness { hazard, what: what.into(), remedy });
        self
    }

    /// Puts what another part says behind what this one says.
    ///
    /// ```
    /// use larder_core::Guarantees;
    /// let both = Guarantees::new().promise("a").and(Guarantees::new().promise("b"));
    /// assert_eq!(both.promises(), ["a", "b"]);
    /// ```
    pub fn and(mut self, other: Self) -> Self {
        self.promises.extend(other.promises);
        self.weaknesses.extend(other.weaknesses);
        self
    }

    /// What holds.
    ///
    /// ```
    /// assert_eq!(larder_core::Guarantees::new().promise("exact").promises(), ["exact"]);
    /// ```
    pub fn promises(&self) -> &[Cow<'static, str>] {
        &self.promises
    }

    /// What does not hold, and when.
    ///
    /// ```
    /// assert!(larder_core::Guarantees::new().weaknesses().is_empty());
    /// ```
    pub fn weaknesses(&self) -> &[Weakness] {
        &self.weaknesses
    }

    /// Whether something does not hold under `hazard`.
    ///
    /// ```
    /// use larder_core::{Guarantees, Hazard};
    /// assert!(!Guarantees::new().is_weakened_by(Hazard::Rehash));
    /// ```
    pub fn is_weakened_by(&self, hazard: Hazard) -> bool {
        self.weaknesses.iter().any(|weakness| weakness.hazard == hazard)
    }
}

impl fmt::Display for Guarantees {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for promise in &self.promises {
            writeln!(f, "holds: {promise}")?;
        }
        for Weakness { hazard, what, remedy } in &self.weaknesses {
            write!(f, "weakened by {hazard}: {what}")?;
            match remedy {
                Some(remedy) => writeln!(f, " (refused by `{remedy}`)")?,
                None => writeln!(f)?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Hazard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Processes => "other processes",
            Self::Restart => "a restart",
            Self::Failover => "fail-over",
            Self::Rollback => "a rollback",
            Self::SplitBrain => "split brain",
            Self::Rehash => "rehashing",
            Self::ReplicaReads => "reads from replicas",
            Self::PowerLoss => "power loss",
            Self::Eviction => "eviction",
            Self::ClockSkew => "clock skew",
            Self::Stall => "a stall",
        })
    }
}
