//! One task of the load: chooses a call, makes it, and has its answer judged.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use larder_core::{CacheStore, Error, Expiry, Key, Operations, Value};

use super::call::{Ended, Patience, call};
use super::content;
use super::ledger::{Fate, Ledger};
use super::options::LoadOptions;
use super::random::Random;
use super::tally::Tally;

/// Longer than any test; then what is left goes by itself.
const EXPIRY: Expiry = Expiry::After(Duration::from_mins(30));
const BATCH: usize = 8;

/// What all tasks share.
pub(super) struct Shared {
    pub(super) store: Arc<dyn CacheStore>,
    pub(super) options: LoadOptions,
    pub(super) keys: Vec<Key>,
    /// Keys of counters, in a ledger of their own.
    pub(super) counters: Vec<Key>,
    pub(super) ledger: Ledger,
    pub(super) counts: Ledger,
    pub(super) tally: Mutex<Tally>,
    pub(super) stop: AtomicBool,
}

impl Shared {
    pub(super) fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) struct Worker {
    shared: Arc<Shared>,
    random: Random,
    /// The keys that this task, and no other, writes.
    own: Vec<usize>,
}

impl Worker {
    pub(super) fn new(shared: Arc<Shared>, index: usize) -> Self {
        let own = (index..shared.keys.len()).step_by(shared.options.tasks).collect();
        // Streams that begin close to each other would follow each other.
        let mut seeds = Random::new(shared.options.seed);
        let seed = (0..=index).fold(0, |_, _| seeds.next());
        Self { shared, random: Random::new(seed), own }
    }

    pub(super) async fn work(mut self) {
        let operations = self.shared.store.capabilities().operations();
        while !self.shared.stop.load(Ordering::Relaxed) {
            match self.random.below(100) {
                0..50 => self.get().await,
                50..58 => self.get_many().await,
                58..62 => self.has().await,
                62..68 if operations.contains(Operations::INCREMENT) => self.increment().await,
                68..78 if operations.contains(Operations::VERSIONS) => self.replace().await,
                78..84 if operations.contains(Operations::VERSIONS) => self.add().await,
                84..88 => self.delete().await,
                _ => self.set().await,
            }
            tokio::time::sleep(self.shared.options.pause).await;
        }
    }

    /// Makes a call, and counts it. `None` if it was dropped or hung.
    async fn call<T>(
        &mut self,
        name: &'static str,
        future: impl Future<Output = Result<T, Error>>,
    ) -> Option<Result<T, Error>> {
        let patience = Patience::choose(&mut self.random, self.shared.options.cancel_one_in);
        self.patient_call(name, patience, future).await
    }

    async fn patient_call<T>(
        &mut self,
        name: &'static str,
        patience: Patience,
        future: impl Future<Output = Result<T, Error>>,
    ) -> Option<Result<T, Error>> {
        let began = Instant::now();
        let ended = call(patience, future).await;
        let mut tally = self.shared.tally();
        match ended {
            Ended::Done(result) => {
                tally.call(name, began, result.as_ref().err().map(Error::kind));
                Some(result)
            }
            Ended::Dropped => {
                tally.cancelled += 1;
                None
            }
            Ended::Hung => {
                tally.hung += 1;
                None
            }
        }
    }

    async fn get(&mut self) {
        let shared = Arc::clone(&self.shared);
        let key = self.random.below(shared.keys.len());
        let floor = shared.ledger.floor(key);
        if let Some(Ok(answer)) = self.call("get", shared.store.get(&shared.keys[key])).await {
            self.judge(key, floor, answer.as_ref());
        }
    }

    async fn get_many(&mut self) {
        let shared = Arc::clone(&self.shared);
        // Twice the same key now and then.
        let chosen: Vec<usize> = (0..BATCH).map(|_| self.random.below(shared.keys.len())).collect();
        let floors: Vec<u64> = chosen.iter().map(|key| shared.ledger.floor(*key)).collect();
        let keys: Vec<Key> = chosen.iter().map(|key| shared.keys[*key].clone()).collect();
        let all = async {
            let answers = shared.store.get_many(&keys).await;
            assert_eq!(answers.len(), keys.len(), "get_many answers for each key");
            // The call counts as failed if one of its parts did; the others are judged all the same.
            let error = answers.iter().find_map(|answer| answer.as_ref().err().cloned());
            for ((key, floor), answer) in chosen.iter().zip(&floors).zip(answers) {
                if let Ok(answer) = answer {
                    shared.judge(*key, *floor, answer.as_ref());
                }
            }
            error.map_or(Ok(()), Err)
        };
        self.call("get_many", all).await;
    }

