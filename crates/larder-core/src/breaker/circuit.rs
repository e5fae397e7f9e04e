//! The circuit to one server: closed, open, half open.

use std::{fmt, sync::PoisonError, time::Duration};

use super::{
    config::CircuitBreaker,
    spent::Spent,
    trial::{Extent, Trial},
    verdict::Verdict,
    window::Window,
};
use crate::{
    Error, ErrorKind, Event, Timestamp,
    handle::Observers,
    sync::{Arc, AtomicU64, Mutex, MutexGuard, Ordering},
};

/// Whether calls to a server are let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CircuitState {
    /// They are.
    Closed,
    /// They are not: calls failed, and end at once with [`Unavailable`](ErrorKind::Unavailable) until a probe is
    /// answered.
    Open,
    /// A probe was answered: a few calls are let through, and decide.
    HalfOpen,
}

impl CircuitState {
    /// The state as a short, stable word for logs and metric labels.
    ///
    /// ```
    /// assert_eq!(larder_core::CircuitState::HalfOpen.as_str(), "half_open");
    /// ```
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

/// The cause of an error from an open circuit: nobody was asked.
#[derive(Debug)]
pub(crate) struct CircuitOpen;

impl fmt::Display for CircuitOpen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("calls to it failed, and it is probed until it answers")
    }
}

impl std::error::Error for CircuitOpen {}

/// A state and how often the circuit changed before it: what a call learned under one says nothing about another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Phase(u64);

impl Phase {
    const FIRST: Self = Self(0b100);

    pub(super) fn state(self) -> CircuitState {
        match self.0 & 0b11 {
            0 => CircuitState::Closed,
            1 => CircuitState::Open,
            _ => CircuitState::HalfOpen,
        }
    }

    fn then(self, state: CircuitState) -> Self {
        let bits = match state {
            CircuitState::Closed => 0,
            CircuitState::Open => 1,
            CircuitState::HalfOpen => 2,
        };
        Self(((self.0 >> 2) + 1) << 2 | bits)
    }

    /// Never zero.
    pub(super) fn number(self) -> u64 {
        self.0
    }
}

pub(super) struct Circuit {
    pub(super) server: String,
    pub(super) config: CircuitBreaker,
    observers: Arc<Observers>,
    refusal: Error,
    phase: AtomicU64,
    opened: AtomicU64,
    window: Window,
    /// What failures cost since the last answer.
    row: AtomicU64,
    /// Until when that is counted.
    charged: AtomicU64,
    /// Held while the phase changes, and while observers are told, so that they hear of changes in order.
    trial: Mutex<Trial>,
    /// The number of the phase that a probe is running for; zero for none.
    pub(super) probed: AtomicU64,
}

/// What an open or half open circuit says to a call.
pub(super) enum Admission {
    Granted(Phase),
    Refused(Phase),
}

impl Circuit {
    pub(super) fn new(server: String, config: CircuitBreaker, observers: Arc<Observers>) -> Self {
        let refusal = Error::new(ErrorKind::Unavailable, format!("the circuit to {server} is open"))
            .with_source(CircuitOpen);
        Self {
            server,
            config,
            observers,
            refusal,
            phase: AtomicU64::new(Phase::FIRST.0),
            opened: AtomicU64::new(0),
            window: Window::new(config.window),
            row: AtomicU64::new(0),
            charged: AtomicU64::new(0),
            trial: Mutex::default(),
            probed: AtomicU64::new(0),
        }
    }

    pub(super) fn phase(&self) -> Phase {
        Phase(self.phase.load(Ordering::Acquire))
    }

    pub(super) fn refusal(&self) -> Error {
        self.refusal.clone()
    }

    /// When it opened last.
    pub(super) fn opened(&self) -> Timestamp {
        Timestamp::from_nanos(self.opened.load(Ordering::Relaxed))
    }

    #[inline]
    pub(super) fn admit(&self, extent: Extent) -> Admission {
        let phase = self.phase();
        match phase.state() {
            CircuitState::Closed => Admission::Granted(phase),
            CircuitState::Open => Admission::Refused(phase),
            CircuitState::HalfOpen => self.admit_to_trial(extent),
        }
    }

    fn admit_to_trial(&self, extent: Extent) -> Admission {
        let mut trial = self.lock();
        let phase = self.phase();
        match phase.state() {
            CircuitState::Closed => Admission::Granted(phase),
            CircuitState::HalfOpen if trial.admit(extent, self.config.half_open_calls) => {
                Admission::Granted(phase)
            }
            CircuitState::HalfOpen | CircuitState::Open => Admission::Refused(phase),
        }
    }

