//! Single reads that become batches.

use std::{sync::Arc, time::Duration};

use larder_core::{Batching, CacheStore, Clock, ErrorKind, Expiry, Key, Result, StoreHandle, Value};
use tokio::task::JoinHandle;

use super::{
    batched, key,
    servers::{Mood, Servers},
};
use crate::support::{Act, Gate, Scripted, settle};

type Read = JoinHandle<Result<Option<Value>>>;

fn rig(batching: Batching) -> (Arc<Scripted>, StoreHandle) {
    let store = Arc::new(Scripted::default());
    let handle = batched(Arc::clone(&store) as Arc<dyn CacheStore>, batching);
    (store, handle)
}

fn read(handle: &StoreHandle, text: &str) -> Read {
    let (handle, key) = (handle.clone(), key(text));
    tokio::spawn(async move { handle.guarded().get(&key).await })
}

async fn number(read: Read) -> Option<i64> {
    match read.await.unwrap().unwrap() {
        None => None,
        Some(Value::Int(int)) => Some(int),
        Some(other) => panic!("not a number: {other:?}"),
    }
}

async fn plant(store: &Scripted, text: &str, int: i64) {
    store.inner.set(&key(text), Value::Int(int), Expiry::Never).await.unwrap();
}

#[tokio::test]
async fn below_the_threshold_each_read_goes_straight_to_the_store() {
    let (store, handle) = rig(Batching::new().threshold(3));
    plant(&store, "a", 1).await;
    let gate = Gate::new();
    store.always("get", Act::Hold(Arc::clone(&gate)));
    let straight: Vec<_> = (0..3).map(|_| read(&handle, "a")).collect();
    for _ in 0..3 {
        gate.reached().await;
    }
    assert_eq!((store.calls("get"), store.calls("get_many")), (3, 0));
    // The fourth and fifth wait for a batch, and are answered by it while the first three are held.
    let (four, five) = (read(&handle, "a"), read(&handle, "b"));
    assert_eq!((number(four).await, number(five).await), (Some(1), None));
    assert_eq!((store.calls("get"), store.calls("get_many")), (3, 1));
    (0..3).for_each(|_| gate.open());
    for one in straight {
        assert_eq!(number(one).await, Some(1));
    }
    // Nothing is under way any more: straight again.
    store.calm();
    assert_eq!(number(read(&handle, "a")).await, Some(1));
    assert_eq!((store.calls("get"), store.calls("get_many")), (4, 1));
}

#[tokio::test]
async fn what_waits_becomes_one_batch_in_which_each_key_is_asked_once() {
    let (store, handle) = rig(Batching::new().threshold(0));
    let asked = ["a", "b", "a", "c", "b", "a"];
    for (text, int) in [("a", 1), ("b", 2)] {
        plant(&store, text, int).await;
    }
    let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
    let spied =
        batched(Arc::new(Spy { inner: store, seen: Arc::clone(&seen) }), Batching::new().threshold(0));
    let reads: Vec<_> = asked.iter().map(|text| read(&spied, text)).collect();
    let mut found = Vec::new();
    for one in reads {
        found.push(number(one).await);
    }
    assert_eq!(found, [Some(1), Some(2), Some(1), None, Some(2), Some(1)]);
    assert_eq!(*seen.lock().unwrap(), [vec![key("a"), key("b"), key("c")]]);
    drop(handle);
}

/// Sees which keys a batch has, and answers too few where asked for "short".
#[derive(Debug)]
struct Spy {
    inner: Arc<Scripted>,
    seen: Arc<std::sync::Mutex<Vec<Vec<Key>>>>,
}

#[larder_core::async_trait]
impl CacheStore for Spy {
    fn capabilities(&self) -> larder_core::Capabilities {
        self.inner.capabilities()
    }
    fn clock(&self) -> Option<Arc<dyn Clock>> {
        self.inner.clock()
    }
    async fn get(&self, key: &Key) -> Result<Option<Value>> {
        self.inner.get(key).await
    }
    async fn set(&self, key: &Key, value: Value, expiry: Expiry) -> Result<()> {
        self.inner.set(key, value, expiry).await
    }
    async fn delete(&self, key: &Key) -> Result<bool> {
        self.inner.delete(key).await
    }
    async fn get_many(&self, keys: &[Key]) -> Vec<Result<Option<Value>>> {
        self.seen.lock().unwrap().push(keys.to_vec());
        let mut found = self.inner.get_many(keys).await;
        if keys.contains(&key("short")) {
            found.pop();
        }
        found
    }
}

