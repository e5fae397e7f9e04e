use std::{sync::Arc, time::Duration};

use larder_core::{Cache, CacheBuilder, CacheStore as _, EntryOptions, ManualClock, Outcome, Result, Value};
use tokio::task::JoinHandle;

use super::{Gate, Rig, Scripted, fine};
use crate::doc::MapStore;

/// One server, and as many processes as the test starts: each has a handle, a cache and a script of its own.
pub(crate) struct Cluster {
    pub(crate) server: Arc<MapStore>,
    pub(crate) clock: ManualClock,
}

impl Cluster {
    pub(crate) fn new() -> Self {
        let server = Arc::new(MapStore::default());
        let clock = server.clock.clone();
        Self { server, clock }
    }

    pub(crate) fn process(&self) -> Rig {
        self.process_with(|builder| builder)
    }

    pub(crate) fn process_with(&self, build: impl FnOnce(CacheBuilder) -> CacheBuilder) -> Rig {
        Rig::with(Scripted::shared(&self.server), build)
    }

    pub(crate) fn two(&self) -> (Rig, Rig) {
        (self.process(), self.process())
    }

    /// Lets time pass until a task ends.
    pub(crate) async fn end<T>(&self, task: JoinHandle<T>) -> T {
        self.until(|| task.is_finished()).await;
        task.await.unwrap()
    }

    /// Lets time pass until `condition` holds.
    pub(crate) async fn until(&self, mut condition: impl FnMut() -> bool) {
        for _ in 0..60_000 {
            for _ in 0..20 {
                if condition() {
                    return;
                }
                tokio::task::yield_now().await;
            }
            self.clock.advance(Duration::from_millis(1));
        }
        panic!("it never came to that");
    }

    /// Lets this much time pass, in small steps.
    pub(crate) async fn pass(&self, time: Duration) {
        let step = time.div_f64(100.0);
        for _ in 0..100 {
            self.clock.advance(step);
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
        }
    }

    /// What stands under `text` in the namespace of `cache`, a lease included.
    pub(crate) async fn stored(&self, cache: &Cache, text: &str) -> Option<Value> {
        self.server.get(&cache.key(text).unwrap()).await.unwrap()
    }
}

/// A load that waits at `gate`.
pub(crate) fn load(
    rig: &Rig,
    key: &str,
    gate: &Arc<Gate>,
    value: &str,
) -> JoinHandle<Result<Outcome<String>>> {
    load_with(rig, key, EntryOptions::new(), gate, value)
}

pub(crate) fn load_with(
    rig: &Rig,
    key: &str,
    options: EntryOptions,
    gate: &Arc<Gate>,
    value: &str,
) -> JoinHandle<Result<Outcome<String>>> {
    let (cache, key, gate, value) = (rig.cache.clone(), key.to_owned(), Arc::clone(gate), value.to_owned());
    tokio::spawn(async move {
        cache
            .get_or_load_with(key, options, || async move {
                gate.pass().await;
                fine(value)
            })
            .await
    })
}
