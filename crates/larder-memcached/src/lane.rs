//! One connection, and who drives it.
//!
//! The driver of a connection is one future, which owns the connection and all that is on its way. It does not matter who
//! polls it, only that somebody does. A caller that is alone polls it itself while it waits: no other task has to wake
//! up, and a single operation costs what it costs on a bare connection. As soon as a second caller comes, or the first
//! goes away, the keeper takes over, a task of the store's own. A caller that is dropped, or never polled again, loses
//! nothing but its own answer.

use std::{
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll, Waker},
};

use futures_util::task::AtomicWaker;
use larder_core::{BoxFuture, Clock as _, Result, Spawn as _, SystemClock, Timestamp, TokioSpawn};
use tokio::{sync::oneshot, task::unconstrained};

use crate::{
    driver::{Shared, drive},
    error::{self, Reach},
    job::{Answer, Job, Op, Ticket, Waiter},
};

/// Who polls the driver: nobody, the keeper, or the caller with this number.
const NOBODY: u64 = 0;
const KEEPER: u64 = 1;

pub(crate) struct Lane {
    shared: Arc<Shared>,
    driver: Mutex<BoxFuture<'static, ()>>,
    role: AtomicU64,
    next_caller: AtomicU64,
    keeper: AtomicWaker,
    /// The caller that has the role, or had it last: whoever takes the role away wakes it.
    caller: Mutex<Waker>,
    /// Whether there is a keeper.
    kept: AtomicBool,
    closed: AtomicBool,
    /// Operations of the whole store that are not answered yet.
    in_flight: Arc<AtomicUsize>,
    clock: SystemClock,
}

/// An answer to come.
pub(crate) struct Promise {
    answer: oneshot::Receiver<Result<Answer>>,
    reach: Reach,
}

impl Lane {
    pub(crate) fn new(shared: Shared, in_flight: Arc<AtomicUsize>) -> Self {
        let shared = Arc::new(shared);
        Self {
            driver: Mutex::new(Box::pin(drive(Arc::clone(&shared)))),
            shared,
            role: AtomicU64::new(NOBODY),
            next_caller: AtomicU64::new(KEEPER + 1),
            keeper: AtomicWaker::new(),
            caller: Mutex::new(Waker::noop().clone()),
            kept: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            in_flight,
            clock: SystemClock::new(),
        }
    }

    /// One operation, from question to answer.
    pub(crate) async fn ask(self: &Arc<Self>, op: Op) -> Result<Answer> {
        self.see_to_keeper()?;
        let (job, promise) = self.job(op, self.ends())?;
        self.push([job])?;
        self.ride(self.keep(promise)).await
    }

    /// Several operations, in order; one result for each.
    pub(crate) async fn ask_all(self: &Arc<Self>, ops: Vec<Op>) -> Vec<Result<Answer>> {
        let ends = self.ends();
        let mut jobs = Vec::with_capacity(ops.len());
        let mut promises = Vec::with_capacity(ops.len());
        for op in ops {
            promises.push(self.job(op, ends).map(|(job, promise)| {
                jobs.push(job);
                promise
            }));
        }
        if let Err(error) = self.see_to_keeper().and_then(|()| self.push(jobs)) {
            return promises
                .into_iter()
                .map(|promise| Err(promise.err().unwrap_or_else(|| error.clone())))
                .collect();
        }
        self.ride(async {
            let mut answers = Vec::with_capacity(promises.len());
            for promise in promises {
                answers.push(match promise {
                    Ok(promise) => self.keep(promise).await,
                    Err(error) => Err(error),
                });
            }
            answers
        })
        .await
    }

    async fn keep(&self, promise: Promise) -> Result<Answer> {
        let Promise { answer, reach } = promise;
        answer.await.unwrap_or_else(|_| Err(error::cut_off(&self.shared.settings.name, reach)))
    }

    /// When whoever asks now must have an answer.
    fn ends(&self) -> Timestamp {
        let now = self.clock.now();
        self.shared.saw(now);
        now.saturating_add(self.shared.settings.operation_timeout)
    }

    fn job(&self, op: Op, ends: Timestamp) -> Result<(Job, Promise)> {
        let limit = self.shared.settings.max_in_flight;
        if self.in_flight.load(SeqCst) >= limit {
            return Err(error::too_many("max_in_flight", limit));
        }
        let ticket = Ticket::new([&self.in_flight, &self.shared.pending]);
        let (reply, answer) = oneshot::channel();
        let reach = op.reach();
        Ok((Job { op, waiter: Waiter { reply, ends, ticket } }, Promise { answer, reach }))
    }

    fn push(self: &Arc<Self>, jobs: impl IntoIterator<Item = Job>) -> Result<()> {
        // Whoever drives may be a caller that nobody polls again, and then nobody would ever connect.
        self.shared.push(jobs).inspect_err(|_| self.hand_to_keeper())
    }

