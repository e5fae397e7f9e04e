//! Deadlines of I/O.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    task::{Context, Poll, Wake, Waker, ready},
};

use larder_core::{BoxFuture, Clock, Timestamp};

/// Wakes at a point in time, and again at a later one, without a new timer for each: deadlines move on with every trip,
/// and few of them are ever reached. Nor is the timer asked for each whether it has ended: it says so itself.
pub(crate) struct Alarm {
    clock: Arc<dyn Clock>,
    bell: Arc<Bell>,
    /// The bell, as timers know it.
    rings: Waker,
    /// The one that the bell wakes.
    waits: Waker,
    /// At or before the time that is waited for.
    set: Option<(Timestamp, BoxFuture<'static, ()>)>,
}

/// What a timer wakes.
struct Bell {
    rang: AtomicBool,
    /// It stays here when it is woken: whoever polls again need not be made known again.
    waits: Mutex<Waker>,
}

impl Bell {
    fn waits(&self) -> MutexGuard<'_, Waker> {
        self.waits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let waits = self.waits();
        // Whoever makes itself known after this finds that it rang.
        self.rang.store(true, SeqCst);
        let waker = waits.clone();
        drop(waits);
        waker.wake();
    }
}

impl Alarm {
    pub(crate) fn new(clock: &Arc<dyn Clock>) -> Self {
        let waits = Waker::noop();
        let bell = Arc::new(Bell { rang: AtomicBool::new(false), waits: Mutex::new(waits.clone()) });
        let rings = Waker::from(Arc::clone(&bell));
        Self { clock: Arc::clone(clock), bell, rings, waits: waits.clone(), set: None }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Ready once it is `at`, or later.
    pub(crate) fn poll_at(&mut self, at: Timestamp, context: &Context<'_>) -> Poll<()> {
        loop {
            match &mut self.set {
                Some((set, sleep)) if *set <= at => {
                    if !self.waits.will_wake(context.waker()) {
                        self.waits.clone_from(context.waker());
                        self.bell.waits().clone_from(context.waker());
                    }
                    if !self.bell.rang.load(SeqCst) {
                        return Poll::Pending;
                    }
                    // Before the timer is polled, which may ring from then on.
                    self.bell.rang.store(false, SeqCst);
                    ready!(sleep.as_mut().poll(&mut Context::from_waker(&self.rings)));
                    self.set = None;
                }
                _ => {
                    let now = self.now();
                    if now >= at {
                        return Poll::Ready(());
                    }
                    self.set = Some((at, self.clock.sleep(at.saturating_since(now))));
                    // A timer runs only once it has been polled.
                    self.bell.rang.store(true, SeqCst);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::atomic::AtomicUsize, time::Duration};

    use larder_core::ManualClock;

    use super::*;

    /// Counts how often it is woken.
    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, SeqCst);
        }
    }

    struct Caller {
        woken: Arc<Woken>,
        waker: Waker,
    }

    impl Caller {
        fn new() -> Self {
            let woken = Arc::<Woken>::default();
            Self { waker: Waker::from(Arc::clone(&woken)), woken }
        }

        fn polls(&self, alarm: &mut Alarm, at: u64) -> bool {
            let at = Timestamp::from_nanos(at);
            alarm.poll_at(at, &Context::from_waker(&self.waker)).is_ready()
        }

        fn woken(&self) -> usize {
            self.woken.0.load(SeqCst)
        }
    }

    fn alarm() -> (ManualClock, Alarm) {
        let clock = ManualClock::new(Timestamp::from_nanos(0));
        let shared: Arc<dyn Clock> = Arc::new(clock.clone());
        (clock, Alarm::new(&shared))
    }

    #[test]
    fn a_deadline_that_moves_on_wakes_its_caller_again() {
        let (clock, mut alarm) = alarm();
        let caller = Caller::new();
        assert!(!caller.polls(&mut alarm, 100));
        // Nothing is set anew for these, yet the last one holds.
        for at in [150, 180, 200] {
            assert!(!caller.polls(&mut alarm, at));
        }
        clock.advance(Duration::from_nanos(100));
        assert_eq!(caller.woken(), 1);
        assert!(!caller.polls(&mut alarm, 200));
        clock.advance(Duration::from_nanos(99));
        assert_eq!(caller.woken(), 1);
        clock.advance(Duration::from_nanos(1));
        assert_eq!(caller.woken(), 2);
        assert!(caller.polls(&mut alarm, 200));
    }

    #[test]
    fn the_caller_that_came_last_is_woken_also_if_it_rang_before() {
        let (clock, mut alarm) = alarm();
        let (first, second) = (Caller::new(), Caller::new());
        assert!(!first.polls(&mut alarm, 100));
        assert!(!second.polls(&mut alarm, 200));
        clock.advance(Duration::from_nanos(100));
        assert_eq!((first.woken(), second.woken()), (0, 1));
        // It rang while nobody waited: whoever comes next is still told.
        assert!(!first.polls(&mut alarm, 300));
        clock.advance(Duration::from_nanos(200));
        assert_eq!((first.woken(), second.woken()), (1, 1));
        assert!(first.polls(&mut alarm, 300));
    }

    #[test]
    fn an_earlier_deadline_is_kept() {
        let (clock, mut alarm) = alarm();
        let caller = Caller::new();
        assert!(!caller.polls(&mut alarm, 100));
        assert!(!caller.polls(&mut alarm, 50));
        clock.advance(Duration::from_nanos(50));
        assert_eq!(caller.woken(), 1);
        assert!(caller.polls(&mut alarm, 50));
    }
}
