//! The tasks that send batches.

use std::{
    collections::{HashMap, hash_map::Entry},
    hash::BuildHasher as _,
    panic::AssertUnwindSafe,
    pin::pin,
};

use foldhash::fast::RandomState;
use futures_util::{
    FutureExt as _,
    future::{Either, select},
};
use tokio::sync::oneshot;

use super::{Found, Shared, Waiter};
use crate::{Error, ErrorKind, Key, sync::Arc};

impl Shared {
    /// Starts the sender that was counted for a lane. One that cannot be started is dropped, which its lane learns.
    pub(super) fn start(self: &Arc<Self>, lane: usize) {
        let sender = Sender { shared: Arc::clone(self), lane, done: false };
        // Those who wait read for themselves then.
        let _ = self.spawn.spawn(Box::pin(sender.run()));
    }
}

struct Sender {
    shared: Arc<Shared>,
    lane: usize,
    done: bool,
}

impl Sender {
    async fn run(mut self) {
        loop {
            // Whoever can run now, and wants to read, is in the batch. No timer: it is the turn of a task.
            tokio::task::yield_now().await;
            let Some(batch) = self.shared.lanes[self.lane].take(self.shared.config.max_keys) else {
                self.done = true;
                return;
            };
            self.shared.send(batch).await;
        }
    }
}

/// Also when the task is dropped before its end, with its runtime.
impl Drop for Sender {
    fn drop(&mut self) {
        if !self.done {
            self.shared.lanes[self.lane].abandon();
        }
    }
}

impl Shared {
    async fn send(&self, batch: Vec<Waiter>) {
        let asked = Asked::from(batch);
        let answers = self.answers(&asked).await;
        asked.answer(&answers);
    }

    async fn answers(&self, asked: &Asked) -> Vec<Found> {
        let read = pin!(AssertUnwindSafe(self.read(&asked.keys)).catch_unwind());
        // Whoever waits began before this: after so long, none is left.
        match select(read, self.clock.sleep(self.limits.longest())).await {
            Either::Left((Ok(answers), _)) => answers,
            Either::Left((Err(_panic), _)) => {
                let error = Error::new(ErrorKind::Unavailable, "the store panicked while it read a batch");
                asked.all(&error.with_retryable(false))
            }
            Either::Right(_) => {
                asked.all(&Error::new(ErrorKind::Timeout, "a batch of reads did not end in time"))
            }
        }
    }

    async fn read(&self, keys: &[Key]) -> Vec<Found> {
        match keys {
            [only] => vec![self.store.get(only).await],
            keys => self.store.get_many(keys).await,
        }
    }
}

/// A batch: each key once, and who waits for which.
struct Asked {
    keys: Vec<Key>,
    waiting: Vec<(usize, oneshot::Sender<Found>)>,
}

impl From<Vec<Waiter>> for Asked {
    fn from(batch: Vec<Waiter>) -> Self {
        let mut asked =
            Self { keys: Vec::with_capacity(batch.len()), waiting: Vec::with_capacity(batch.len()) };
        let hasher = RandomState::default();
        let mut positions = HashMap::with_capacity_and_hasher(batch.len(), RandomState::default());
        for Waiter { key, answer } in batch {
            let next = asked.keys.len();
            let position = match positions.entry(hasher.hash_one(&key)) {
                Entry::Occupied(known) if asked.keys[*known.get()] == key => *known.get(),
                // Two keys of one hash are asked for apart, and that is all that matters.
                Entry::Occupied(_) => next,
                Entry::Vacant(free) => *free.insert(next),
            };
            if position == next {
                asked.keys.push(key);
            }
            asked.waiting.push((position, answer));
        }
        asked
    }
}

impl Asked {
    /// The same error for every key.
    fn all(&self, error: &Error) -> Vec<Found> {
        self.keys.iter().map(|_| Err(error.clone())).collect()
    }

    fn answer(self, answers: &[Found]) {
        for (position, waiter) in self.waiting {
            let answer = answers.get(position).cloned().unwrap_or_else(|| {
                Err(Error::new(ErrorKind::Corrupt, "the store answered fewer keys than it was asked for"))
            });
            // Nobody listens any more if the caller went away.
            let _ = waiter.send(answer);
        }
    }
}
