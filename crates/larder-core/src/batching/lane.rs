//! The reads of one server.

use std::{collections::VecDeque, fmt};

use super::{UnderWay, Waiter};
use crate::sync::{AtomicUsize, Mutex, MutexGuard, Ordering};

#[derive(Default)]
pub(super) struct Lane {
    under_way: AtomicUsize,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Waiter>,
    /// The tasks that send batches. While anyone waits there is one.
    senders: usize,
}

impl Lane {
    pub(super) fn enter(&self) -> UnderWay<'_> {
        UnderWay { lane: self, before: self.under_way.fetch_add(1, Ordering::Relaxed) }
    }

    pub(super) fn leave(&self) {
        self.under_way.fetch_sub(1, Ordering::Relaxed);
    }

    /// Queues a read. `true` if a sender is to be started for it, which is counted already.
    pub(super) fn push(&self, waiter: Waiter, senders: usize) -> bool {
        let mut queue = self.lock();
        queue.waiting.push_back(waiter);
        let starts = queue.senders < senders;
        queue.senders += usize::from(starts);
        starts
    }

    /// Fills `batch`, which is empty, with what a sender sends next, without those whose callers went away. `false` ends the sender.
    pub(super) fn take(&self, batch: &mut VecDeque<Waiter>, most: usize) -> bool {
        while batch.is_empty() {
            {
                let mut queue = self.lock();
                if queue.waiting.is_empty() {
                    queue.senders -= 1;
                    return false;
                }
                // Nothing is looked at here: whoever wants to queue waits meanwhile.
                if queue.waiting.len() <= most {
                    std::mem::swap(batch, &mut queue.waiting);
                } else {
                    batch.extend(queue.waiting.drain(..most));
                }
            }
            batch.retain(|waiter| !waiter.answer.is_closed());
        }
        true
    }

    /// A sender ended before its time. If it was the last, nobody else would send what waits: the callers learn that by the
    /// end of their channels.
    pub(super) fn abandon(&self) {
        let orphans = {
            let mut queue = self.lock();
            queue.senders -= 1;
            if queue.senders == 0 { std::mem::take(&mut queue.waiting) } else { VecDeque::new() }
        };
        drop(orphans);
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().expect("no code panics while it holds a queue")
    }
}

/// Without the keys that wait.
impl fmt::Debug for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let queue = self.lock();
        f.debug_struct("Lane")
            .field("under_way", &self.under_way)
            .field("waiting", &queue.waiting.len())
            .field("senders", &queue.senders)
            .finish_non_exhaustive()
    }
}
