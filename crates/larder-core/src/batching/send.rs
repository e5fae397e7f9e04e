//! The tasks that send batches.

use std::{
    collections::{HashMap, VecDeque, hash_map::Entry},
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
        // Its room is kept from batch to batch, by it or by the queue.
        let mut batch = VecDeque::new();
        loop {
            // Whoever can run now, and wants to read, is in the batch. No timer: it is the turn of a task.
            tokio::task::yield_now().await;
            if !self.shared.lanes[self.lane].take(&mut batch, self.shared.config.max_keys) {
                self.done = true;
                return;
            }
            self.shared.send(&mut batch).await;
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
    async fn send(&self, batch: &mut VecDeque<Waiter>) {
        let asked = Asked::all_of(batch);
        let answers = self.answers(&asked.keys).await;
        asked.answer(answers);
    }

    async fn answers(&self, keys: &[Key]) -> Vec<Found> {
        let read = pin!(AssertUnwindSafe(self.read(keys)).catch_unwind());
        // Whoever waits began before this: after so long, none is left.
        match select(read, self.clock.sleep(self.limits.longest())).await {
            Either::Left((Ok(answers), _)) => answers,
            Either::Left((Err(_panic), _)) => {
                let error = Error::new(ErrorKind::Unavailable, "the store panicked while it read a batch");
                all(keys, &error.with_retryable(false))
            }
            Either::Right(_) => {
                all(keys, &Error::new(ErrorKind::Timeout, "a batch of reads did not end in time"))
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

/// The same error for every key.
fn all(keys: &[Key], error: &Error) -> Vec<Found> {
    keys.iter().map(|_| Err(error.clone())).collect()
}

/// A batch: each key once, and who waits for it.
struct Asked {
    keys: Vec<Key>,
    /// One for each key.
    first: Vec<oneshot::Sender<Found>>,
    /// Who waits for a key as well, by its position.
    further: Vec<(usize, oneshot::Sender<Found>)>,
}

impl Asked {
    fn all_of(batch: &mut VecDeque<Waiter>) -> Self {
        let count = batch.len();
        let mut asked =
            Self { keys: Vec::with_capacity(count), first: Vec::with_capacity(count), further: Vec::new() };
        let hasher = RandomState::default();
        let mut positions = HashMap::with_capacity_and_hasher(count, RandomState::default());
        for Waiter { key, answer } in batch.drain(..) {
            let next = asked.keys.len();
            let position = match positions.entry(hasher.hash_one(&key)) {
                Entry::Occupied(known) if asked.keys[*known.get()] == key => *known.get(),
                // Two keys of one hash are asked for apart, and that is all that matters.
                Entry::Occupied(_) => next,
                Entry::Vacant(free) => *free.insert(next),
            };
            if position == next {
                asked.keys.push(key);
                asked.first.push(answer);
            } else {
                asked.further.push((position, answer));
            }
        }
        asked
    }

    /// Nobody listens any more where the caller went away.
    fn answer(self, answers: Vec<Found>) {
        for (position, waiter) in self.further {
            let _ = waiter.send(answers.get(position).cloned().unwrap_or_else(too_few));
        }
        let mut answers = answers.into_iter();
        for waiter in self.first {
            let _ = waiter.send(answers.next().unwrap_or_else(too_few));
        }
    }
}

fn too_few() -> Found {
    Err(Error::new(ErrorKind::Corrupt, "the store answered fewer keys than it was asked for"))
}
