//! What the driver of a connection and those who call on it share: the queue, the connection at rest, and who is under way.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering},
    },
    task::Poll,
};

use larder_core::{Error, Result, Timestamp};

use crate::{
    connect::{Connection, Target},
    error::{self, Reach},
    job::{Job, Op, Ticket},
    settings::Settings,
};

/// The most that goes into one trip.
const TRIP_JOBS: usize = 1_024;
const TRIP_BYTES: usize = 1 << 20;

/// What the driver of a connection shares with those who call on it.
pub(crate) struct Shared {
    pub(crate) target: Target,
    pub(crate) settings: Arc<Settings>,
    /// Failed attempts to connect to the server, in a row, by all its connections.
    pub(crate) failures: Arc<AtomicU32>,
    /// Whether a read that has the connection for itself is under way.
    reads: AtomicBool,
    /// Other operations that are not answered yet.
    pub(crate) pending: Arc<AtomicUsize>,
    /// The same of the whole store.
    pub(crate) in_flight: Arc<AtomicUsize>,
    /// Whether the driver has something to do though nobody waits: to connect again.
    pub(crate) restless: AtomicBool,
    /// The connection, while it is not in use.
    rest: Mutex<Option<Connection>>,
    /// Whether the driver waits for something in the queue. It leaves no waker: most who come poll it themselves.
    idle: AtomicBool,
    /// When the last operation was asked for, by the machine's clock, in nanoseconds.
    pub(crate) recent: AtomicU64,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    /// Why there is no connection, once an attempt to make one has failed.
    down: Option<Error>,
}

impl Shared {
    pub(crate) fn new(
        target: Target,
        settings: Arc<Settings>,
        failures: Arc<AtomicU32>,
        in_flight: Arc<AtomicUsize>,
    ) -> Self {
        Self {
            target,
            settings,
            failures,
            reads: AtomicBool::new(false),
            pending: Arc::default(),
            in_flight,
            restless: AtomicBool::new(false),
            rest: Mutex::default(),
            idle: AtomicBool::new(false),
            recent: AtomicU64::new(0),
            queue: Mutex::default(),
        }
    }

    /// Puts operations in the queue, in order. While the server cannot be reached that is an error at once.
    pub(crate) fn push(&self, jobs: impl IntoIterator<Item = Job>) -> Result<()> {
        let mut queue = self.queue();
        if let Some(error) = &queue.down {
            return Err(error.clone());
        }
        queue.jobs.extend(jobs);
        Ok(())
    }

    /// Somebody has looked at the clock.
    pub(crate) fn saw(&self, now: Timestamp) {
        self.recent.store(now.as_nanos(), Ordering::Relaxed);
    }

    /// Whether what was put in the queue may have escaped the driver, so that it has to be polled once more.
    pub(crate) fn is_idle(&self) -> bool {
        self.idle.load(Ordering::SeqCst)
    }

    pub(crate) fn rest(&self) -> MutexGuard<'_, Option<Connection>> {
        self.rest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the store takes one more operation.
    pub(crate) fn has_place(&self) -> bool {
        self.in_flight.load(Ordering::SeqCst) < self.settings.max_in_flight
    }

    /// A read has the connection for itself. Its caller has the role and passes it on: who asks meanwhile, without the engine
    /// locked, need not see it at once.
    pub(crate) fn read_begins(&self) {
        self.in_flight.fetch_add(1, Ordering::SeqCst);
        self.reads.store(true, Ordering::Release);
    }

    pub(crate) fn read_ends(&self) {
        self.in_flight.fetch_sub(1, Ordering::SeqCst);
        self.reads.store(false, Ordering::Release);
    }

    pub(crate) fn ticket(&self) -> Ticket {
        Ticket::new([&self.in_flight, &self.pending])
    }

    /// Whether the driver has something to do.
    pub(crate) fn is_busy(&self) -> bool {
        self.pending.load(Ordering::SeqCst) > 0
            || self.reads.load(Ordering::SeqCst)
            || self.restless.load(Ordering::SeqCst)
    }

    /// Ends a connection that must not be used again; the driver makes another.
    pub(crate) fn hang_up(&self) {
        *self.rest() = None;
        self.restless.store(true, Ordering::SeqCst);
    }

    /// Ready once something is in the queue, or there is no connection and should be one.
    pub(crate) fn poll_work(&self) -> Poll<()> {
        // Said before looking, so that whoever comes after the look sees it.
        self.idle.store(true, Ordering::SeqCst);
        if !self.has_jobs() && !self.restless.load(Ordering::SeqCst) {
            return Poll::Pending;
        }
        self.idle.store(false, Ordering::SeqCst);
        Poll::Ready(())
    }

    /// Answers everything that waits, because nobody will drive it.
    pub(crate) fn abandon(&self) {
        let jobs = std::mem::take(&mut self.queue().jobs);
        for job in jobs {
            job.waiter.answer(Err(error::cut_off(&self.settings.name, Reach::Waiting)));
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As much as goes into one trip. What waited too long is not sent any more.
    pub(crate) fn take(&self, now: Timestamp) -> Vec<Job> {
        self.expire(now);
        let mut queue = self.queue();
        let mut bytes = 0;
        let fits = |job: &Job| {
            bytes += match &job.op {
                Op::Set { item, .. } => item.len(),
                Op::Change { change, .. } => change.size(),
                Op::Get { .. } | Op::Delete { .. } | Op::Ping => 0,
            };
            bytes <= TRIP_BYTES
        };
        let count = queue.jobs.iter().take(TRIP_JOBS).map(fits).take_while(|fits| *fits).count();
        let count = count.max(1).min(queue.jobs.len());
        queue.jobs.drain(..count).collect()
    }

    fn has_jobs(&self) -> bool {
        !self.queue().jobs.is_empty()
    }

    /// When the first one in the queue must have an answer.
    pub(crate) fn oldest(&self) -> Option<Timestamp> {
        Some(self.queue().jobs.front()?.waiter.ends)
    }

    /// Answers those in the queue whose time is over.
    pub(crate) fn expire(&self, now: Timestamp) {
        let mut over = Vec::new();
        {
            let mut queue = self.queue();
            while queue.jobs.front().is_some_and(|job| job.waiter.ends <= now) {
                over.extend(queue.jobs.pop_front());
            }
        }
        for job in over {
            let Settings { name, operation_timeout, .. } = &*self.settings;
            job.waiter.answer(Err(error::timed_out(name, Reach::Waiting, *operation_timeout)));
        }
    }

    pub(crate) fn up(&self) {
        self.queue().down = None;
        self.restless.store(false, Ordering::SeqCst);
        self.failures.store(0, Ordering::Relaxed);
    }

    pub(crate) fn down(&self, error: &Error) {
        let jobs = {
            let mut queue = self.queue();
            queue.down = Some(error.clone());
            std::mem::take(&mut queue.jobs)
        };
        self.restless.store(true, Ordering::SeqCst);
        self.failures.fetch_add(1, Ordering::Relaxed);
        for job in jobs {
            job.waiter.answer(Err(error.clone()));
        }
    }
}