    async fn has(&mut self) {
        let shared = Arc::clone(&self.shared);
        let key = self.random.below(shared.keys.len());
        self.call("has", shared.store.has(&shared.keys[key])).await;
    }

    async fn set(&mut self) {
        let shared = Arc::clone(&self.shared);
        let Some((key, sequence, value)) = self.next_write() else { return };
        let result = self.call("set", shared.store.set(&shared.keys[key], value, EXPIRY)).await;
        shared.ledger.settle(key, sequence, fate(result.as_ref(), |()| true));
    }

    async fn delete(&mut self) {
        let shared = Arc::clone(&self.shared);
        let Some(key) = self.own_key() else { return };
        let sequence = shared.ledger.issue(key);
        let result = self.call("delete", shared.store.delete(&shared.keys[key])).await;
        // Whether something was there or not: nothing older is, from now on.
        shared.ledger.settle(key, sequence, fate(result.as_ref(), |_| true));
    }

    async fn add(&mut self) {
        let shared = Arc::clone(&self.shared);
        let Some((key, sequence, value)) = self.next_write() else { return };
        let result = self.call("add", shared.store.add(&shared.keys[key], value, EXPIRY)).await;
        shared.ledger.settle(key, sequence, fate(result.as_ref(), Option::is_some));
    }

    async fn replace(&mut self) {
        let shared = Arc::clone(&self.shared);
        let Some(key) = self.own_key() else { return };
        let floor = shared.ledger.floor(key);
        let read = self.call("get_versioned", shared.store.get_versioned(&shared.keys[key])).await;
        let Some(Ok(Some((seen, version)))) = read else { return };
        self.judge(key, floor, Some(&seen));
        let (sequence, value) = self.value(key);
        let replace = shared.store.replace(&shared.keys[key], &version, value, EXPIRY);
        let result = self.call("replace", replace).await;
        shared.ledger.settle(key, sequence, fate(result.as_ref(), Option::is_some));
    }

    async fn increment(&mut self) {
        let shared = Arc::clone(&self.shared);
        let key = self.random.below(shared.counters.len());
        shared.counts.will_increment(key);
        // Never dropped: each that was would hide one that ran twice.
        let call = shared.store.increment(&shared.counters[key], 1, EXPIRY);
        match self.patient_call("increment", Patience::Full, call).await {
            Some(Ok(count)) => {
                let judged = shared.counts.judge_count(key, shared.counters[key].as_str(), count);
                shared.tally().answer(judged);
            }
            Some(Err(error)) if Fate::of(error.kind()) == Fate::Refused => shared.counts.was_refused(key),
            Some(Err(_)) | None => {}
        }
    }

    fn judge(&self, key: usize, floor: u64, answer: Option<&Value>) {
        self.shared.judge(key, floor, answer);
    }

    fn own_key(&mut self) -> Option<usize> {
        (!self.own.is_empty()).then(|| self.own[self.random.below(self.own.len())])
    }

    fn next_write(&mut self) -> Option<(usize, u64, Value)> {
        let key = self.own_key()?;
        let (sequence, value) = self.value(key);
        Some((key, sequence, value))
    }

    /// The next value of a key.
    fn value(&mut self, key: usize) -> (u64, Value) {
        let sequence = self.shared.ledger.issue(key);
        let (least, most) = self.shared.options.value_bytes.clone().into_inner();
        let range = (most.saturating_sub(least) + 1).max(1);
        let range = if self.random.one_in(16) { range } else { range.div_ceil(16) };
        let size = least + self.random.below(range);
        (sequence, Value::Bytes(content::make(self.shared.keys[key].as_str(), sequence, size)))
    }
}

impl Shared {
    fn judge(&self, key: usize, floor: u64, answer: Option<&Value>) {
        let Some(answer) = answer else {
            self.tally().misses += 1;
            return;
        };
        let name = self.keys[key].as_str();
        let judged = match answer {
            Value::Bytes(bytes) => self.ledger.judge(key, name, floor, bytes),
            _ => self.ledger.judge(key, name, floor, b""),
        };
        self.tally().answer(judged);
    }
}

/// `was_done` tells from a success whether there was an effect.
fn fate<T>(result: Option<&Result<T, Error>>, was_done: impl FnOnce(&T) -> bool) -> Fate {
    match result {
        None => Fate::Unknown,
        Some(Err(error)) => Fate::of(error.kind()),
        Some(Ok(value)) if was_done(value) => Fate::Done,
        Some(Ok(_)) => Fate::Refused,
    }
}
