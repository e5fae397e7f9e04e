//! The background task.

use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use larder_core::{Clock as _, Namespace, Result, Spawn, SystemClock, TokioSpawn};

use crate::{blocking::Blocking, engine::Engine};

/// How long the first look waits: a process that opens the store for a few entries only need not read all of it.
const FIRST_REST: Duration = Duration::from_millis(500);

/// Whether a task looks after the store, and what it met last.
#[derive(Debug)]
pub(crate) struct Upkeep {
    blocking: Arc<Blocking>,
    every: Duration,
    running: Arc<AtomicBool>,
}

impl Upkeep {
    pub(crate) fn new(blocking: Arc<Blocking>, every: Duration) -> Self {
        Self { blocking, every, running: Arc::default() }
    }

    /// Sees to it that a task runs, in the runtime of the caller.
    pub(crate) fn wake(&self, engine: &Arc<Engine>) -> Result<()> {
        if self.running.load(Ordering::Relaxed) || self.running.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        let turn = Turn(Arc::clone(&self.running));
        let (blocking, every) = (Arc::clone(&self.blocking), self.every);
        let (engine, clock) = (Arc::downgrade(engine), Arc::clone(&engine.clock));
        TokioSpawn.spawn(Box::pin(async move {
            let _turn = turn;
            SystemClock::new().sleep(FIRST_REST).await;
            let mut sweep: fn(&Engine) -> Result<()> = Engine::first_sweep;
            while look(&engine, &blocking, sweep).await {
                sweep = Engine::sweep;
                clock.sleep(every).await;
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

/// `false` when the store is gone.
async fn look(engine: &Weak<Engine>, blocking: &Blocking, sweep: fn(&Engine) -> Result<()>) -> bool {
    let Some(engine) = engine.upgrade() else { return false };
    let swept = {
        let engine = Arc::clone(&engine);
        blocking.background(move || sweep(&engine)).await
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
