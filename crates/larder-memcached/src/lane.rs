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
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    task::{Context, Poll, Waker, ready},
};

use futures_util::task::AtomicWaker;
use larder_core::{Result, Spawn as _, Timestamp, TokioSpawn};
use tokio::{sync::oneshot, task::unconstrained};

use crate::{
    engine::Engine,
    error::{self, Reach},
    item::Item,
    job::{Answer, Job, Op, Waiter},
    shared::Shared,
};

/// Who polls the driver: nobody, the keeper, or the caller with this number.
const NOBODY: u64 = 0;
const KEEPER: u64 = 1;

pub(crate) struct Lane {
    shared: Arc<Shared>,
    engine: Mutex<Engine>,
    role: AtomicU64,
    next_caller: AtomicU64,
    keeper: AtomicWaker,
    /// The caller that has the role, or had it last: whoever takes the role away wakes it.
    caller: Mutex<Waker>,
    /// Whether there is a keeper.
    kept: AtomicBool,
    closed: AtomicBool,
}

/// An answer to come.
pub(crate) struct Promise {
    answer: oneshot::Receiver<Result<Answer>>,
    reach: Reach,
}

impl Lane {
    pub(crate) fn new(shared: Shared) -> Self {
        let shared = Arc::new(shared);
        Self {
            engine: Mutex::new(Engine::new(Arc::clone(&shared))),
            shared,
            role: AtomicU64::new(NOBODY),
            next_caller: AtomicU64::new(KEEPER + 1),
            keeper: AtomicWaker::new(),
            caller: Mutex::new(Waker::noop().clone()),
            kept: AtomicBool::new(false),
            closed: AtomicBool::new(false),
        }
    }

    /// One operation, from question to answer.
    pub(crate) async fn ask(self: &Arc<Self>, op: Op) -> Result<Answer> {
        self.ask_until(op, self.ends()).await
    }

    async fn ask_until(self: &Arc<Self>, op: Op, ends: Timestamp) -> Result<Answer> {
        self.see_to_keeper()?;
        let (job, promise) = self.job(op, ends)?;
        self.push([job])?;
        self.ride(self.keep(promise)).await
    }

    /// What is under a key.
    pub(crate) async fn read(self: &Arc<Self>, key: &str, ends: Timestamp) -> Result<Option<Item>> {
        self.see_to_keeper()?;
        let own = self.next_caller.fetch_add(1, SeqCst);
        if self.role.compare_exchange(NOBODY, own, SeqCst, SeqCst).is_ok()
            && let Some(answer) = self.read_alone(own, key, ends).await
        {
            return answer;
        }
        // Apart, so that one that goes quickly has no room to make for this.
        match Box::pin(self.ask_until(Op::Get { key: key.to_owned() }, ends)).await? {
            Answer::Item(item) => Ok(item),
            _ => Err(error::mismatch()),
        }
    }

    /// A read by the caller that has the role, on a connection at rest. `None` where that is not so.
    async fn read_alone(
        self: &Arc<Self>,
        own: u64,
        key: &str,
        ends: Timestamp,
    ) -> Option<Result<Option<Item>>> {
        let mut leave = Leave { lane: self, own, reads: false };
        poll_fn(|context| {
            let mut engine = self.engine();
            if !leave.reads {
                let begun = self.role.load(SeqCst) == own
                    && survives(&mut engine, |engine| engine.begin(own, key, ends, context)) == Some(true);
                if !begun {
                    return Poll::Ready(None);
                }
                leave.reads = true;
            } else if self.role.load(SeqCst) == own {
                poll_engine(&mut engine, own, context);
            }
            let answer = ready!(engine.collect(own, context));
            leave.reads = false;
            Poll::Ready(Some(answer))
        })
        .await
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
    pub(crate) fn ends(&self) -> Timestamp {
        let now = self.shared.settings.timer.now();
        self.shared.saw(now);
        now.saturating_add(self.shared.settings.operation_timeout)
    }

    fn job(&self, op: Op, ends: Timestamp) -> Result<(Job, Promise)> {
        if !self.shared.has_place() {
            return Err(error::too_many("max_in_flight", self.shared.settings.max_in_flight));
        }
        let ticket = self.shared.ticket();
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
        let _on_drop = Leave { lane: self, own, reads: false };
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

    fn engine(&self) -> MutexGuard<'_, Engine> {
        self.engine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Polls the driver, unless the role has passed on meanwhile.
    fn poll_driver(&self, own: u64, context: &mut Context<'_>) {
        let mut engine = self.engine();
        if self.role.load(SeqCst) != own {
            return;
        }
        if own > KEEPER {
            self.caller().clone_from(context.waker());
        }
        poll_engine(&mut engine, own, context);
    }

    /// Gives the role to the keeper if there is something left to do.
    fn pass_on(self: &Arc<Self>) {
        if self.shared.is_busy() && self.role.compare_exchange(NOBODY, KEEPER, SeqCst, SeqCst).is_ok() {
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
            if self.shared.is_busy() {
                return Poll::Pending;
            }
            // Whoever came before the role was free believed in the keeper: look again after freeing it.
            self.role.store(NOBODY, SeqCst);
            if !self.shared.is_busy() || self.role.compare_exchange(NOBODY, KEEPER, SeqCst, SeqCst).is_err() {
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
    /// Whether it has begun a read alone that is not answered.
    reads: bool,
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        if self.reads {
            self.lane.engine().forget(self.own);
        }
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
        lane.engine().reset();
    }
}

fn poll_engine(engine: &mut Engine, by: u64, context: &mut Context<'_>) {
    let polled = survives(engine, |engine| engine.poll(by, context).is_ready());
    if polled == Some(true) {
        engine.reset();
    }
    if polled != Some(false) {
        // Nothing knows of the new driver yet that could wake anybody for it.
        context.waker().wake_by_ref();
    }
}

/// A runtime that ends while its timers and sockets are in use here makes them panic. Then all begins anew.
fn survives<T>(engine: &mut Engine, step: impl FnOnce(&mut Engine) -> T) -> Option<T> {
    let made = catch_unwind(AssertUnwindSafe(|| step(engine)));
    if made.is_err() {
        engine.reset();
    }
    made.ok()
}
