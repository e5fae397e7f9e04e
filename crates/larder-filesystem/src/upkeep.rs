//! The background task.

use std::{
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use larder_core::{Clock as _, Namespace, Result, Spawn, SystemClock, Timestamp, TokioSpawn};

use crate::{blocking::Blocking, engine::Engine};

/// How long the first look waits: a process that opens the store for a few entries only need not read all of it.
const FIRST_REST: Duration = Duration::from_millis(500);

/// Whether a task looks after the store, and what it met last.
#[derive(Debug)]
pub(crate) struct Upkeep {
    blocking: Arc<Blocking>,
    every: Duration,
    running: Arc<AtomicBool>,
    /// When the last look ended: a task in another runtime goes on from there.
    looked: Arc<Mutex<Option<Timestamp>>>,
}

impl Upkeep {
    pub(crate) fn new(blocking: Arc<Blocking>, every: Duration) -> Self {
        Self { blocking, every, running: Arc::default(), looked: Arc::default() }
    }

    /// Sees to it that a task runs, in the runtime of the caller.
    pub(crate) fn wake(&self, engine: &Arc<Engine>) -> Result<()> {
        if self.running.load(Ordering::Relaxed) || self.running.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        let turn = Turn(Arc::clone(&self.running));
        let (blocking, every) = (Arc::clone(&self.blocking), self.every);
        let (engine, clock) = (Arc::downgrade(engine), Arc::clone(&engine.clock));
        let looked = Arc::clone(&self.looked);
        TokioSpawn.spawn(Box::pin(async move {
            let _turn = turn;
            if last(&looked).is_none() {
                SystemClock::new().sleep(FIRST_REST).await;
            }
            loop {
                let sweep: fn(&Engine) -> Result<()> = match last(&looked) {
                    None => Engine::first_sweep,
                    Some(last) => {
                        clock.sleep(every.saturating_sub(clock.now().saturating_since(last))).await;
                        Engine::sweep
                    }
                };
                if !look(&engine, &blocking, sweep, &looked).await {
                    return;
                }
            }
        }))
    }

    /// Does the rest of a clear, behind.
    pub(crate) fn after_clear(&self, engine: &Arc<Engine>, namespace: Namespace, mark: u64) -> Result<()> {
        let (blocking, engine) = (Arc::clone(&self.blocking), Arc::clone(engine));
        TokioSpawn.spawn(Box::pin(async move {
            let noted = Arc::clone(&engine);
            let done = blocking.background(move || engine.after_clear(&namespace, mark)).await;
            noted.note(done);
        }))
    }
}

fn last(looked: &Mutex<Option<Timestamp>>) -> Option<Timestamp> {
    *looked.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `false` when the store is gone.
async fn look(
    engine: &Weak<Engine>,
    blocking: &Blocking,
    sweep: fn(&Engine) -> Result<()>,
    looked: &Arc<Mutex<Option<Timestamp>>>,
) -> bool {
    let Some(engine) = engine.upgrade() else { return false };
    let swept = {
        let (engine, looked) = (Arc::clone(&engine), Arc::clone(looked));
        let job = move || {
            let swept = sweep(&engine);
            // Here: a runtime that shuts down drops the task, and the job goes on.
            *looked.lock().unwrap_or_else(PoisonError::into_inner) = Some(engine.clock.now());
            swept
        };
        blocking.background(job).await
    };
    engine.note(swept);
    true
}

/// Held by the running task: a runtime that shuts down drops it, and the next write, in another runtime, starts anew.
#[derive(Debug)]
struct Turn(Arc<AtomicBool>);

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}
