//! The reads of one server.

use std::{collections::VecDeque, fmt};

use super::{UnderWay, Waiter};
use crate::sync::{AtomicUsize, Mutex, MutexGuard, Ordering};

#[derive(Default)]
pub(super) struct Lane {
    pub(super) under_way: AtomicUsize,
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

    /// Queues a read. `true` if a sender is to be started for it, which is counted already.
    pub(super) fn push(&self, waiter: Waiter, senders: usize) -> bool {
        let mut queue = self.lock();
        queue.waiting.push_back(waiter);
        let starts = queue.senders < senders;
        queue.senders += usize::from(starts);
        starts
    }

    /// What a sender sends next, without those whose callers went away. `None` ends the sender.
    pub(super) fn take(&self, most: usize) -> Option<Vec<Waiter>> {
        let mut queue = self.lock();
        let mut batch = Vec::with_capacity(queue.waiting.len().min(most));
        while batch.len() < most
            && let Some(waiter) = queue.waiting.pop_front()
        {
            if !waiter.answer.is_closed() {
                batch.push(waiter);
            }
        }
        if batch.is_empty() {
            queue.senders -= 1;
            return None;
        }
        Some(batch)
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
