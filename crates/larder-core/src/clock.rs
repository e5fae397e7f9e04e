//! Where time comes from: the one seam through which Larder reads a clock or waits.

use std::{
    collections::HashMap,
    fmt,
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// A boxed future, as [`Clock::sleep`] and [`Spawn`](crate::Spawn) pass it about.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A point in time: nanoseconds since the Unix epoch, enough until the year 2554. Arithmetic saturates.
///
/// ```
/// use std::time::Duration;
/// use larder_core::Timestamp;
///
/// let start = Timestamp::from_nanos(1_000);
/// let later = start.saturating_add(Duration::from_nanos(500));
/// assert_eq!(later.saturating_since(start), Duration::from_nanos(500));
/// assert_eq!(start.saturating_since(later), Duration::ZERO);
/// assert_eq!(start.saturating_add(Duration::MAX), Timestamp::MAX);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The latest point in time; as an expiry it means never.
    pub const MAX: Self = Self(u64::MAX);

    /// The point so many nanoseconds after the Unix epoch.
    ///
    /// ```
    /// assert!(larder_core::Timestamp::from_nanos(1) < larder_core::Timestamp::from_nanos(2));
    /// ```
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the Unix epoch.
    ///
    /// ```
    /// assert_eq!(larder_core::Timestamp::from_nanos(42).as_nanos(), 42);
    /// ```
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// This point plus a duration, [`Timestamp::MAX`] where that is out of range.
    ///
    /// ```
    /// use std::time::Duration;
    /// use larder_core::Timestamp;
    /// assert_eq!(Timestamp::from_nanos(1).saturating_add(Duration::from_nanos(2)), Timestamp::from_nanos(3));
    /// ```
    pub const fn saturating_add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(nanos(duration)))
    }

    /// The instant `duration` earlier, not before the first there is.
    pub(crate) const fn saturating_sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(nanos(duration)))
    }

    /// How long after `earlier` this is; zero if it is not.
    ///
    /// ```
    /// use std::time::Duration;
    /// use larder_core::Timestamp;
    /// assert_eq!(Timestamp::from_nanos(9).saturating_since(Timestamp::from_nanos(4)), Duration::from_nanos(5));
    /// ```
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// A duration in nanoseconds, saturating: `Duration::MAX` has more than a `u64` holds.
const fn nanos(duration: Duration) -> u64 {
    duration.as_secs().saturating_mul(1_000_000_000).saturating_add(duration.subsec_nanos() as u64)
}

/// A source of time. Everything in Larder that reads the time or waits does it through one of these.
///
/// Use [`SystemClock`] in production (the default) and [`ManualClock`] in tests. A cache and an in-process store
/// under it should share one clock: [`CacheStore::clock`](crate::CacheStore::clock) sees to it.
///
/// ```
/// use larder_core::{Clock, SystemClock};
/// let clock = SystemClock::new();
/// assert!(clock.now() <= clock.now());
/// ```
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// The time now. Must never go backwards within one process.
    ///
    /// ```
    /// use larder_core::{Clock, ManualClock, Timestamp};
    /// assert_eq!(ManualClock::new(Timestamp::from_nanos(5)).now(), Timestamp::from_nanos(5));
    /// ```
    fn now(&self) -> Timestamp;

    /// Completes once `duration` has passed on this clock. Dropping the future cancels the wait.
    ///
    /// ```
    /// # tokio_test();
    /// # #[tokio::main(flavor = "current_thread")] async fn tokio_test() {
    /// use std::time::Duration;
    /// use larder_core::{Clock, ManualClock};
    ///
    /// let clock = ManualClock::default();
    /// let nap = clock.sleep(Duration::from_secs(60));
    /// clock.advance(Duration::from_secs(60));
    /// nap.await; // at once: a minute has passed on this clock
    /// # }
    /// ```
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;

    /// Whether this clock runs at the speed of the machine's own. A store that lets another library reclaim expired
    /// entries by real time must not do so under a clock that says `false`.
    ///
    /// ```
    /// use larder_core::{Clock, ManualClock, SystemClock};
    /// assert!(SystemClock::new().is_real());
    /// assert!(!ManualClock::default().is_real());
    /// ```
    fn is_real(&self) -> bool {
        false
    }
}

/// The machine's clock: wall time at the start, then monotonic.
///
/// It never goes backwards. A wall clock that is set forward (or a machine that slept) is followed within a second; one
/// that is set back is not, so entries never live longer than asked for. Sleeping needs a Tokio runtime with its
/// timer enabled.
///
/// ```
/// use larder_core::{Clock, SystemClock};
/// let now = SystemClock::new().now();
/// assert!(now.as_nanos() > 1_700_000_000_000_000_000); // after November 2023
/// ```
#[derive(Debug)]
pub struct SystemClock {
    start: Instant,
    /// Wall time at `start`, in nanoseconds; only ever raised.
    base: AtomicU64,
    /// When, in nanoseconds after `start`, `base` was last compared with the wall clock.
    compared: AtomicU64,
}

