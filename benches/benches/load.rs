//! Loads: a miss, led alone, against the same steps by hand: on the cache, without sharing and fences, and on bare moka.

#![expect(clippy::unwrap_used, reason = "a benchmark that fails says so at once")]

use std::{convert::Infallible, hint::black_box, sync::Arc};

use criterion::{Criterion, criterion_group, criterion_main};
use larder_benches::{Lane, User, alike, race};
use larder_core::{
    Cache, CacheStore, Capabilities, CircuitState, Error, ErrorKind, Expiry, Key, Operations, Result,
    StoreHandle, Value, async_trait,
};
use larder_simple::SimpleStore;

/// Every key is asked for once, so each read misses; both lanes evict as they go. On one thread, where a spawn and a join
/// cost the least: between threads, waking the other one hides everything else.
#[expect(clippy::disallowed_methods, reason = "the lane by hand spawns as anyone would")]
fn miss(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let moka = alike::<Arc<User>>();
    let cache = Cache::new(SimpleStore::new());
    let by_hand = Cache::new(SimpleStore::new());
    let user = User::new(7);
    let (runtime, moka, by_hand, cache, user) = (&runtime, &moka, &by_hand, &cache, &user);
    let mut next = (0_u64.., 0_u64.., 0_u64..);
    race(
        criterion,
        "single-flight miss",
        vec![
            Lane::new("cache get, spawn, join, set", move |bencher| {
                let keys = &mut next.2;
                bencher.iter(|| {
                    let key = format!("user:{:0>16}", keys.next().expect("endless"));
                    runtime.block_on(async {
                        if by_hand.get::<User>(&key).await.unwrap().is_none() {
                            let user = user.clone();
                            let loaded = tokio::spawn(async move { user }).await.unwrap();
                            by_hand.set(&key, loaded).await.unwrap();
                        }
                    });
                });
            }),
            Lane::new("moka get, spawn, join, insert", move |bencher| {
                let keys = &mut next.0;
                bencher.iter(|| {
                    let key = format!("user:{:0>16}", keys.next().expect("endless"));
                    runtime.block_on(async {
                        if moka.get(key.as_str()).is_none() {
                            let user = user.clone();
                            let loaded = Arc::new(tokio::spawn(async move { user }).await.unwrap());
                            moka.insert(key, Arc::clone(&loaded));
                            black_box(loaded);
                        }
                    });
                });
            }),
            Lane::new("cache get_or_load", move |bencher| {
                let keys = &mut next.1;
                bencher.iter(|| {
                    let key = format!("user:{:0>16}", keys.next().expect("endless"));
                    runtime.block_on(async {
                        let user = user.clone();
                        black_box(
                            cache.get_or_load(&key, || async { Ok::<_, Infallible>(user) }).await.unwrap(),
                        );
                    });
                });
            }),
        ],
    );
}

/// A store whose server is gone.
#[derive(Debug)]
struct Dead;

fn dead<T>() -> Result<T> {
    Err(Error::new(ErrorKind::Unavailable, "nobody answers"))
}

#[async_trait]
impl CacheStore for Dead {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new().with_remote(true).with_shared(true).with_operations(Operations::ALL)
    }

    async fn get(&self, _key: &Key) -> Result<Option<Value>> {
        dead()
    }

    async fn set(&self, _key: &Key, _value: Value, _expiry: Expiry) -> Result<()> {
        dead()
    }

    async fn delete(&self, _key: &Key) -> Result<bool> {
        dead()
    }
}

/// What a load costs on top of itself while the circuit to its store is open.
fn dead_store(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let handle = StoreHandle::new(Dead);
    let cache = Cache::new(handle.clone());
    runtime.block_on(async {
        while handle.circuits()[0].state == CircuitState::Closed {
            assert!(cache.get::<User>("any").await.is_err());
        }
    });
    let user = User::new(7);
    let (runtime, cache, user) = (&runtime, &cache, &user);
    let load = |user: User| async move { Ok::<_, Infallible>(black_box(user)) };
    let mut next = (0_u64.., 0_u64..);
    race(
        criterion,
        "dead store",
        vec![
            Lane::new("the load itself", move |bencher| {
                let keys = &mut next.0;
                bencher.iter(|| {
                    let key = format!("user:{:0>16}", keys.next().expect("endless"));
                    runtime.block_on(async {
                        black_box(&key);
                        black_box(load(user.clone()).await.unwrap());
                    });
                });
            }),
            Lane::new("cache get_or_load", move |bencher| {
                let keys = &mut next.1;
                bencher.iter(|| {
                    let key = format!("user:{:0>16}", keys.next().expect("endless"));
                    runtime.block_on(async {
                        let user = user.clone();
                        black_box(cache.get_or_load(&key, move || load(user)).await.unwrap());
                    });
                });
            }),
        ],
    );
}

criterion_group! { name = benches; config = larder_benches::criterion(); targets = miss, dead_store }
criterion_main!(benches);