#[tokio::test]
async fn a_read_joins_no_batch_that_has_been_sent() {
    let (store, handle) = rig(Batching::new().threshold(0));
    plant(&store, "a", 1).await;
    let gate = Gate::new();
    store.once("get_many", Act::HoldAfter(Arc::clone(&gate)));
    let early = [read(&handle, "a"), read(&handle, "b")];
    gate.reached().await;
    // The value is invalidated while its old one is on its way back.
    plant(&store, "a", 2).await;
    let late = [read(&handle, "a"), read(&handle, "b")];
    for (one, expected) in late.into_iter().zip([Some(2), None]) {
        assert_eq!(number(one).await, expected);
    }
    gate.open();
    for (one, expected) in early.into_iter().zip([Some(1), None]) {
        assert_eq!(number(one).await, expected);
    }
}

#[tokio::test]
async fn batches_are_bounded_in_keys_and_in_number() {
    let (store, handle) = rig(Batching::new().threshold(0).max_keys(4).batches(2));
    let gate = Gate::new();
    store.always("get_many", Act::Hold(Arc::clone(&gate)));
    let reads: Vec<_> = (0..16).map(|n| read(&handle, &format!("k{n}"))).collect();
    gate.reached().await;
    gate.reached().await;
    settle().await;
    assert_eq!(store.calls("get_many"), 2, "two are on their way, eight keys wait");
    gate.open();
    gate.reached().await;
    settle().await;
    assert_eq!(store.calls("get_many"), 3, "one returned, one was sent");
    (0..3).for_each(|_| gate.open());
    for one in reads {
        assert_eq!(number(one).await, None);
    }
    assert_eq!((store.calls("get_many"), store.calls("get")), (4, 0));
}

#[tokio::test]
async fn an_error_reaches_each_read_and_the_next_batch_is_sent() {
    let (store, handle) = rig(Batching::new().threshold(0));
    store.once("get_many", Act::Fail(ErrorKind::Overloaded));
    for one in [read(&handle, "a"), read(&handle, "b"), read(&handle, "a")] {
        let error = one.await.unwrap().unwrap_err();
        assert_eq!(
            (error.kind(), error.to_string().as_str()),
            (ErrorKind::Overloaded, "as told by the script")
        );
    }
    assert_eq!(number(read(&handle, "a")).await, None);
}

#[tokio::test]
async fn too_few_answers_are_an_error_for_those_who_got_none() {
    let (store, _) = rig(Batching::new());
    plant(&store, "a", 1).await;
    let spied = batched(Arc::new(Spy { inner: store, seen: Arc::default() }), Batching::new().threshold(0));
    let (a, short) = (read(&spied, "a"), read(&spied, "short"));
    assert_eq!(number(a).await, Some(1));
    assert_eq!(short.await.unwrap().unwrap_err().kind(), ErrorKind::Corrupt);
}

#[tokio::test]
async fn a_panic_of_the_store_reaches_each_read_as_an_error() {
    let store = Arc::new(Servers::new(1));
    let handle = batched(Arc::clone(&store) as Arc<dyn CacheStore>, Batching::new().threshold(0));
    store.be(0, Mood::Panics);
    for one in [read(&handle, "a0"), read(&handle, "b0")] {
        let error = one.await.unwrap().unwrap_err();
        assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Unavailable, false));
        assert!(error.to_string().contains("panicked"), "{error}");
    }
    store.be(0, Mood::Well);
    assert_eq!(number(read(&handle, "a0")).await, None);
}

#[tokio::test]
async fn who_goes_away_before_the_batch_is_sent_is_not_asked_for() {
    let (store, handle) = rig(Batching::new().threshold(0).batches(1));
    let (gate, seen) = (Gate::new(), Arc::default());
    store.once("get_many", Act::Hold(Arc::clone(&gate)));
    let spied = Spy { inner: Arc::clone(&store), seen: Arc::clone(&seen) };
    let spied = batched(Arc::new(spied), Batching::new().threshold(0).batches(1));
    let first = [read(&spied, "a"), read(&spied, "b")];
    gate.reached().await;
    let (gone, stays, too) = (read(&spied, "c"), read(&spied, "d"), read(&spied, "e"));
    settle().await;
    gone.abort();
    assert!(gone.await.unwrap_err().is_cancelled());
    // Whoever goes away from a batch that was sent takes nothing from the others.
    let [one, other] = first;
    one.abort();
    assert!(one.await.unwrap_err().is_cancelled());
    gate.open();
    for read in [other, stays, too] {
        assert_eq!(number(read).await, None);
    }
    let seen: Vec<Vec<Key>> = seen.lock().unwrap().clone();
    assert_eq!(seen, [vec![key("a"), key("b")], vec![key("d"), key("e")]]);
    drop(handle);
}