    /// Waits for `answers`, and drives the connection meanwhile if nobody else does.
    async fn ride<T>(self: &Arc<Self>, answers: impl Future<Output = T>) -> T {
        // Told to yield while it is polled without its waker, it would never be woken: it does not yield, and the driver
        // does.
        let mut answers = pin!(unconstrained(answers));
        let own = self.next_caller.fetch_add(1, SeqCst);
        let _on_drop = Leave { lane: self, own };
        poll_fn(|context| {
            if self.takes_role(own) {
                self.poll_driver(own, context);
                // An answer that comes of polling the driver needs to wake nobody: its receiver is awake.
                let answered = answers.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                if answered.is_ready() || self.role.load(SeqCst) == own {
                    return answered;
                }
            }
            answers.as_mut().poll(context)
        })
        .await
    }

    /// Whether the caller is the one to poll the driver.
    fn takes_role(self: &Arc<Self>, own: u64) -> bool {
        match self.role.compare_exchange(NOBODY, own, SeqCst, SeqCst) {
            Ok(_) => true,
            Err(current) if current == own => true,
            // Two are no longer alone, and nobody knows when the other one is polled again.
            Err(_) => {
                self.hand_to_keeper();
                false
            }
        }
    }

    fn hand_to_keeper(self: &Arc<Self>) {
        let before = self.role.swap(KEEPER, SeqCst);
        if before != KEEPER || self.shared.is_idle() {
            self.wake_keeper();
        }
        if before > KEEPER {
            self.caller().wake_by_ref();
        }
    }

    fn caller(&self) -> MutexGuard<'_, Waker> {
        self.caller.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake_keeper(self: &Arc<Self>) {
        // Without a runtime there is none to start; then the next caller, who has one, starts it.
        let _ = self.see_to_keeper();
        self.keeper.wake();
    }

    /// Polls the driver, unless the role has passed on meanwhile.
    fn poll_driver(&self, own: u64, context: &mut Context<'_>) {
        let mut driver = self.driver.lock().unwrap_or_else(PoisonError::into_inner);
        if self.role.load(SeqCst) != own {
            return;
        }
        if own > KEEPER {
            self.caller().clone_from(context.waker());
        }
        // A runtime that ends while its timers and sockets are in use here makes them panic.
        let polled = catch_unwind(AssertUnwindSafe(|| driver.as_mut().poll(context).is_ready()));
        if polled.unwrap_or(true) {
            *driver = Box::pin(drive(Arc::clone(&self.shared)));
            self.shared.abandon();
        }
    }

    fn has_work(&self) -> bool {
        self.shared.pending.load(SeqCst) > 0 || self.shared.restless.load(SeqCst)
    }

    /// Gives the role to the keeper if there is something left to do.
    fn pass_on(self: &Arc<Self>) {
        if self.has_work() && self.role.compare_exchange(NOBODY, KEEPER, SeqCst, SeqCst).is_ok() {
            self.wake_keeper();
        }
    }

    /// Starts a keeper, if there is none: the first time, and after the runtime it ran in has ended.
    fn see_to_keeper(self: &Arc<Self>) -> Result<()> {
        if self.kept.load(SeqCst) || self.kept.swap(true, SeqCst) {
            return Ok(());
        }
        let keeper = Keeper(Arc::clone(self));
        TokioSpawn.spawn(Box::pin(async move { poll_fn(|context| keeper.0.poll_keeper(context)).await }))
    }

    fn poll_keeper(&self, context: &mut Context<'_>) -> Poll<()> {
        self.keeper.register(context.waker());
        loop {
            if self.closed.load(SeqCst) {
                return Poll::Ready(());
            }
            if self.role.load(SeqCst) != KEEPER {
                return Poll::Pending;
            }
            self.poll_driver(KEEPER, context);
            if self.has_work() {
                return Poll::Pending;
            }
            // Whoever came before the role was free believed in the keeper: look again after freeing it.
            self.role.store(NOBODY, SeqCst);
            if !self.has_work() || self.role.compare_exchange(NOBODY, KEEPER, SeqCst, SeqCst).is_err() {
                return Poll::Pending;
            }
        }
    }

    /// Ends the keeper, and with it the connection.
    pub(crate) fn close(&self) {
        self.closed.store(true, SeqCst);
        self.keeper.wake();
    }

    /// Whether the last attempts to connect to its server have failed.
    pub(crate) fn failures(&self) -> u32 {
        self.shared.failures.load(SeqCst)
    }
}

/// A caller that stops waiting, with or without its answer.
struct Leave<'a> {
    lane: &'a Arc<Lane>,
    own: u64,
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        if self.lane.role.compare_exchange(self.own, NOBODY, SeqCst, SeqCst).is_ok() {
            self.lane.pass_on();
        }
    }
}

/// The task of a lane. However it ends, nobody waits in vain.
struct Keeper(Arc<Lane>);

impl Drop for Keeper {
    fn drop(&mut self) {
        let lane = &*self.0;
        // Who comes from now on drives by itself, or starts another keeper.
        lane.kept.store(false, SeqCst);
        lane.role.store(NOBODY, SeqCst);
        // The connection perhaps belongs to the runtime that ends here.
        *lane.driver.lock().unwrap_or_else(PoisonError::into_inner) =
            Box::pin(drive(Arc::clone(&lane.shared)));
        lane.shared.abandon();
    }
}
