//! The exam by script: one interleaving per rule of the fence, held open by gates. Each passes with the rule in force and
//! fails with it switched off, so the exam is known to be able to fail.

use std::{convert::Infallible, sync::Arc};

use larder_core::{
    Cache, CacheStore, Capabilities, Expiry, Faults, Key, Namespace, Result as CacheResult, StoreHandle,
    Value, async_trait,
};
use larder_simple::SimpleStore;
use tokio::sync::Semaphore;

use super::{
    exam::Seen,
    row::{Row, Violation},
};

/// A point in the code that the script holds, and lets go.
#[derive(Debug)]
struct Gate {
    reached: Semaphore,
    open: Semaphore,
}

impl Gate {
    fn new() -> Arc<Self> {
        Arc::new(Self { reached: Semaphore::new(0), open: Semaphore::new(0) })
    }

    /// Called by what is held.
    async fn pass(&self) {
        self.reached.add_permits(1);
        self.open.acquire().await.unwrap().forget();
    }

    /// Called by the script: waits until something stands at the gate.
    async fn reached(&self) {
        self.reached.acquire().await.unwrap().forget();
    }

    fn let_go(&self) {
        self.open.add_permits(1);
    }
}

/// The simple store behind a gate: its `set` waits there while `held` says so.
#[derive(Debug)]
struct Gated {
    inner: SimpleStore,
    set: Option<Arc<Gate>>,
}

#[async_trait]
impl CacheStore for Gated {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn get(&self, key: &Key) -> CacheResult<Option<Value>> {
        self.inner.get(key).await
    }

    async fn set(&self, key: &Key, value: Value, expiry: Expiry) -> CacheResult<()> {
        if let Some(gate) = &self.set {
            gate.pass().await;
        }
        self.inner.set(key, value, expiry).await
    }

    async fn delete(&self, key: &Key) -> CacheResult<bool> {
        self.inner.delete(key).await
    }

    async fn clear(&self, namespace: &Namespace) -> CacheResult<()> {
        self.inner.clear(namespace).await
    }
}

#[derive(Clone, Copy, Debug)]
enum By {
    Delete,
    Clear,
}

const KINDS: [By; 2] = [By::Delete, By::Clear];

async fn invalidate(cache: &Cache, by: By) {
    match by {
        By::Delete => drop(cache.delete("row").await.unwrap()),
        By::Clear => cache.clear().await.unwrap(),
    }
}

fn cache(faults: Faults, set: Option<Arc<Gate>>) -> Cache {
    let store = StoreHandle::new(Gated { inner: SimpleStore::new(), set });
    store.inject_faults(faults);
    Cache::builder(store).namespace("race").build().unwrap()
}

/// Starts a reader whose loader reads the row and then stands at `gate`, if there is one.
fn reader(cache: &Cache, row: &Arc<Row>, gate: Option<Arc<Gate>>) -> tokio::task::JoinHandle<u64> {
    let (cache, row) = (cache.clone(), Arc::clone(row));
    tokio::spawn(async move {
        let load = move || async move {
            let version = row.read();
            if let Some(gate) = gate {
                gate.pass().await;
            }
            Ok::<_, Infallible>(Seen { version })
        };
        cache.get_or_load("row", load).await.unwrap().version
    })
}

/// Everything that can run without the script doing more has run.
async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

/// A load reads the old row; the row is changed and invalidated; only then does the load end.
async fn late_load(faults: Faults, by: By) -> Result<(), Violation> {
    let (cache, row, gate) = (cache(faults, None), Arc::new(Row::default()), Gate::new());
    row.write();
    let early = reader(&cache, &row, Some(Arc::clone(&gate)));
    gate.reached().await;
    let version = row.write();
    invalidate(&cache, by).await;
    row.acknowledge(version);
    gate.let_go();
    assert_eq!(early.await.unwrap(), 1, "who came before the invalidation may have the old row");
    let seen = reader(&cache, &row, None).await.unwrap();
    Row::check("row", row.floor(), seen)
}

/// A load reads the old row; the row is changed and invalidated; a reader comes while the old load still runs.
async fn late_reader(faults: Faults, by: By) -> Result<(), Violation> {
    let (cache, row, gate) = (cache(faults, None), Arc::new(Row::default()), Gate::new());
    row.write();
    let early = reader(&cache, &row, Some(Arc::clone(&gate)));
    gate.reached().await;
    let version = row.write();
    invalidate(&cache, by).await;
    row.acknowledge(version);
    let floor = row.floor();
    let late = reader(&cache, &row, None);
    settle().await;
    gate.let_go();
    assert_eq!(early.await.unwrap(), 1);
    Row::check("row", floor, late.await.unwrap())
}

/// A load has read the old row and is writing it to the store when the row is changed and invalidated.
async fn late_write(faults: Faults, by: By) -> Result<(), Violation> {
    let (row, gate) = (Arc::new(Row::default()), Gate::new());
    let cache = cache(faults, Some(Arc::clone(&gate)));
    row.write();
    let early = reader(&cache, &row, None);
    gate.reached().await;
    let version = row.write();
    let writer = tokio::spawn({
        let cache = cache.clone();
        async move { invalidate(&cache, by).await }
    });
    settle().await;
    // With the rule in force the invalidation waits for the write; without, it is over by now.
    gate.let_go();
    writer.await.unwrap();
    row.acknowledge(version);
    assert_eq!(early.await.unwrap(), 1);
    gate.let_go();
    let seen = reader(&cache, &row, None).await.unwrap();
    Row::check("row", row.floor(), seen)
}

#[tokio::test]
async fn a_load_that_ends_after_an_invalidation_is_not_kept() {
    for by in KINDS {
        assert_eq!(late_load(Faults::NONE, by).await, Ok(()), "{by:?}");
        late_load(Faults::NO_FENCE, by).await.expect_err("the exam notices that the fence is off");
    }
}

#[tokio::test]
async fn a_load_that_began_before_an_invalidation_is_not_joined_after_it() {
    for by in KINDS {
        assert_eq!(late_reader(Faults::NONE, by).await, Ok(()), "{by:?}");
        late_reader(Faults::NAIVE_JOIN, by).await.expect_err("the exam notices naive joining");
        late_reader(Faults::NO_FENCE, by).await.expect_err("the exam notices that the fence is off");
    }
}

#[tokio::test]
async fn an_invalidation_waits_for_a_result_that_is_being_written() {
    for by in KINDS {
        assert_eq!(late_write(Faults::NONE, by).await, Ok(()), "{by:?}");
        late_write(Faults::COMMIT_BY_SET, by).await.expect_err("the exam notices a commit by `set`");
    }
}