#[tokio::test]
async fn reads_that_were_given_up_leave_no_count() {
    let (store, handle) = rig(Batching::new().threshold(2));
    store.always("get", Act::Hang);
    for _ in 0..5 {
        let reads = [read(&handle, "a"), read(&handle, "b")];
        settle().await;
        for one in reads {
            one.abort();
            assert!(one.await.unwrap_err().is_cancelled());
        }
    }
    assert_eq!((store.calls("get"), store.calls("get_many")), (10, 0));
}

#[tokio::test]
async fn a_batch_that_hangs_ends_when_nobody_can_wait_for_it_any_more() {
    let (store, handle) = rig(Batching::new().threshold(0).batches(1));
    let limit = Duration::from_millis(500);
    let cache = larder_core::Cache::builder(handle.clone()).operation_timeout(limit).build().unwrap();
    store.once("get_many", Act::Hang);
    let reads = ["a", "b"].map(|text| {
        let cache = cache.clone();
        tokio::spawn(async move { cache.get::<i64>(text).await })
    });
    settle().await;
    store.inner.clock.advance(limit);
    for one in reads {
        assert_eq!(one.await.unwrap().unwrap_err().kind(), ErrorKind::Timeout);
    }
    assert_eq!(number(read(&handle, "a")).await, None, "the lane is free");
}

#[tokio::test]
async fn each_server_has_a_lane_of_its_own() {
    let store = Arc::new(Servers::new(2));
    let handle = batched(Arc::clone(&store) as Arc<dyn CacheStore>, Batching::new().threshold(0).batches(1));
    store.be(0, Mood::Hangs);
    let stuck = [read(&handle, "a0"), read(&handle, "b0")];
    settle().await;
    let well = [read(&handle, "a1"), read(&handle, "b1")];
    for one in well {
        assert_eq!(number(one).await, None);
    }
    assert_eq!((store.asked(0), store.asked(1)), (vec!["get_many"], vec!["get_many"]));
    stuck.iter().for_each(JoinHandle::abort);
}

#[test]
fn who_waits_in_another_runtime_reads_for_itself_when_the_tasks_are_gone() {
    let runtime =
        || tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap();
    let (here, there) = (runtime(), runtime());
    let (store, handle) = rig(Batching::new().threshold(0).batches(1));
    let gate = Gate::new();
    store.once("get_many", Act::Hold(Arc::clone(&gate)));
    // The sender runs here, and is stuck. One task reads both, or the first might be sent before the second is there.
    let (reads, a, b) = (handle.clone(), key("a"), key("b"));
    let first = here.spawn(async move {
        let store = reads.guarded();
        tokio::join!(store.get(&a), store.get(&b))
    });
    here.block_on(gate.reached());
    let entered = there.enter();
    let waits = read(&handle, "c");
    drop(entered);
    soon(|| format!("{:?}", handle.guarded()).contains("waiting: 1"));
    drop((first, here));
    soon(|| waits.is_finished());
    assert_eq!(there.block_on(number(waits)), None);
    assert_eq!(store.calls("get"), 1);
    // And the next batch has a sender again.
    let (a, b) = there.block_on(async { (read(&handle, "a"), read(&handle, "b")) });
    assert_eq!(there.block_on(async { (number(a).await, number(b).await) }), (None, None));
}

/// Waits for what other threads do.
fn soon(condition: impl Fn() -> bool) {
    for _ in 0..10_000 {
        if condition() {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("it never came to that");
}

#[tokio::test]
async fn an_open_circuit_refuses_a_read_before_it_waits_for_a_batch() {
    let store = Arc::new(Servers::new(1));
    let handle = StoreHandle::builder_from_arc(Arc::clone(&store) as Arc<dyn CacheStore>)
        .batching(Batching::new().threshold(0).batches(1))
        .build()
        .unwrap();
    store.be(0, Mood::Fails(ErrorKind::Timeout));
    for one in (0..5).map(|_| read(&handle, "a0")) {
        assert_eq!(one.await.unwrap().unwrap_err().kind(), ErrorKind::Timeout);
    }
    store.asked(0);
    assert_eq!(read(&handle, "a0").await.unwrap().unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(store.asked(0), [""; 0]);
}
