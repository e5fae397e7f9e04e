//! Who is told of doubts, and replays them.

use super::Quarantine;
use crate::{
    Event, Namespace,
    sync::{Arc, Mutex, Weak},
};

/// A cache over the store.
pub(crate) trait Watcher: Send + Sync {
    fn tell(&self, event: &Event<'_>);

    /// Where it clears namespaces by stamps, its own namespace.
    fn cleared_by_stamps(&self) -> Option<&Namespace>;

    /// Starts a task that replays what is in doubt, unless one runs. `false` if it cannot, or there is nothing that it could
    /// do: another one is asked then.
    fn replay(self: Arc<Self>, quarantine: &Arc<Quarantine>) -> bool;
}

#[derive(Default)]
pub(super) struct Watchers(Mutex<Vec<Weak<dyn Watcher>>>);

impl Watchers {
    fn add(&self, watcher: Weak<dyn Watcher>) {
        let mut watchers = self.0.lock().expect("no code panics while it holds the watchers");
        watchers.retain(|known| known.strong_count() > 0);
        watchers.push(watcher);
    }

    /// Taken out of the lock: what they do may raise doubts of its own.
    fn alive(&self) -> Vec<Arc<dyn Watcher>> {
        let watchers = self.0.lock().expect("no code panics while it holds the watchers");
        watchers.iter().filter_map(Weak::upgrade).collect()
    }

    pub(super) fn tell(&self, event: &Event<'_>) {
        for watcher in self.alive() {
            watcher.tell(event);
        }
    }
}

impl Quarantine {
    pub(crate) fn watch(&self, watcher: Weak<dyn Watcher>) {
        self.watchers.add(watcher);
    }

    /// Whether a replay runs.
    pub(crate) fn is_replayed(&self) -> bool {
        self.lock().replaying
    }

    /// Whether every cache over the store is the one of this namespace, and clears by stamps.
    pub(crate) fn are_all_cleared_by_stamps_of(&self, root: &Namespace) -> bool {
        self.watchers.alive().iter().all(|watcher| watcher.cleared_by_stamps() == Some(root))
    }

    /// Sees to it that what is in doubt is replayed, where a task can be started.
    pub(crate) fn wake(self: &Arc<Self>) {
        if self.is_empty() || self.lock().replaying {
            return;
        }
        // The first that can does it, for all.
        let _ = self.watchers.alive().into_iter().any(|watcher| watcher.replay(self));
    }
}

/// The right to replay, one at a time. Dropped with work left, the next doubt or read starts another.
pub(crate) struct Turn {
    quarantine: Arc<Quarantine>,
    over: bool,
}

impl Turn {
    /// `None` where another one has it, or where nothing is to be done. `clears` says whether namespaces can be.
    pub(crate) fn take(quarantine: &Arc<Quarantine>, clears: bool) -> Option<Self> {
        let mut doubts = quarantine.lock();
        if doubts.replaying || !doubts.are_replayable(clears) {
            return None;
        }
        doubts.replaying = true;
        Some(Self { quarantine: Arc::clone(quarantine), over: false })
    }

    /// Ends it if nothing is left to be done; a doubt that arises after that finds the way free.
    pub(crate) fn is_over(&mut self, clears: bool) -> bool {
        let mut doubts = self.quarantine.lock();
        if !doubts.are_replayable(clears) {
            doubts.replaying = false;
            self.over = true;
        }
        self.over
    }

    /// Leaves what is left to another cache over the store.
    pub(crate) fn pass_on(self) {
        let quarantine = Arc::clone(&self.quarantine);
        drop(self);
        quarantine.wake();
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if !self.over {
            self.quarantine.lock().replaying = false;
        }
    }
}
