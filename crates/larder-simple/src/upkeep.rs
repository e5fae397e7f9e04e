//! Reclaiming what has expired, while nobody asks for it.

use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use larder_core::{Clock, Key, Spawn, TokioSpawn};

use crate::{engine::Engine, locks::Locks};

/// How long the task rests between two looks, at least.
const REST: Duration = Duration::from_secs(1);
/// It rests this many times as long as it looked: a store of millions costs a twentieth of a core, at most.
const RESTS: u32 = 20;
/// How many entries are handled between two chances for other tasks.
const BREATH: usize = 1_024;

/// What is kept, and whether a background task looks after it.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) engine: Engine,
    pub(crate) locks: Locks,
    clock: Arc<dyn Clock>,
    running: AtomicBool,
}

impl Kept {
    pub(crate) fn new(engine: Engine, clock: Arc<dyn Clock>) -> Self {
        Self { engine, locks: Locks::new(), clock, running: AtomicBool::new(false) }
    }

    /// Sees to it that a task runs, after a write. Outside a Tokio runtime there is none: what has expired then stays,
    /// unserved, until the bounds push it out.
    pub(crate) fn wake(self: &Arc<Self>) {
        if !self.running.load(Ordering::SeqCst) {
            self.start();
        }
    }

    #[cold]
    fn start(self: &Arc<Self>) {
        if self.running.swap(true, Ordering::SeqCst) {
            return;
        }
        let mut turn = Turn(Arc::downgrade(self));
        let clock = Arc::clone(&self.clock);
        let task = async move {
            let mut rest = REST;
            loop {
                clock.sleep(rest).await;
                let Some(kept) = turn.0.upgrade() else { return };
                let began = clock.now();
                kept.reclaim().await;
                rest = REST.max(clock.now().saturating_since(began).saturating_mul(RESTS));
                if kept.gives_up() {
                    turn.end();
                    return;
                }
            }
        };
        // Without a runtime the task is dropped at once, and with it its turn: the next write tries again.
        drop(TokioSpawn.spawn(Box::pin(task)));
    }

    /// Looks at every entry and takes out what has expired.
    async fn reclaim(&self) {
        for (at, (key, entry)) in self.engine.iter().enumerate() {
            if !entry.is_live(self.clock.now()) {
                self.remove_if_expired(&key);
            }
            breathe(at + 1).await;
        }
    }

    /// A write may have come since the entry was looked at: its lock is held while looking again.
    fn remove_if_expired(&self, key: &Key) {
        let removed = {
            let _lock = self.locks.lock(key);
            let expired = self.engine.get(key).is_some_and(|entry| !entry.is_live(self.clock.now()));
            if expired { self.engine.remove(key) } else { None }
        };
        // Dropped outside the lock: a value's own `Drop` may take its time.
        if removed.is_some() {
            self.engine.report_expired();
        }
    }

    /// `true` if there is nothing left to do, or another task has begun to do it.
    fn gives_up(&self) -> bool {
        self.engine.maintain();
        if self.engine.count() > 0 {
            return false;
        }
        self.running.store(false, Ordering::SeqCst);
        // A write that saw `running` before that line is seen by this one.
        self.engine.maintain();
        self.engine.count() == 0 || self.running.swap(true, Ordering::SeqCst)
    }
}

/// Lets other tasks run now and then in a long row of entries; on any runtime, and without one.
pub(crate) async fn breathe(handled: usize) {
    if handled.is_multiple_of(BREATH) {
        tokio::task::yield_now().await;
    }
}

/// Held by the running task: a runtime that shuts down drops it, and the next write, in another runtime, starts anew.
struct Turn(Weak<Kept>);

impl Turn {
    /// Another task may have its turn already: this one has nothing to give back.
    fn end(&mut self) {
        self.0 = Weak::new();
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        // A runtime without a timer: trying again at every write would panic again each time.
        if std::thread::panicking() {
            return;
        }
        if let Some(kept) = self.0.upgrade() {
            kept.running.store(false, Ordering::SeqCst);
        }
    }
}