impl SystemClock {
    /// How often the wall clock is read to follow a step forward.
    const COMPARE_EVERY: u64 = 1_000_000_000;

    /// A clock that starts at the machine's wall time.
    ///
    /// ```
    /// let clock = larder_core::SystemClock::new();
    /// ```
    #[expect(clippy::disallowed_methods, reason = "this is the seam")]
    pub fn new() -> Self {
        Self { start: Instant::now(), base: AtomicU64::new(wall_nanos()), compared: AtomicU64::new(0) }
    }

    #[cold]
    fn follow_wall_clock(&self, elapsed: u64) {
        self.compared.store(elapsed, Ordering::Relaxed);
        self.base.fetch_max(wall_nanos().saturating_sub(elapsed), Ordering::Relaxed);
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the seam")]
fn wall_nanos() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, nanos)
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let elapsed = nanos(self.start.elapsed());
        if elapsed.saturating_sub(self.compared.load(Ordering::Relaxed)) >= Self::COMPARE_EVERY {
            self.follow_wall_clock(elapsed);
        }
        Timestamp(self.base.load(Ordering::Relaxed).saturating_add(elapsed))
    }

    #[expect(clippy::disallowed_methods, reason = "this is the seam")]
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(duration))
    }

    fn is_real(&self) -> bool {
        true
    }
}

/// A clock that moves only when told to: for tests of your own code that caches, without sleeping.
///
/// Clones share the time. [`sleep`](Clock::sleep) completes when the clock is advanced far enough.
///
/// ```
/// use std::time::Duration;
/// use larder_core::{Clock, ManualClock};
///
/// let clock = ManualClock::default();
/// let before = clock.now();
/// clock.advance(Duration::from_secs(300));
/// assert_eq!(clock.now().saturating_since(before), Duration::from_secs(300));
/// ```
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<Mutex<Manual>>);

#[derive(Debug)]
struct Manual {
    now: Timestamp,
    /// The waker of each sleep that was polled and not dropped since, with its deadline.
    sleepers: HashMap<u64, (Timestamp, Waker)>,
    next_sleeper: u64,
}

impl ManualClock {
    /// A clock that stands at `start`.
    ///
    /// ```
    /// use larder_core::{ManualClock, Timestamp};
    /// let clock = ManualClock::new(Timestamp::from_nanos(1_000_000_000));
    /// ```
    pub fn new(start: Timestamp) -> Self {
        Self(Arc::new(Mutex::new(Manual { now: start, sleepers: HashMap::new(), next_sleeper: 0 })))
    }

    /// Moves the clock forward and wakes every sleep whose time has come.
    ///
    /// ```
    /// use std::time::Duration;
    /// let clock = larder_core::ManualClock::default();
    /// clock.advance(Duration::from_millis(1));
    /// ```
    pub fn advance(&self, duration: Duration) {
        let mut due = Vec::new();
        {
            let mut manual = self.lock();
            manual.now = manual.now.saturating_add(duration);
            let now = manual.now;
            manual.sleepers.retain(|_, (deadline, waker)| {
                let waits = *deadline > now;
                if !waits {
                    due.push(waker.clone());
                }
                waits
            });
        }
        due.into_iter().for_each(Waker::wake);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Manual> {
        self.0.lock().expect("no code panics while it holds the clock")
    }
}

/// Stands at 1 January 2024, 00:00 UTC, so that tests print times that look like times.
impl Default for ManualClock {
    fn default() -> Self {
        Self::new(Timestamp::from_nanos(1_704_067_200_000_000_000))
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.lock().now
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let mut manual = self.lock();
        let id = manual.next_sleeper;
        manual.next_sleeper += 1;
        Box::pin(ManualSleep { id, deadline: manual.now.saturating_add(duration), clock: self.clone() })
    }
}

struct ManualSleep {
    id: u64,
    deadline: Timestamp,
    clock: ManualClock,
}

impl Future for ManualSleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut manual = self.clock.lock();
        if manual.now >= self.deadline {
            return Poll::Ready(());
        }
        manual.sleepers.insert(self.id, (self.deadline, context.waker().clone()));
        Poll::Pending
    }
}

impl Drop for ManualSleep {
    fn drop(&mut self) {
        self.clock.lock().sleepers.remove(&self.id);
    }
}
