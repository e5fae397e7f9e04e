//! A batched read answers what a plain one could have answered, whoever goes away meanwhile.

use std::{
    collections::HashMap,
    future::poll_fn,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
};

use larder_core::{
    Batching, CacheStore, Capabilities, Clock, Error, ErrorKind, Expiry, Key, ManualClock, Result, Value,
    async_trait,
};
use proptest::prelude::*;

use super::{batched, key};
use crate::support::settle;

/// Since which write a key holds which value.
type History = Vec<(usize, Option<i64>)>;

/// Remembers what each key held when, and answers after as many turns as the script says.
#[derive(Debug)]
struct Slow {
    clock: ManualClock,
    history: Mutex<HashMap<Key, History>>,
    writes: AtomicUsize,
    /// How many turns a read takes, before and after it reads; used round and round.
    turns: Vec<(u8, u8)>,
    reads: AtomicUsize,
    /// The number of a key that fails.
    broken: Key,
}

impl Slow {
    fn write(&self, key: &Key, value: Option<i64>) {
        let at = self.writes.fetch_add(1, Ordering::SeqCst) + 1;
        self.history.lock().unwrap().entry(key.clone()).or_default().push((at, value));
    }

    fn now(&self, key: &Key) -> Option<i64> {
        self.history.lock().unwrap().get(key).and_then(|all| all.last()).and_then(|(_, value)| *value)
    }

    /// Whether `key` held `value` at some time between two writes.
    fn held(&self, key: &Key, value: Option<i64>, from: usize, to: usize) -> bool {
        let history = self.history.lock().unwrap();
        let empty = Vec::new();
        let all = history.get(key).unwrap_or(&empty);
        let at_first = all.iter().rev().find(|(at, _)| *at <= from).and_then(|(_, value)| *value);
        at_first == value || all.iter().any(|(at, held)| from < *at && *at <= to && *held == value)
    }

    fn turns(&self) -> (u8, u8) {
        self.turns[self.reads.fetch_add(1, Ordering::SeqCst) % self.turns.len()]
    }

    fn read(&self, key: &Key) -> Result<Option<Value>> {
        if *key == self.broken {
            return Err(Error::new(ErrorKind::Overloaded, "that one never works"));
        }
        Ok(self.now(key).map(Value::Int))
    }
}

async fn turns(count: u8) {
    for _ in 0..count {
        tokio::task::yield_now().await;
    }
}

#[async_trait]
impl CacheStore for Slow {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new()
    }

    fn clock(&self) -> Option<Arc<dyn Clock>> {
        Some(Arc::new(self.clock.clone()))
    }

    async fn get(&self, key: &Key) -> Result<Option<Value>> {
        let (before, after) = self.turns();
        turns(before).await;
        let found = self.read(key);
        turns(after).await;
        found
    }

    async fn get_many(&self, keys: &[Key]) -> Vec<Result<Option<Value>>> {
        let (before, after) = self.turns();
        turns(before).await;
        let found = keys.iter().map(|key| self.read(key)).collect();
        turns(after).await;
        found
    }

    async fn set(&self, key: &Key, value: Value, _: Expiry) -> Result<()> {
        let Value::Int(int) = value else { panic!("the script writes numbers") };
        self.write(key, Some(int));
        Ok(())
    }

    async fn delete(&self, key: &Key) -> Result<bool> {
        self.write(key, None);
        Ok(true)
    }
}

#[derive(Clone, Debug)]
enum Step {
    Read(u8),
    Write(u8),
    Delete(u8),
    Turns(u8),
    /// The read that was started so many reads ago goes away.
    Leave(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0_u8..6).prop_map(Step::Read),
        3 => (0_u8..6).prop_map(Step::Write),
        1 => (0_u8..6).prop_map(Step::Delete),
        3 => (0_u8..5).prop_map(Step::Turns),
        2 => (0_u8..6).prop_map(Step::Leave),
    ]
}

fn batching() -> impl Strategy<Value = Batching> {
    (0_usize..4, 1_usize..5, 1_usize..3).prop_map(|(threshold, keys, batches)| {
        Batching::new().threshold(threshold).max_keys(keys).batches(batches)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn batched_reads_answer_as_plain_ones(
        steps in prop::collection::vec(step(), 1..80),
        turns in prop::collection::vec((0_u8..4, 0_u8..4), 1..8),
        batching in batching(),
    ) {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(run(steps, turns, batching));
    }
}

async fn run(steps: Vec<Step>, script: Vec<(u8, u8)>, batching: Batching) {
    let name = |number: u8| key(&format!("k{number}"));
    let store = Arc::new(Slow {
        clock: ManualClock::default(),
        history: Mutex::default(),
        writes: AtomicUsize::new(0),
        turns: script,
        reads: AtomicUsize::new(0),
        broken: name(5),
    });
    let handle = batched(Arc::clone(&store) as Arc<dyn CacheStore>, batching);
    let (mut reads, mut next) = (Vec::new(), 0_i64);
    for step in steps {
        match step {
            Step::Read(number) => {
                let (handle, store, key) = (handle.clone(), Arc::clone(&store), name(number));
                let mut read = Box::pin(async move {
                    let from = store.writes.load(Ordering::SeqCst);
                    let found = handle.guarded().get(&key).await;
                    let to = store.writes.load(Ordering::SeqCst);
                    match found {
                        Ok(None) => assert!(store.held(&key, None, from, to), "{key:?} was not absent"),
                        Ok(Some(Value::Int(int))) => {
                            assert!(store.held(&key, Some(int), from, to), "{key:?} did not hold {int}");
                        }
                        Ok(other) => panic!("{other:?}"),
                        Err(error) => {
                            assert_eq!((key, error.kind()), (store.broken.clone(), ErrorKind::Overloaded));
                        }
                    }
                });
                // The call begins here, not when its task has its turn.
                let first = poll_fn(|context| Poll::Ready(read.as_mut().poll(context))).await;
                if first.is_pending() {
                    reads.push(tokio::spawn(read));
                }
            }
            Step::Write(number) => {
                next += 1;
                handle.guarded().set(&name(number), Value::Int(next), Expiry::Never).await.unwrap();
            }
            Step::Delete(number) => {
                handle.guarded().delete(&name(number)).await.unwrap();
            }
            Step::Turns(count) => turns(count).await,
            Step::Leave(ago) => {
                if let Some(read) = reads.iter().rev().nth(usize::from(ago)) {
                    read.abort();
                }
            }
        }
    }
    for read in reads {
        match read.await {
            Ok(()) => {}
            Err(left) => assert!(left.is_cancelled(), "{left}"),
        }
    }
    // Nothing is left behind: neither a count nor a queue.
    drop(handle.guarded().get(&name(0)).await.unwrap());
    settle().await;
    let left = format!("{:?}", handle.guarded());
    assert!(left.contains("under_way: 0, waiting: 0, senders: 0"), "{left}");
}