    /// A call that was admitted in `phase` and began at `began` ended; `now` says when, and how long it might have lasted,
    /// where that is known. `true` if that opened the circuit.
    pub(super) fn ended(
        &self,
        phase: Phase,
        extent: Extent,
        began: Timestamp,
        verdict: Verdict,
        now: impl FnOnce() -> (Timestamp, Option<Duration>),
    ) -> bool {
        if self.phase() != phase {
            return false;
        }
        match phase.state() {
            CircuitState::Closed => self.counted(phase, began, verdict, now),
            CircuitState::HalfOpen => self.tried(phase, extent, verdict, now),
            CircuitState::Open => false,
        }
    }

    fn counted(
        &self,
        phase: Phase,
        began: Timestamp,
        verdict: Verdict,
        now: impl FnOnce() -> (Timestamp, Option<Duration>),
    ) -> bool {
        match verdict {
            Verdict::Nothing => return false,
            Verdict::Answered => {
                self.window.record(began, false);
                // Looked at first: while all is well nobody writes here.
                if self.row.load(Ordering::Relaxed) != 0 {
                    self.row.store(0, Ordering::Relaxed);
                }
                return false;
            }
            Verdict::Failed | Verdict::TimedOut => {}
        }
        let (now, limit) = now();
        self.window.record(now, true);
        let cost = self.cost(began, now, verdict, limit).parts();
        let row = Spent::from_parts(self.row.fetch_add(cost, Ordering::Relaxed) + cost);
        let count = self.window.count(now);
        #[expect(clippy::cast_precision_loss, reason = "a rate needs no more than 52 bits")]
        let failing = count.calls >= u64::from(self.config.minimum_calls)
            && count.failures as f64 >= count.calls as f64 * self.config.error_rate;
        (failing || row >= Spent::timeouts(self.config.consecutive_timeouts))
            && self.change(&mut self.lock(), phase, CircuitState::Open, now)
    }

    /// A failure that comes late costs its caller as much as a timeout; one that comes at once costs nothing. In between,
    /// callers who wait at the same time wait once: else a lost connection with many calls on it would cost as much as a
    /// server that is dead.
    fn cost(&self, began: Timestamp, now: Timestamp, verdict: Verdict, limit: Option<Duration>) -> Spent {
        let Some(limit) = limit else {
            return if verdict == Verdict::TimedOut { Spent::TIMEOUT } else { Spent::NOTHING };
        };
        let charged = Timestamp::from_nanos(self.charged.fetch_max(now.as_nanos(), Ordering::Relaxed));
        let spent = |from| Spent::of(now.saturating_since(from), limit);
        let is_late = verdict == Verdict::TimedOut || spent(began) >= Spent::TIMEOUT;
        if is_late { Spent::TIMEOUT } else { spent(began.max(charged)) }
    }

    fn tried(
        &self,
        phase: Phase,
        extent: Extent,
        verdict: Verdict,
        now: impl FnOnce() -> (Timestamp, Option<Duration>),
    ) -> bool {
        let mut trial = self.lock();
        if self.phase() != phase {
            return false;
        }
        trial.ended(extent);
        match verdict {
            Verdict::Nothing => false,
            Verdict::Answered => {
                if trial.answered(self.config.half_open_calls) {
                    self.change(&mut trial, phase, CircuitState::Closed, now().0);
                }
                false
            }
            Verdict::Failed | Verdict::TimedOut => {
                self.change(&mut trial, phase, CircuitState::Open, now().0)
            }
        }
    }

    /// The server answered a probe of this phase.
    pub(super) fn half_open(&self, phase: Phase, now: Timestamp) {
        self.change(&mut self.lock(), phase, CircuitState::HalfOpen, now);
    }

    /// Goes from one phase to a state, and tells; `false` if another was faster.
    fn change(&self, trial: &mut Trial, from: Phase, to: CircuitState, now: Timestamp) -> bool {
        if self.phase() != from {
            return false;
        }
        *trial = Trial::default();
        self.window.clear();
        self.row.store(0, Ordering::Relaxed);
        if to == CircuitState::Open {
            self.opened.store(now.as_nanos(), Ordering::Relaxed);
        }
        self.phase.store(from.then(to).0, Ordering::Release);
        self.observers.tell(&Event::CircuitChanged { server: &self.server, state: to });
        true
    }

    /// An observer that panicked left nothing half done here.
    fn lock(&self) -> MutexGuard<'_, Trial> {
        self.trial.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Circuit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Circuit")
            .field("server", &self.server)
            .field("state", &self.phase().state())
            .finish_non_exhaustive()
    }
}
